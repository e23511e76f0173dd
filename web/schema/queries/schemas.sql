-- Schemas other than the system's and temporary ones; those that an extension made are left to it.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select n.oid,
       n.nspname,
       o.rolname,
       n.nspacl::text[],
       case when n.nspacl is not null then acldefault('n', n.nspowner)::text[] end
  from pg_namespace n
  left join pg_roles o on o.oid = n.nspowner
 where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e')
