-- Returns one row about the server and this database: versions, start, size, limits, encoding, last commit if kept.
-- Needs: CONNECT on the database. PostgreSQL 9.6 and later.
SELECT current_setting('server_version')                         AS version,
       current_setting('server_version_num')::int                AS version_number,
       pg_catalog.pg_postmaster_start_time()                     AS started_at,
       pg_catalog.pg_database_size(d.oid)                        AS size,
       current_setting('max_connections')::int                   AS session_limit,
       pg_catalog.pg_is_in_recovery()                            AS in_recovery,
       pg_catalog.pg_encoding_to_char(d.encoding)::text          AS encoding,
       d.datcollate::text                                        AS collation,
       pg_catalog.pg_get_userbyid(d.datdba)::text                AS owner,
       CASE WHEN current_setting('track_commit_timestamp') = 'on'
            THEN (SELECT c."timestamp" FROM pg_catalog.pg_last_committed_xact() c)
       END                                                       AS last_commit,
       current_setting('track_commit_timestamp') = 'on'          AS commit_times_kept
  FROM pg_catalog.pg_database d
 WHERE d.datname = pg_catalog.current_database()
