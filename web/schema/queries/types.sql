-- Enums, domains, composite and range types; a table's row type, array and multirange types are left to what makes them.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select t.oid,
       n.nspname,
       t.typname,
       t.typtype::text,
       t.typrelid,
       case when t.typtype = 'e'
            then array(select e.enumlabel::text from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder) end,
       case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end,
       t.typnotnull,
       case when t.typtype = 'd' then coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault) end,
       case when t.typtype = 'd' and t.typcollation <> bt.typcollation
            then quote_ident(cn.nspname) || '.' || quote_ident(co.collname) end,
       case when t.typtype = 'r'
            then concat_ws(', ',
                   'subtype = ' || format_type(r.rngsubtype, null),
                   'subtype_opclass = ' || (select quote_ident(opn.nspname) || '.' || quote_ident(opc.opcname)
                                              from pg_opclass opc join pg_namespace opn on opn.oid = opc.opcnamespace
                                             where opc.oid = r.rngsubopc),
                   'collation = ' || (select quote_ident(rcn.nspname) || '.' || quote_ident(rco.collname)
                                        from pg_collation rco join pg_namespace rcn on rcn.oid = rco.collnamespace
                                       where rco.oid = r.rngcollation),
                   'canonical = ' || nullif(r.rngcanonical::text, '-'),
                   'subtype_diff = ' || nullif(r.rngsubdiff::text, '-'),
                   'multirange_type_name = ' || format_type(r.rngmultitypid, null)) end,
       o.rolname,
       t.typacl::text[],
       case when t.typacl is not null then acldefault('T', t.typowner)::text[] end
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
  left join pg_class tc on tc.oid = t.typrelid
  left join pg_roles o on o.oid = t.typowner
  left join pg_type bt on bt.oid = t.typbasetype
  left join pg_collation co on co.oid = t.typcollation
  left join pg_namespace cn on cn.oid = co.collnamespace
  left join pg_range r on r.rngtypid = t.oid
 where (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and tc.relkind = 'c'))
   and t.oid = any (%(types)s::oid[])  -- partial
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
