-- Tables, partitioned and foreign tables, views and materialized views, without temporary ones and extensions' own.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select c.oid,
       n.nspname,
       c.relname,
       c.relkind::text,
       c.relpersistence::text,
       nullif(am.amname, 'heap'),
       case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,
       parent.names,
       pg_get_expr(c.relpartbound, c.oid),
       case when c.reloftype <> 0 then format_type(c.reloftype, null) end,
       c.reloptions || (select array_agg('toast.' || each) from unnest(toast.reloptions) each),
       c.relrowsecurity,
       c.relforcerowsecurity,
       case c.relreplident when 'd' then 'default' when 'f' then 'full' when 'n' then 'nothing'
            else 'index ' || (select quote_ident(ic.relname) from pg_index i join pg_class ic on ic.oid = i.indexrelid
                               where i.indrelid = c.oid and i.indisreplident) end,
       ts.spcname,
       case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
       fs.srvname,
       ft.ftoptions,
       o.rolname,
       c.relacl::text[],
       case when c.relacl is not null then acldefault('r', c.relowner)::text[] end
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_roles o on o.oid = c.relowner
  left join pg_am am on am.oid = c.relam
  left join pg_tablespace ts on ts.oid = c.reltablespace
  left join pg_class toast on toast.oid = c.reltoastrelid and toast.reloptions is not null
  left join pg_foreign_table ft on ft.ftrelid = c.oid
  left join pg_foreign_server fs on fs.oid = ft.ftserver
  left join (select i.inhrelid,
                    array_agg(quote_ident(pn.nspname) || '.' || quote_ident(pc.relname) order by i.inhseqno) as names
               from pg_inherits i
               join pg_class pc on pc.oid = i.inhparent and pc.relkind in ('r', 'p', 'f')
               join pg_namespace pn on pn.oid = pc.relnamespace
              group by i.inhrelid) parent on parent.inhrelid = c.oid
 where c.relkind in ('r', 'p', 'f', 'v', 'm')
   and c.oid = any (%(relations)s::oid[])  -- partial
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
