-- Returns what would refuse a second row like the first: statements that drop the unique and exclusion constraints and
-- unique indexes of a table in which none of the named columns takes part.
-- Needs: `relation`, the table as text; `columns`, names. PostgreSQL 14 and later.
SELECT CASE WHEN c.oid IS NOT NULL
            THEN pg_catalog.format('ALTER TABLE %%s DROP CONSTRAINT %%I CASCADE', i.indrelid::regclass, c.conname)
            ELSE pg_catalog.format('DROP INDEX %%s CASCADE', i.indexrelid::regclass) END AS statement
  FROM pg_catalog.pg_index i
  LEFT JOIN pg_catalog.pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid
   AND c.contype IN ('p', 'u', 'x')
 WHERE i.indrelid = %(relation)s::regclass AND (i.indisunique OR i.indisexclusion)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) AND a.attname = ANY (%(columns)s))
 ORDER BY i.indexrelid
