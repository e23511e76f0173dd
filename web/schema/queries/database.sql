-- The database's own grants and comment, one row.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select (select o.rolname from pg_roles o where o.oid = d.datdba),
       d.datacl::text[],
       case when d.datacl is not null then acldefault('d', d.datdba)::text[] end,
       shobj_description(d.oid, 'pg_database')
  from pg_database d
 where d.datname = current_database()
