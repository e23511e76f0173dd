"""Alembic: read from its files with `ast`, run in the project's own interpreter by what lies in `inside/`."""
