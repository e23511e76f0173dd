"""PostgreSQL from outside: connections, identity, programs, dumps, embedded and scratch servers, processes.

Nothing here knows a project, a job or the store.
Reading and comparing schemas is in `web.schema`.
"""
