-- Installed extensions with version and schema.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select e.oid,
       e.extname,
       n.nspname,
       e.extversion
  from pg_extension e
  join pg_namespace n on n.oid = e.extnamespace
