"""Backups: taking one, its manifest, the places where they lie, the proof by a restore, retention.

pg_dump and pg_restore themselves are started by `web.postgres`.
The jobs that back up and verify are in `web.operations`.
"""
