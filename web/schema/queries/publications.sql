-- Publications with their tables (columns and row filters) and schemas.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14 (columns, filters and schemas: 15).
select p.oid,
       p.pubname,
       p.puballtables,
       array_remove(array[case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
                          case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end], null),
       p.pubviaroot,
       case p.pubgencols when 's' then 'stored' end,  -- since 18
       null,                                          -- until 17
       array(select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
                    || coalesce(' (' || (select string_agg(quote_ident(a.attname), ', ' order by a.attnum)         -- since 15
                                           from pg_attribute a                                                     -- since 15
                                          where a.attrelid = r.prrelid and a.attnum = any (r.prattrs)) || ')', '') -- since 15
                    || coalesce(' WHERE ' || pg_get_expr(r.prqual, r.prrelid), '')                                 -- since 15
               from pg_publication_rel r
               join pg_class c on c.oid = r.prrelid
               join pg_namespace n on n.oid = c.relnamespace
              where r.prpubid = p.oid
              order by 1),
       array(select quote_ident(n.nspname) from pg_publication_namespace pn                                        -- since 15
               join pg_namespace n on n.oid = pn.pnnspid where pn.pnpubid = p.oid order by 1),                     -- since 15
       '{}'::text[],  -- until 14
       o.rolname
  from pg_publication p
  left join pg_roles o on o.oid = p.pubowner
