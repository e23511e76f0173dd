"""What a schema demands of rows that another did not: each demand with the query that gives the rows that refuse it.

`of.py` finds demands, `reading.py` reads definitions, `rows.py` writes a table's rows as they will be. Running the
queries is for web/remedies/counting.py.
"""
