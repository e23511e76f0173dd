-- Indexes that neither back a constraint nor are a partition's part of its parent's index.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select i.indexrelid,
       i.indrelid,
       c.relname,
       i.indisunique,
       substr(pg_get_indexdef(i.indexrelid),
              length('CREATE ' || case when i.indisunique then 'UNIQUE ' else '' end || 'INDEX ' || quote_ident(c.relname)
                     || ' ON ' || case when c.relkind = 'I' then 'ONLY ' else '' end
                     || quote_ident(tn.nspname) || '.' || quote_ident(tc.relname)) + 2),
       i.indisvalid,
       ts.spcname,
       i.indisclustered,
       (select string_agg(a.attnum || ' ' || a.attstattarget, ', ' order by a.attnum)
          from pg_attribute a where a.attrelid = i.indexrelid and a.attstattarget >= 0)
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_class tc on tc.oid = i.indrelid
  join pg_namespace tn on tn.oid = tc.relnamespace
  left join pg_tablespace ts on ts.oid = c.reltablespace
 where not c.relispartition
   and i.indrelid = any (%(relations)s::oid[])  -- partial
   and tc.relkind in ('r', 'p', 'm')
   and tn.nspname !~ '^pg_' and tn.nspname <> 'information_schema'
   and not exists (select from pg_constraint con
                    where con.conindid = i.indexrelid and con.conrelid = i.indrelid
                      and con.contype in ('p', 'u', 'x'))
 order by i.indrelid, c.relname
