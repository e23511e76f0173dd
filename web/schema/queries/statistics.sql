-- Extended statistics objects with their table.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select s.oid,
       s.stxrelid,
       n.nspname,
       s.stxname,
       substr(pg_get_statisticsobjdef(s.oid),
              length('CREATE STATISTICS ' || quote_ident(n.nspname) || '.' || quote_ident(s.stxname)) + 2),
       nullif(s.stxstattarget, -1),
       o.rolname
  from pg_statistic_ext s
  join pg_namespace n on n.oid = s.stxnamespace
  left join pg_roles o on o.oid = s.stxowner
 where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and s.stxrelid = any (%(relations)s::oid[])  -- partial
   and not exists (select from pg_depend d
                    where d.classid = 'pg_statistic_ext'::regclass and d.objid = s.oid and d.deptype = 'e')
 order by s.stxrelid, n.nspname, s.stxname
