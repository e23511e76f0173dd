-- Returns everything that emptying a database in place removes: class, oid, statement that drops it, whether this
-- role may, and the order of dropping (schemas first, what they do not take with them after).
-- What belongs to an extension, and schemas that hold an extension's objects, stay.
-- Needs: nothing. PostgreSQL 14 and later.
WITH members AS (
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'
), hosts AS (
    -- Schemas that an extension was installed into, and public, which every database has.
    SELECT e.extnamespace AS oid FROM pg_catalog.pg_extension e
    UNION SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public'
), spaces AS (
    SELECT n.oid, n.nspname, n.nspowner, n.oid IN (SELECT oid FROM hosts) AS stays
      FROM pg_catalog.pg_namespace n
     WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
       AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_catalog.pg_namespace'::regclass AND m.objid = n.oid)
)
SELECT 'schema' AS what, s.oid::bigint AS oid, pg_catalog.format('%I', s.nspname) AS name,
       pg_catalog.format('DROP SCHEMA IF EXISTS %I CASCADE', s.nspname) AS statement,
       pg_catalog.pg_has_role(s.nspowner, 'USAGE') AS may, 1 AS turn
  FROM spaces s WHERE NOT s.stays
UNION ALL
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                      WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' ELSE 'table' END,
       c.oid::bigint, pg_catalog.format('%I.%I', s.nspname, c.relname),
       pg_catalog.format('DROP %s IF EXISTS %I.%I CASCADE',
                         CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                                        WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END,
                         s.nspname, c.relname),
       pg_catalog.pg_has_role(c.relowner, 'USAGE') OR pg_catalog.pg_has_role(s.nspowner, 'USAGE'),
       CASE c.relkind WHEN 'v' THEN 2 WHEN 'm' THEN 2 WHEN 'S' THEN 4 WHEN 'c' THEN 5 ELSE 3 END
  FROM pg_catalog.pg_class c JOIN spaces s ON s.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND s.stays AND NOT c.relispartition
   AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_catalog.pg_class'::regclass AND m.objid = c.oid)
   AND NOT (c.relkind = 'S' AND EXISTS (
        SELECT FROM pg_catalog.pg_depend d
         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')))
UNION ALL
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END, p.oid::bigint,
       pg_catalog.format('%I.%I(%s)', s.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
       pg_catalog.format('DROP %s IF EXISTS %I.%I(%s) CASCADE',
                         CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END,
                         s.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
       pg_catalog.pg_has_role(p.proowner, 'USAGE') OR pg_catalog.pg_has_role(s.nspowner, 'USAGE'), 6
  FROM pg_catalog.pg_proc p JOIN spaces s ON s.oid = p.pronamespace
 WHERE s.stays
   AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_catalog.pg_proc'::regclass AND m.objid = p.oid)
   -- A range type's constructors go with it.
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
UNION ALL
SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, t.oid::bigint,
       pg_catalog.format('%I.%I', s.nspname, t.typname),
       pg_catalog.format('DROP %s IF EXISTS %I.%I CASCADE',
                         CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, s.nspname, t.typname),
       pg_catalog.pg_has_role(t.typowner, 'USAGE') OR pg_catalog.pg_has_role(s.nspowner, 'USAGE'), 7
  FROM pg_catalog.pg_type t JOIN spaces s ON s.oid = t.typnamespace
 WHERE s.stays AND t.typtype IN ('e', 'd', 'r')
   AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_catalog.pg_type'::regclass AND m.objid = t.oid)
UNION ALL
SELECT 'text search configuration', o.oid::bigint, pg_catalog.format('%I.%I', s.nspname, o.cfgname),
       pg_catalog.format('DROP TEXT SEARCH CONFIGURATION IF EXISTS %I.%I CASCADE', s.nspname, o.cfgname),
       pg_catalog.pg_has_role(o.cfgowner, 'USAGE') OR pg_catalog.pg_has_role(s.nspowner, 'USAGE'), 8
  FROM pg_catalog.pg_ts_config o JOIN spaces s ON s.oid = o.cfgnamespace
 WHERE s.stays
   AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_catalog.pg_ts_config'::regclass AND m.objid = o.oid)
UNION ALL
SELECT 'text search dictionary', o.oid::bigint, pg_catalog.format('%I.%I', s.nspname, o.dictname),
       pg_catalog.format('DROP TEXT SEARCH DICTIONARY IF EXISTS %I.%I CASCADE', s.nspname, o.dictname),
       pg_catalog.pg_has_role(o.dictowner, 'USAGE') OR pg_catalog.pg_has_role(s.nspowner, 'USAGE'), 8
  FROM pg_catalog.pg_ts_dict o JOIN spaces s ON s.oid = o.dictnamespace
 WHERE s.stays
   AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_catalog.pg_ts_dict'::regclass AND m.objid = o.oid)
UNION ALL
SELECT 'collation', o.oid::bigint, pg_catalog.format('%I.%I', s.nspname, o.collname),
       pg_catalog.format('DROP COLLATION IF EXISTS %I.%I CASCADE', s.nspname, o.collname),
       pg_catalog.pg_has_role(o.collowner, 'USAGE') OR pg_catalog.pg_has_role(s.nspowner, 'USAGE'), 8
  FROM pg_catalog.pg_collation o JOIN spaces s ON s.oid = o.collnamespace
 WHERE s.stays
   AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_catalog.pg_collation'::regclass AND m.objid = o.oid)
UNION ALL
SELECT 'publication', p.oid::bigint, pg_catalog.format('%I', p.pubname),
       pg_catalog.format('DROP PUBLICATION IF EXISTS %I', p.pubname),
       pg_catalog.pg_has_role(p.pubowner, 'USAGE'), 9
  FROM pg_catalog.pg_publication p
 WHERE NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_catalog.pg_publication'::regclass AND m.objid = p.oid)
UNION ALL
SELECT 'large object', l.oid::bigint, l.oid::text,
       pg_catalog.format('SELECT pg_catalog.lo_unlink(%s)', l.oid),
       pg_catalog.pg_has_role(l.lomowner, 'USAGE'), 9
  FROM pg_catalog.pg_largeobject_metadata l
 ORDER BY turn, name
