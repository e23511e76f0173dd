-- Returns every table, partitioned table, materialized view and foreign table that is not the system's:
-- kind, estimated rows (null: never analyzed), sizes in bytes, dead rows, last vacuum and analyze.
-- Needs: nothing. PostgreSQL 10 and later.
-- Parameter exact: true asks the file system, which takes ACCESS SHARE on every table; false adds up pages as last counted.
WITH pages AS (
    SELECT c.oid,
           c.relpages::bigint                                                        AS own,
           coalesce((SELECT sum(i.relpages)
                       FROM pg_catalog.pg_index x
                       JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
                      WHERE x.indrelid = c.oid), 0)::bigint                          AS indexes,
           coalesce((SELECT t.relpages FROM pg_catalog.pg_class t
                      WHERE t.oid = c.reltoastrelid), 0)::bigint                     AS toast
      FROM pg_catalog.pg_class c
     WHERE c.relkind IN ('r', 'p', 'm', 'f')
)
SELECT n.nspname::text                                                               AS schema,
       c.relname::text                                                               AS name,
       c.relkind::text                                                               AS kind,
       coalesce(nullif(s.n_live_tup, 0), nullif(c.reltuples::bigint, -1))            AS rows,
       CASE WHEN %(exact)s THEN pg_catalog.pg_total_relation_size(c.oid)
            ELSE (p.own + p.indexes + p.toast) * current_setting('block_size')::bigint
       END                                                                           AS size,
       CASE WHEN %(exact)s THEN pg_catalog.pg_indexes_size(c.oid)
            ELSE p.indexes * current_setting('block_size')::bigint
       END                                                                           AS index_size,
       s.n_dead_tup                                                                  AS dead_rows,
       greatest(s.last_vacuum, s.last_autovacuum)                                    AS last_vacuum,
       greatest(s.last_analyze, s.last_autoanalyze)                                  AS last_analyze
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pages p ON p.oid = c.oid
  LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
 WHERE c.relkind IN ('r', 'p', 'm', 'f')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname !~ '^pg_(toast|temp_)'
 ORDER BY 5 DESC NULLS LAST, 1, 2
