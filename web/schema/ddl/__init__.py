"""DDL: how each kind of object is made, altered, renamed and dropped.

The verbs (create, alter, rename, drop) choose among the nouns (tables, types, views …), which hold the
spelling; nothing here reads a database. ../statements.py decides what is done and in which order.
"""
