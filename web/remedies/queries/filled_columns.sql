-- Returns the integer columns of a table that a sequence fills: by name, with the sequence where its name stands in
-- the default (an owned or identity one is found by its column: its name may be another after a baseline).
-- Needs: `relation`, the table as text. PostgreSQL 14 and later.
WITH used AS (
    SELECT d.refobjsubid AS attnum, d.objid AS sequence, true AS owned
      FROM pg_catalog.pg_depend d
     WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
       AND d.refobjid = %(relation)s::regclass AND d.deptype IN ('a', 'i')
    UNION
    SELECT def.adnum, d.refobjid, false
      FROM pg_catalog.pg_attrdef def
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = def.oid
       AND d.refclassid = 'pg_catalog.pg_class'::regclass
     WHERE def.adrelid = %(relation)s::regclass
)
SELECT a.attname AS column_name, pg_catalog.format('%%I.%%I', n.nspname, s.relname) AS sequence,
       pg_catalog.bool_or(u.owned) AS owned, q.seqincrement > 0 AS rises, q.seqmin AS least, q.seqmax AS most
  FROM used u
  JOIN pg_catalog.pg_class s ON s.oid = u.sequence AND s.relkind = 'S'
  JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
  JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
  JOIN pg_catalog.pg_attribute a ON a.attrelid = %(relation)s::regclass AND a.attnum = u.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
 GROUP BY a.attname, a.attnum, n.nspname, s.relname, q.seqincrement, q.seqmin, q.seqmax
 ORDER BY a.attnum
