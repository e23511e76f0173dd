-- One text that changes when the schema does: hashes over xmin and ctid of the catalog rows, temporary objects left out.
-- pg_class is hashed by content, because TRUNCATE, REFRESH and rewrites replace its rows; so are the shared catalogs,
-- whose rows other databases touch. Sums do not depend on the order of rows. Good for one database only.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
with passing as materialized (
  -- Temporary relations, and what VACUUM FULL and REFRESH build on the way.
  select c.oid from pg_class c
   where c.relpersistence = 't'
      -- Cheaper than the regular expression alone, which few names then meet.
      or c.relname like 'pg!_temp!_%' escape '!' and c.relname ~ '^pg_temp_[0-9]+$'
),
-- Only columns and indexes have rows for these too; all others look into the few that pass.
toast as materialized (
  select c.oid from pg_class c where c.relnamespace = 'pg_toast'::regnamespace
)
select concat_ws('-',
  (select count(*) || '.' ||
          coalesce(sum(hash_record_extended(row(c.oid, c.relname, c.relnamespace, c.relowner, c.relam, c.relkind,
                                                c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
                                                c.relreplident, c.relispartition, c.reloftype, c.reltablespace,
                                                c.relacl::text, c.reloptions::text, c.relpartbound::text,
                                                toast.reloptions::text), 0)), 0)
     from pg_class c
     left join pg_class toast on toast.oid = c.reltoastrelid and toast.reloptions is not null
    where c.oid >= 16384 and c.relnamespace <> 'pg_toast'::regnamespace and c.oid not in (select oid from passing)),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(a.xmin, a.ctid), 0)), 0)
     from pg_attribute a where a.attnum > 0 and a.attrelid >= 16384
      and a.attrelid not in (select oid from passing union all select oid from toast)),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(d.xmin, d.ctid), 0)), 0)
     from pg_attrdef d where d.adrelid not in (select oid from passing)),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(c.xmin, c.ctid), 0)), 0)
     from pg_constraint c where c.oid >= 16384 and c.conrelid not in (select oid from passing)),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(i.xmin, i.ctid), 0)), 0)
     from pg_index i where i.indexrelid >= 16384
      and i.indrelid not in (select oid from passing union all select oid from toast)),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(t.xmin, t.ctid), 0)), 0)
     from pg_trigger t where t.tgrelid not in (select oid from passing)),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(r.xmin, r.ctid), 0)), 0)
     from pg_rewrite r where r.oid >= 16384 and r.ev_class not in (select oid from passing)),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(h.xmin, h.ctid), 0)), 0)
     from pg_inherits h where h.inhrelid not in (select oid from passing)),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(s.xmin, s.ctid), 0)), 0)
     from pg_sequence s where s.seqrelid not in (select oid from passing)),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(t.xmin, t.ctid), 0)), 0)
     from pg_type t where t.oid >= 16384 and t.typcategory <> 'A'
      and t.typrelid not in (select oid from passing)),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(d.xmin, d.ctid), 0)), 0)
     from pg_description d where (d.objoid >= 16384 or d.classoid = 'pg_namespace'::regclass)
      and d.classoid <> 'pg_largeobject'::regclass),
  -- Few rows each.
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(x.catalog, x.xmin, x.ctid), 0)), 0) from (
     select 1 as catalog, xmin, ctid from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
     union all select 2, xmin, ctid from pg_extension
     union all select 3, xmin, ctid from pg_enum
     union all select 4, xmin, ctid from pg_range where rngtypid >= 16384
     union all select 5, xmin, ctid from pg_proc where oid >= 16384
     union all select 6, xmin, ctid from pg_aggregate where aggfnoid >= 16384
     union all select 7, xmin, ctid from pg_event_trigger
     union all select 8, xmin, ctid from pg_policy
     union all select 9, xmin, ctid from pg_default_acl
     union all select 10, xmin, ctid from pg_statistic_ext
     union all select 11, xmin, ctid from pg_publication
     union all select 12, xmin, ctid from pg_publication_rel
     union all select 13, xmin, ctid from pg_publication_namespace  -- since 15
     union all select 14, xmin, ctid from pg_cast where oid >= 16384
     union all select 15, xmin, ctid from pg_operator where oid >= 16384
     union all select 16, xmin, ctid from pg_opclass where oid >= 16384
     union all select 17, xmin, ctid from pg_amop where oid >= 16384
     union all select 18, xmin, ctid from pg_amproc where oid >= 16384
     union all select 19, xmin, ctid from pg_collation where oid >= 16384
     union all select 20, xmin, ctid from pg_ts_config
     union all select 21, xmin, ctid from pg_ts_config_map
     union all select 22, xmin, ctid from pg_ts_dict
     union all select 23, xmin, ctid from pg_foreign_data_wrapper
     union all select 24, xmin, ctid from pg_foreign_server
     union all select 25, xmin, ctid from pg_foreign_table
     union all select 26, xmin, ctid from pg_language
     union all select 27, xmin, ctid from pg_partitioned_table
     union all select 28, xmin, ctid from pg_am) x),
  -- What belongs to extensions.
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(d.classid, d.objid), 0)), 0)
     from pg_depend d where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(m.umid, m.srvid, m.usename), 0)), 0)
     from pg_user_mappings m),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(r.oid, r.rolname), 0)), 0) from pg_roles r),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(t.oid, t.spcname), 0)), 0) from pg_tablespace t),
  (select count(*) || '.' || coalesce(sum(hash_record_extended(row(s.setrole, s.setconfig::text), 0)), 0)
     from pg_db_role_setting s where s.setdatabase = (select oid from pg_database where datname = current_database())),
  (select hash_record_extended(row(d.datdba, d.datacl::text, shobj_description(d.oid, 'pg_database')), 0)::text
     from pg_database d where d.datname = current_database()))
