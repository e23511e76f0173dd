-- Settings of this database, for every role or for one, one row per parameter.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select coalesce(r.rolname, ''),
       split_part(item, '=', 1),
       substr(item, strpos(item, '=') + 1)
  from pg_db_role_setting s
 cross join unnest(s.setconfig) item
  left join pg_roles r on r.oid = s.setrole
 where s.setdatabase = (select oid from pg_database where datname = current_database())
