-- What is defined in terms of changed objects, they themselves included, however indirectly: catalog, oid, and the
-- relation, type or function it belongs to, as places (see object_tokens.sql); 0 where it belongs to none of them.
-- A sequence brings the table that owns it. Privilege: none beyond reading pg_catalog. Oldest server: 14.
with recursive changed as (
  select case place >> 32 when 0 then 'pg_class'::regclass when 1 then 'pg_type'::regclass
                          else 'pg_proc'::regclass end::oid as catalog,
         (place & 4294967295)::oid as oid
    from unnest(%(places)s::bigint[]) place
),
-- The catalog of a composite type's columns is its relation's.
seed as (
  select catalog, oid from changed
  union
  select 'pg_class'::regclass::oid, t.typrelid from changed c join pg_type t on t.oid = c.oid
   where c.catalog = 'pg_type'::regclass and t.typrelid <> 0
),
reached as (
  select catalog, oid from seed
  union
  select d.classid, d.objid
    from reached r join pg_depend d on d.refclassid = r.catalog and d.refobjid = r.oid
),
-- Policies, rules and the like, by the relation they are part of.
placed as (
  select r.catalog,
         r.oid,
         coalesce(c.oid, i.indrelid, con.conrelid, def.adrelid, tr.tgrelid, rw.ev_class, pol.polrelid, st.stxrelid)
           as relation,
         coalesce(t.oid, ct.oid, nullif(con.contypid, 0)) as type,
         p.oid as function
    from reached r
    left join pg_class k on r.catalog = 'pg_class'::regclass and k.oid = r.oid
    left join pg_class c on c.oid = k.oid and k.relkind not in ('i', 'I', 'c', 't')
    left join pg_index i on k.relkind in ('i', 'I') and i.indexrelid = k.oid
    left join pg_type ct on k.relkind = 'c' and ct.oid = k.reltype
    left join pg_type t on r.catalog = 'pg_type'::regclass and t.oid = r.oid
    left join pg_proc p on r.catalog = 'pg_proc'::regclass and p.oid = r.oid
    left join pg_constraint con on r.catalog = 'pg_constraint'::regclass and con.oid = r.oid
    left join pg_attrdef def on r.catalog = 'pg_attrdef'::regclass and def.oid = r.oid
    left join pg_trigger tr on r.catalog = 'pg_trigger'::regclass and tr.oid = r.oid
    left join pg_rewrite rw on r.catalog = 'pg_rewrite'::regclass and rw.oid = r.oid
    left join pg_policy pol on r.catalog = 'pg_policy'::regclass and pol.oid = r.oid
    left join pg_statistic_ext st on r.catalog = 'pg_statistic_ext'::regclass and st.oid = r.oid
)
select catalog::regclass::text,
       oid,
       case when function is not null then function::bigint + 8589934592
            when type is not null then type::bigint + 4294967296
            else coalesce(nullif(relation, 0)::bigint, 0) end
  from placed
union
select 'pg_class', d.refobjid, d.refobjid::bigint
  from placed p
  join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = p.relation and d.objsubid = 0
                  and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
 where p.catalog = 'pg_class'::regclass
