-- Rewrite rules other than those that make a view a view.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select r.oid,
       r.ev_class,
       r.rulename,
       substr(pg_get_ruledef(r.oid), length('CREATE RULE ' || quote_ident(r.rulename) || ' AS') + 1),
       case r.ev_enabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica' else 'always' end
  from pg_rewrite r
  join pg_class c on c.oid = r.ev_class
  join pg_namespace n on n.oid = c.relnamespace
 where r.rulename <> '_RETURN'
   and r.ev_class = any (%(relations)s::oid[])  -- partial
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
 order by r.ev_class, r.rulename
