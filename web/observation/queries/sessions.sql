-- Returns the client sessions of this database by state; state is null where this role may not see it.
-- Needs: nothing; without pg_read_all_stats only the role's own sessions show their state. PostgreSQL 10 and later.
-- Our own session is left out.
SELECT a.state::text AS state,
       count(*)      AS sessions
  FROM pg_catalog.pg_stat_activity a
 WHERE a.datname = pg_catalog.current_database()
   AND a.pid <> pg_catalog.pg_backend_pid()
   AND (a.backend_type IS NULL OR a.backend_type = 'client backend')
 GROUP BY 1
 ORDER BY 1
