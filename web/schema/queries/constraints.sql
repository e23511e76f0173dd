-- Constraints of tables and domains, each with the index that backs it and has to be valid for it to be. Left out: what
-- a partition or child has only from its parent, and constraint triggers (they are triggers). Not-null constraints come
-- with the number of their column.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select con.oid,
       con.conrelid,
       con.contypid,
       con.conname,
       con.contype::text,
       pg_get_constraintdef(con.oid),
       case when con.condeferred then 'DEFERRABLE INITIALLY DEFERRED' when con.condeferrable then 'DEFERRABLE' end,
       con.convalidated and coalesce(i.indisvalid, true),
       con.conenforced,  -- since 18
       true,             -- until 17
       con.connoinherit,
       ic.reloptions,
       ts.spcname,
       coalesce(i.indisclustered, false),
       case checks.enabled when 'D' then 'disabled' when 'R' then 'replica' when 'A' then 'always' else 'origin' end,
       con.conkey[1]
  from pg_constraint con
  join pg_namespace n on n.oid = con.connamespace
  left join pg_index i on i.indexrelid = con.conindid and con.contype in ('p', 'u', 'x')
  left join pg_class ic on ic.oid = i.indexrelid
  left join pg_tablespace ts on ts.oid = ic.reltablespace
  -- ALTER TABLE ... DISABLE TRIGGER ALL switches off the triggers that check foreign keys.
  left join (select t.tgconstraint, min(t.tgenabled) as enabled
               from pg_trigger t
              where t.tgisinternal and t.tgconstraint <> 0 and t.tgenabled <> 'O'
              group by t.tgconstraint) checks on checks.tgconstraint = con.oid
 where con.contype <> 't'
   and (con.conrelid = any (%(relations)s::oid[]) or con.contypid = any (%(types)s::oid[]))  -- partial
   and con.conparentid = 0
   and (con.conislocal or con.coninhcount = 0)
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
 order by con.conrelid, con.contypid, con.conname
