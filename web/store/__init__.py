"""The dashboard's own database: its tables, how it is opened and upgraded.

Migrations of it are in `migrations/` at the top.
Queries stand beside who asks them, but for rows that a job leaves whole (`kept`).
"""
