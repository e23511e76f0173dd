-- Columns of tables, views, materialized views and composite types, in order, dropped ones left out.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select a.attrelid,
       a.attnum,
       a.attacl::text[],
       a.attname,
       format_type(a.atttypid, a.atttypmod),
       a.attnotnull,
       case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
       case a.attidentity when 'a' then 'ALWAYS' when 'd' then 'BY DEFAULT' end,
       case a.attgenerated when 's' then pg_get_expr(d.adbin, d.adrelid) || ' STORED'
                           when 'v' then pg_get_expr(d.adbin, d.adrelid) || ' VIRTUAL' end,
       case when a.attcollation <> t.typcollation
            then (select quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
                    from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace
                   where co.oid = a.attcollation) end,
       case when a.attstorage <> t.typstorage
            then case a.attstorage when 'p' then 'plain' when 'e' then 'external'
                                   when 'm' then 'main' when 'x' then 'extended' end end,
       case a.attcompression when 'p' then 'pglz' when 'l' then 'lz4' end,
       nullif(a.attstattarget, -1),
       a.attoptions,
       a.attfdwoptions
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where c.relkind in ('r', 'p', 'f', 'v', 'm', 'c')
   and a.attrelid = any (%(relations)s::oid[])  -- partial
   and a.attnum > 0
   and not a.attisdropped
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (select from pg_depend e
                    where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
 order by a.attrelid, a.attnum
