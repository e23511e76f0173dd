-- Whether a second connection pays (a schema of some size) and fits in: a pooler in between, or a limit of server,
-- database or role that is nearly reached, speaks against it. One row, one truth value.
-- Privilege: none beyond reading pg_catalog; sessions of others are counted, not looked into. Oldest server: 14.
select pg_backend_pid() = %(pid)s
   and (select count(*) >= %(relations)s from pg_catalog.pg_class c
         where c.oid >= 16384 and c.relkind in ('r', 'p', 'f', 'v', 'm'))
   and (select count(*) + 5 <= current_setting('max_connections')::int
                              - current_setting('superuser_reserved_connections')::int
          from pg_catalog.pg_stat_activity a where a.backend_type in ('client backend', 'walsender'))
   and (select d.datconnlimit < 0 or d.datconnlimit >= 5 + (select count(*) from pg_catalog.pg_stat_activity a
                                                             where a.datid = d.oid)
          from pg_catalog.pg_database d where d.datname = current_database())
   and (select r.rolconnlimit < 0 or r.rolconnlimit >= 5 + (select count(*) from pg_catalog.pg_stat_activity a
                                                             where a.usesysid = r.oid)
          from pg_catalog.pg_roles r where r.rolname = session_user)
