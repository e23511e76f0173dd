"""What a foreign program may read, write, connect to, and as whom: namespaces, else filters.

It knows no migration tool; `web.tools.confinement` says what one run needs.
Starting and ending programs is in `web.postgres.processes`.
"""
