-- Event triggers, extensions' own left out.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select e.oid,
       e.evtname,
       e.evtevent,
       array(select unnest(e.evttags) order by 1),
       e.evtfoid::regproc::text,
       case e.evtenabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica' else 'always' end,
       o.rolname
  from pg_event_trigger e
  left join pg_roles o on o.oid = e.evtowner
 where not exists (select from pg_depend d
                    where d.classid = 'pg_event_trigger'::regclass and d.objid = e.oid and d.deptype = 'e')
