-- Returns the roles that objects of this database depend on: owners, grantees, policies' roles.
-- Needs: nothing. PostgreSQL 9.5 and later. The server's first superuser is never among them.
SELECT DISTINCT r.rolname::text
  FROM pg_catalog.pg_shdepend d
  JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid
 WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
   AND d.dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())
 ORDER BY 1
