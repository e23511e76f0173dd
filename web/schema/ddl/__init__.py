"""DDL: how each kind of object is made, altered, renamed and dropped.

One module per verb; nothing here reads a database. ../statements.py decides what is done and in which order.
"""
