-- Triggers that somebody made: no internal ones, and no copies on partitions unless switched on or off there.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select t.oid,
       t.tgrelid,
       t.tgname,
       substr(pg_get_triggerdef(t.oid),
              length('CREATE ' || case when t.tgconstraint <> 0 then 'CONSTRAINT ' else '' end
                     || 'TRIGGER ' || quote_ident(t.tgname)) + 2),
       t.tgconstraint <> 0,
       case t.tgenabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica' else 'always' end
  from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
  join pg_namespace n on n.oid = c.relnamespace
 where (not t.tgisinternal
        -- Copies on partitions were called internal.
        or exists (select from pg_trigger p where p.oid = t.tgparentid and not p.tgisinternal)  -- until 14
       )
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and t.tgrelid = any (%(relations)s::oid[])  -- partial
   and not exists (select from pg_trigger p where p.oid = t.tgparentid and p.tgenabled = t.tgenabled)
 order by t.tgrelid, t.tgname
