-- Returns what a role has that changes a schema, and what each role has that it is a member of, directly or not, as it
-- could take that on: sort, the role that has it, the object, and how many of that sort the role has.
-- No row of the sort `found`: there is no such role. Of each sort the first 20 of a role are returned.
-- Left out: objects of sessions (pg_temp), and large objects, which are data.
-- Needs: nothing beyond reading pg_catalog. PostgreSQL 14 and later.
WITH RECURSIVE held AS (
    SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = %(role)s
    UNION
    SELECT m.roleid FROM held h JOIN pg_catalog.pg_auth_members m ON m.member = h.oid
), roles AS (
    SELECT r.oid, r.rolname, r.rolsuper, r.rolcreaterole
      FROM held h JOIN pg_catalog.pg_roles r ON r.oid = h.oid
), here AS (
    SELECT d.oid, d.datname FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
), spaces AS (
    SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n
     WHERE n.nspname !~ '^pg_(temp|toast)' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
), owned AS MATERIALIZED (
    -- Materialized: the objects are named after the rows are chosen; before 15 there are rows of no object at all.
    SELECT r.rolname, pg_catalog.pg_identify_object(d.classid, d.objid, 0) AS object
      FROM roles r
      JOIN pg_catalog.pg_shdepend d ON d.refclassid = 'pg_catalog.pg_authid'::regclass
       AND d.refobjid = r.oid AND d.deptype = 'o'
      CROSS JOIN here
     WHERE (d.dbid = here.oid OR (d.classid = 'pg_catalog.pg_database'::regclass AND d.objid = here.oid))
       AND d.classid <> 'pg_catalog.pg_largeobject'::regclass
), found AS (
    SELECT 'found' AS sort, r.rolname AS role, r.rolname::text AS object FROM roles r WHERE r.rolname = %(role)s
    UNION ALL
    -- A superuser may everything: that says it.
    SELECT 'superuser', r.rolname, '' FROM roles r WHERE r.rolsuper
    UNION ALL
    -- Such a role gives itself others' rights: of any role before PostgreSQL 16, since then of those that it made.
    SELECT 'may create roles', r.rolname, '' FROM roles r WHERE r.rolcreaterole AND NOT r.rolsuper
    UNION ALL
    SELECT 'owns', o.rolname, (o.object).type || ' ' || (o.object).identity
      FROM owned o WHERE (o.object).identity IS NOT NULL AND coalesce((o.object).schema, '') !~ '^pg_(temp|toast)'
    UNION ALL
    SELECT 'may create', r.rolname, 'in the schema ' || pg_catalog.quote_ident(s.nspname)
      FROM roles r CROSS JOIN spaces s
     WHERE NOT r.rolsuper AND pg_catalog.has_schema_privilege(r.oid, s.oid, 'CREATE')
    UNION ALL
    SELECT 'may create', r.rolname, 'schemas in the database ' || pg_catalog.quote_ident(here.datname)
      FROM roles r CROSS JOIN here
     WHERE NOT r.rolsuper AND pg_catalog.has_database_privilege(r.oid, here.oid, 'CREATE')
), counted AS (
    SELECT f.sort, f.role, f.object,
           pg_catalog.count(*) OVER (PARTITION BY f.sort, f.role) AS number,
           pg_catalog.row_number() OVER (PARTITION BY f.sort, f.role ORDER BY f.object COLLATE "C") AS place
      FROM found f
)
SELECT c.sort, c.role::text, c.object, c.number FROM counted c WHERE c.place <= 20
 ORDER BY c.role <> %(role)s, c.role, c.sort, c.place
