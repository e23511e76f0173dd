-- Returns the tables that the rows of some tables refer to by foreign keys, and that are not among them: the key, the
-- referring table, the referred one, and what asks whether any row refers at all (MATCH SIMPLE: no column is null).
-- Needs: `relations`, tables as text. PostgreSQL 14 and later.
SELECT c.conname AS name, c.conrelid::regclass::text AS referring, c.confrelid::regclass::text AS referred,
       pg_catalog.format('SELECT EXISTS (SELECT FROM %%s WHERE %%s)', c.conrelid::regclass,
           (SELECT pg_catalog.string_agg(pg_catalog.format('%%I IS NOT NULL', a.attname), ' AND ')
              FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))) AS question
  FROM pg_catalog.pg_constraint c
 WHERE c.contype = 'f' AND c.conparentid = 0
   AND c.conrelid = ANY (%(relations)s::text[]::regclass[])
   AND NOT c.confrelid = ANY (%(relations)s::text[]::regclass[])
 ORDER BY 2, 1
