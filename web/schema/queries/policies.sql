-- Row-security policies with the names of their roles (PUBLIC where they hold for everybody).
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select p.oid,
       p.polrelid,
       p.polname,
       case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE'
                     when 'd' then 'DELETE' else 'ALL' end,
       p.polpermissive,
       case when p.polroles = '{0}' then array['PUBLIC']
            else array(select quote_ident(r.rolname) from pg_roles r where r.oid = any (p.polroles) order by 1) end,
       pg_get_expr(p.polqual, p.polrelid),
       pg_get_expr(p.polwithcheck, p.polrelid)
  from pg_policy p
  join pg_class c on c.oid = p.polrelid
  join pg_namespace n on n.oid = c.relnamespace
 where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and p.polrelid = any (%(relations)s::oid[])  -- partial
 order by p.polrelid, p.polname
