-- Which objects have changed: tokens by object, as bytes (place and hash, 8 each), and those of kinds that are read whole.
-- An object is a relation, a type (its oid plus 1 << 32) or a function (2 << 32); parts count for what they belong to:
-- indexes, constraints, triggers, rules, policies, statistics, columns and comments for their table. The last token is
-- of what definitions of other objects name without an entry here: schemas, extensions, roles, operators and the like.
-- What is hashed is as in token.sql; the numbers keep rows of two catalogs apart. Good for one database only.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
with relation as materialized (
  select c.oid,
         c.relkind,
         case when c.relkind in ('i', 'I') then i.indrelid::bigint
              when c.relkind = 'c' then c.reltype::bigint + 4294967296
              else c.oid::bigint end as place,
         hash_record_extended(row(c.oid, c.relname, c.relnamespace, c.relowner, c.relam, c.relkind, c.relpersistence,
                                  c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relispartition,
                                  c.reloftype, c.reltablespace, c.relacl::text, c.reloptions::text,
                                  c.relpartbound::text, toast.reloptions::text), 1) as content
    from pg_class c
    left join pg_class toast on toast.oid = c.reltoastrelid and toast.reloptions is not null
    left join pg_index i on i.indexrelid = c.oid
   where c.oid >= 16384
     and c.relnamespace <> 'pg_toast'::regnamespace
     -- Temporary relations, and what VACUUM FULL and REFRESH build on the way.
     and c.relpersistence <> 't'
     -- Cheaper than the regular expression alone, which few names then meet.
     and (c.relname not like 'pg!_temp!_%' escape '!' or c.relname !~ '^pg_temp_[0-9]+$')
),
type as materialized (
  select t.oid,
         t.oid::bigint + 4294967296 as place,
         hash_record_extended(row(t.xmin, t.ctid), 2) as content
    from pg_type t
   where t.oid >= 16384
     and t.typtype <> 'm' and t.typcategory <> 'A'
     and (t.typtype <> 'c' or exists (select from relation r where r.oid = t.typrelid and r.relkind = 'c'))
     and t.typname !~ '^pg_temp_[0-9]+$'
     and t.typnamespace not in (select n.oid from pg_namespace n where n.nspname ~ '^pg_temp_')
),
held as (
  select case when c.contypid <> 0 then c.contypid::bigint + 4294967296 else r.place end as place,
         hash_record_extended(row(c.xmin, c.ctid), 3) as content
    from pg_constraint c left join relation r on r.oid = c.conrelid
   where c.oid >= 16384 and (c.contypid <> 0 or r.oid is not null)
  union all
  select r.place, hash_record_extended(row(t.xmin, t.ctid), 4)
    from pg_trigger t join relation r on r.oid = t.tgrelid
  union all
  select r.place, hash_record_extended(row(w.xmin, w.ctid), 5)
    from pg_rewrite w join relation r on r.oid = w.ev_class
  union all
  select r.place, hash_record_extended(row(p.xmin, p.ctid), 6)
    from pg_policy p join relation r on r.oid = p.polrelid
  union all
  select r.place, hash_record_extended(row(s.xmin, s.ctid), 7)
    from pg_statistic_ext s join relation r on r.oid = s.stxrelid
),
comment as materialized (
  select d.classoid, coalesce(d.place, r.place) as place, d.content
    from (select classoid,
                 case classoid
                   when 'pg_type'::regclass then objoid::bigint + 4294967296
                   when 'pg_proc'::regclass then objoid::bigint + 8589934592
                   when 'pg_constraint'::regclass then
                     (select contypid::bigint + 4294967296 from pg_constraint where oid = objoid and contypid <> 0)
                 end as place,
                 case classoid
                   when 'pg_class'::regclass then objoid
                   when 'pg_constraint'::regclass then (select conrelid from pg_constraint where oid = objoid)
                   when 'pg_trigger'::regclass then (select tgrelid from pg_trigger where oid = objoid)
                   when 'pg_rewrite'::regclass then (select ev_class from pg_rewrite where oid = objoid)
                   when 'pg_policy'::regclass then (select polrelid from pg_policy where oid = objoid)
                   when 'pg_statistic_ext'::regclass then (select stxrelid from pg_statistic_ext where oid = objoid)
                 end as relation,
                 hash_record_extended(row(xmin, ctid), 8) as content
            from pg_description
           where (objoid >= 16384 or classoid = 'pg_namespace'::regclass)
             and classoid <> 'pg_largeobject'::regclass) d
    left join relation r on r.oid = d.relation
),
part as (
  select place, content from relation
  union all select place, content from type
  union all select place, content from held
  union all select place, content from comment where place is not null
  union all
  select r.place, hash_record_extended(row(a.xmin, a.ctid), 9)
    from pg_attribute a join relation r on r.oid = a.attrelid
   where a.attnum > 0 and a.attrelid >= 16384 and (r.relkind not in ('i', 'I') or a.attstattarget >= 0)
  union all
  select r.place, hash_record_extended(row(d.xmin, d.ctid), 10)
    from pg_attrdef d join relation r on r.oid = d.adrelid
  union all
  select r.place, hash_record_extended(row(i.xmin, i.ctid), 11)
    from pg_index i join relation r on r.oid = i.indrelid
   where i.indexrelid >= 16384
  union all
  select r.place, hash_record_extended(row(h.xmin, h.ctid), 12)
    from pg_inherits h join relation r on r.oid = h.inhrelid
  union all
  select r.place, hash_record_extended(row(s.xmin, s.ctid), 13)
    from pg_sequence s join relation r on r.oid = s.seqrelid
  union all
  select r.place, hash_record_extended(row(f.xmin, f.ctid), 14)
    from pg_foreign_table f join relation r on r.oid = f.ftrelid
  union all
  select r.place, hash_record_extended(row(p.xmin, p.ctid), 15)
    from pg_partitioned_table p join relation r on r.oid = p.partrelid
  union all
  select e.enumtypid::bigint + 4294967296, hash_record_extended(row(e.xmin, e.ctid), 16)
    from pg_enum e join type t on t.oid = e.enumtypid
  union all
  select g.rngtypid::bigint + 4294967296, hash_record_extended(row(g.xmin, g.ctid, m.xmin, m.ctid), 17)
    from pg_range g join type t on t.oid = g.rngtypid left join pg_type m on m.oid = g.rngmultitypid
  union all
  select p.oid::bigint + 8589934592, hash_record_extended(row(p.oid, p.xmin, p.ctid), 18)
    from pg_proc p where p.oid >= 16384
  union all
  select a.aggfnoid::oid::bigint + 8589934592, hash_record_extended(row(a.xmin, a.ctid), 19)
    from pg_aggregate a where a.aggfnoid >= 16384
)
select (select string_agg(int8send(o.place) || int8send(o.content), '')
          from (select place, bit_xor(content) as content from part group by place) o),
       (select bit_xor(x.content)
          from (select hash_record_extended(row(e.xmin, e.ctid), 1) as content from pg_event_trigger e
                union all select c.content from comment c where c.classoid = 'pg_event_trigger'::regclass) x),
       (select bit_xor(x.content)
          from (select hash_record_extended(row(p.xmin, p.ctid), 1) as content from pg_publication p
                union all select hash_record_extended(row(r.xmin, r.ctid), 2) from pg_publication_rel r
                union all select hash_record_extended(row(n.xmin, n.ctid), 3) from pg_publication_namespace n  -- since 15
                union all select c.content from comment c where c.classoid = 'pg_publication'::regclass) x),
       (select bit_xor(hash_record_extended(row(d.xmin, d.ctid), 1)) from pg_default_acl d),
       (select bit_xor(hash_record_extended(row(s.setrole, s.setconfig::text), 1)) from pg_db_role_setting s
         where s.setdatabase = (select oid from pg_database where datname = current_database())),
       (select hash_record_extended(row(d.datdba, d.datacl::text, shobj_description(d.oid, 'pg_database')), 1)
          from pg_database d where d.datname = current_database()),
       (select bit_xor(x.content)
          from (select hash_record_extended(row(xmin, ctid), 1) as content from pg_namespace
                 where nspname !~ '^pg_(toast_)?temp_'
                union all select hash_record_extended(row(xmin, ctid), 2) from pg_extension
                -- What belongs to an extension.
                union all select hash_record_extended(row(classid, objid), 3) from pg_depend
                           where refclassid = 'pg_extension'::regclass and deptype = 'e'
                union all select hash_record_extended(row(xmin, ctid), 4) from pg_cast where oid >= 16384
                union all select hash_record_extended(row(xmin, ctid), 5) from pg_operator where oid >= 16384
                union all select hash_record_extended(row(xmin, ctid), 6) from pg_opclass where oid >= 16384
                union all select hash_record_extended(row(xmin, ctid), 7) from pg_amop where oid >= 16384
                union all select hash_record_extended(row(xmin, ctid), 8) from pg_amproc where oid >= 16384
                union all select hash_record_extended(row(xmin, ctid), 9) from pg_collation where oid >= 16384
                union all select hash_record_extended(row(xmin, ctid), 10) from pg_ts_config
                union all select hash_record_extended(row(xmin, ctid), 11) from pg_ts_config_map
                union all select hash_record_extended(row(xmin, ctid), 12) from pg_ts_dict
                union all select hash_record_extended(row(xmin, ctid), 13) from pg_foreign_data_wrapper
                union all select hash_record_extended(row(xmin, ctid), 14) from pg_foreign_server
                union all select hash_record_extended(row(xmin, ctid), 15) from pg_language
                union all select hash_record_extended(row(xmin, ctid), 16) from pg_am
                union all select hash_record_extended(row(umid, srvid, usename), 17) from pg_user_mappings
                union all select hash_record_extended(row(oid, rolname), 18) from pg_roles
                union all select hash_record_extended(row(oid, spcname), 19) from pg_tablespace
                union all select c.content from comment c
                           where c.place is null
                             and c.classoid not in ('pg_event_trigger'::regclass, 'pg_publication'::regclass)) x)
