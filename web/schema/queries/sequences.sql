-- Sequences with the column that owns them, be it by identity, serial or OWNED BY.
-- Privilege: none beyond reading pg_catalog (not their values). Oldest server: 14.
select c.oid,
       n.nspname,
       c.relname,
       format_type(s.seqtypid, null),
       s.seqstart,
       s.seqincrement,
       s.seqmin,
       s.seqmax,
       s.seqcache,
       s.seqcycle,
       c.relpersistence::text,
       own.refobjid,
       quote_ident(tn.nspname) || '.' || quote_ident(tc.relname) || '.' || quote_ident(a.attname),
       coalesce(own.deptype = 'i', false),
       o.rolname,
       c.relacl::text[],
       case when c.relacl is not null then acldefault('s', c.relowner)::text[] end
  from pg_sequence s
  join pg_class c on c.oid = s.seqrelid
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_roles o on o.oid = c.relowner
  left join pg_depend own on own.classid = 'pg_class'::regclass and own.objid = c.oid and own.objsubid = 0
                         and own.refclassid = 'pg_class'::regclass and own.refobjsubid > 0
                         and own.deptype in ('a', 'i')
  left join pg_class tc on tc.oid = own.refobjid
  left join pg_namespace tn on tn.oid = tc.relnamespace
  left join pg_attribute a on a.attrelid = own.refobjid and a.attnum = own.refobjsubid
 where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and c.oid = any (%(relations)s::oid[])  -- partial
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
