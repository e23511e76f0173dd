"""Clean Start: see, back up, reset and migrate the PostgreSQL databases of your projects, and start clean."""

__version__ = "0.1.0"
