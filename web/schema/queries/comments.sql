-- Comments on whatever is not the system's: catalog, object, column number (0: the object itself), text.
-- Those on large objects are data.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select d.classoid::regclass::text,
       d.objoid,
       d.objsubid,
       d.description
  from pg_description d
 where (d.objoid >= 16384 or d.classoid = 'pg_namespace'::regclass)
   and d.classoid <> 'pg_largeobject'::regclass
   and d.objoid = any (%(objects)s::oid[])  -- partial
