-- Default privileges by role, schema and kind of object.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select o.rolname,
       coalesce(n.nspname, ''),
       case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
                            when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end,
       d.defaclacl::text[],
       -- A schema's entry is added to the global one, so its own default is nothing.
       case when d.defaclnamespace = 0
            then acldefault(case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end, d.defaclrole)::text[] end
  from pg_default_acl d
  left join pg_namespace n on n.oid = d.defaclnamespace
  left join pg_roles o on o.oid = d.defaclrole
