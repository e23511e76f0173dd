-- Functions, procedures and aggregates, as the server writes them; extensions' own are left out, and so is what
-- an aggregate or a range type made for itself.
-- Privilege: none beyond reading pg_catalog. Oldest server: 14.
select p.oid,
       n.nspname,
       p.proname,
       oidvectortypes(p.proargtypes),
       case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' when 'w' then 'window function'
                      else 'function' end,
       case when p.prokind = 'a'
            then concat_ws(', ',
                   '(' || pg_get_function_arguments(p.oid) || ') (sfunc = ' || ag.aggtransfn::text,
                   'stype = ' || format_type(ag.aggtranstype, null),
                   'sspace = ' || nullif(ag.aggtransspace, 0),
                   'finalfunc = ' || nullif(ag.aggfinalfn::text, '-'),
                   case when ag.aggfinalextra then 'finalfunc_extra' end,
                   'finalfunc_modify = ' || case ag.aggfinalmodify when 'r' then 'read_only' when 's' then 'shareable'
                                                                   else 'read_write' end,
                   'combinefunc = ' || nullif(ag.aggcombinefn::text, '-'),
                   'serialfunc = ' || nullif(ag.aggserialfn::text, '-'),
                   'deserialfunc = ' || nullif(ag.aggdeserialfn::text, '-'),
                   'initcond = ' || quote_literal(ag.agginitval),
                   'msfunc = ' || nullif(ag.aggmtransfn::text, '-'),
                   'minvfunc = ' || nullif(ag.aggminvtransfn::text, '-'),
                   'mstype = ' || case when ag.aggmtranstype <> 0 then format_type(ag.aggmtranstype, null) end,
                   'msspace = ' || nullif(ag.aggmtransspace, 0),
                   'mfinalfunc = ' || nullif(ag.aggmfinalfn::text, '-'),
                   case when ag.aggmfinalextra then 'mfinalfunc_extra' end,
                   'mfinalfunc_modify = ' || case when ag.aggmtransfn <> 0
                                                  then case ag.aggmfinalmodify when 'r' then 'read_only'
                                                            when 's' then 'shareable' else 'read_write' end end,
                   'minitcond = ' || quote_literal(ag.aggminitval),
                   'sortop = ' || (select 'operator(' || quote_ident(sn.nspname) || '.' || so.oprname || ')'
                                     from pg_operator so join pg_namespace sn on sn.oid = so.oprnamespace
                                    where so.oid = ag.aggsortop),
                   case when ag.aggkind = 'h' then 'hypothetical' end,
                   'parallel = ' || case p.proparallel when 's' then 'safe' when 'r' then 'restricted'
                                                       else 'unsafe' end) || ')'
            else substr(pg_get_functiondef(p.oid),
                        length('CREATE OR REPLACE ' || case p.prokind when 'p' then 'PROCEDURE ' else 'FUNCTION ' end
                               || quote_ident(n.nspname) || '.' || quote_ident(p.proname)) + 1) end,
       o.rolname,
       p.proacl::text[],
       case when p.proacl is not null then acldefault('f', p.proowner)::text[] end
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  left join pg_aggregate ag on ag.aggfnoid = p.oid
  left join pg_roles o on o.oid = p.proowner
 where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and p.oid = any (%(functions)s::oid[])  -- partial
   and not exists (select from pg_depend d
                    where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i'))
