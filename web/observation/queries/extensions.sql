-- Returns the extensions of this database with version and schema.
-- Needs: nothing. PostgreSQL 9.1 and later.
SELECT e.extname::text    AS name,
       e.extversion::text AS version,
       n.nspname::text    AS schema
  FROM pg_catalog.pg_extension e
  JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
 ORDER BY 1
