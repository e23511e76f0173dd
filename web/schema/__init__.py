"""A database's schema as a value: catalog to `Schema`, fingerprint, difference, and difference to DDL (`ddl/`).

What rows can refuse is in `demands/`; `proof` runs statements in scratch.
Which two schemas are compared is for `web.comparison` to say.
"""
