-- Kinds that are compared by their definition alone: catalog, oid, kind, name, definition, owner, grants.
-- Extensions' own are left out. Privilege: none beyond reading pg_catalog; passwords of user mappings are not read.
-- Oldest server: 14.
with member as materialized (select classid, objid from pg_depend where deptype = 'e')
select x.catalog::text, x.oid, x.kind, x.name, x.definition, o.rolname, x.acl::text[], x.standard::text[]
  from (
    select 'pg_cast'::regclass as catalog, c.oid, 'cast' as kind,
           '(' || format_type(c.castsource, null) || ' AS ' || format_type(c.casttarget, null) || ')' as name,
           concat_ws(' ', case c.castmethod when 'f' then 'WITH FUNCTION ' || c.castfunc::regprocedure::text
                                            when 'i' then 'WITH INOUT' else 'WITHOUT FUNCTION' end,
                     case c.castcontext when 'a' then 'AS ASSIGNMENT' when 'i' then 'AS IMPLICIT' end) as definition,
           null::oid as owner, null::aclitem[] as acl, null::aclitem[] as standard
      from pg_cast c where c.oid >= 16384
       and not exists (select from pg_range r where r.rngtypid = c.castsource and r.rngmultitypid = c.casttarget)
    union all
    select 'pg_operator'::regclass, p.oid, 'operator', p.oid::regoperator::text,
           concat_ws(', ', 'function = ' || nullif(p.oprcode::text, '-'),
                     'commutator = ' || case when p.oprcom <> 0 then p.oprcom::regoperator::text end,
                     'negator = ' || case when p.oprnegate <> 0 then p.oprnegate::regoperator::text end,
                     'restrict = ' || nullif(p.oprrest::text, '-'), 'join = ' || nullif(p.oprjoin::text, '-'),
                     case when p.oprcanmerge then 'merges' end, case when p.oprcanhash then 'hashes' end),
           p.oprowner, null, null
      from pg_operator p join pg_namespace n on n.oid = p.oprnamespace
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and p.oprcode <> 0
    union all
    select 'pg_opclass'::regclass, k.oid, 'operator class',
           quote_ident(n.nspname) || '.' || quote_ident(k.opcname) || ' USING ' || quote_ident(am.amname),
           concat_ws(', ', case when k.opcdefault then 'default' end, 'for type ' || format_type(k.opcintype, null),
                     'storage ' || case when k.opckeytype <> 0 then format_type(k.opckeytype, null) end,
                     (select string_agg('operator ' || ao.amopstrategy || ' ' || ao.amopopr::regoperator::text, ', '
                                        order by ao.amopstrategy, ao.amopopr::regoperator::text)
                        from pg_amop ao where ao.amopfamily = k.opcfamily and ao.amoplefttype = k.opcintype),
                     (select string_agg('function ' || ap.amprocnum || ' ' || ap.amproc::regprocedure::text, ', '
                                        order by ap.amprocnum, ap.amproc::regprocedure::text)
                        from pg_amproc ap where ap.amprocfamily = k.opcfamily and ap.amproclefttype = k.opcintype)),
           k.opcowner, null, null
      from pg_opclass k join pg_namespace n on n.oid = k.opcnamespace join pg_am am on am.oid = k.opcmethod
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'pg_collation'::regclass, c.oid, 'collation', quote_ident(n.nspname) || '.' || quote_ident(c.collname),
           concat_ws(', ', 'provider = ' || c.collprovider::text, 'deterministic = ' || c.collisdeterministic,
                     'locale = ' || quote_literal(c.colllocale),     -- since 17
                     'rules = ' || quote_literal(c.collicurules),    -- since 16
                     'locale = ' || quote_literal(c.colliculocale),  -- since 15 until 16
                     'lc_collate = ' || quote_literal(c.collcollate), 'lc_ctype = ' || quote_literal(c.collctype)),
           c.collowner, null, null
      from pg_collation c join pg_namespace n on n.oid = c.collnamespace
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'pg_ts_config'::regclass, c.oid, 'text search configuration',
           quote_ident(n.nspname) || '.' || quote_ident(c.cfgname),
           concat_ws(', ', 'parser = ' || (select quote_ident(pn.nspname) || '.' || quote_ident(p.prsname)
                                             from pg_ts_parser p join pg_namespace pn on pn.oid = p.prsnamespace
                                            where p.oid = c.cfgparser),
                     (select string_agg(tt.alias || ' = ' || m.mapdict::regdictionary::text, ', '
                                        order by m.maptokentype, m.mapseqno)
                        from pg_ts_config_map m join ts_token_type(c.cfgparser) tt on tt.tokid = m.maptokentype
                       where m.mapcfg = c.oid)),
           c.cfgowner, null, null
      from pg_ts_config c join pg_namespace n on n.oid = c.cfgnamespace
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'pg_ts_dict'::regclass, c.oid, 'text search dictionary',
           quote_ident(n.nspname) || '.' || quote_ident(c.dictname),
           concat_ws(', ', 'template = ' || (select quote_ident(tn.nspname) || '.' || quote_ident(t.tmplname)
                                               from pg_ts_template t join pg_namespace tn on tn.oid = t.tmplnamespace
                                              where t.oid = c.dicttemplate), c.dictinitoption),
           c.dictowner, null, null
      from pg_ts_dict c join pg_namespace n on n.oid = c.dictnamespace
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'pg_foreign_data_wrapper'::regclass, f.oid, 'foreign data wrapper', quote_ident(f.fdwname),
           concat_ws(', ', 'handler = ' || nullif(f.fdwhandler::regproc::text, '-'),
                     'validator = ' || nullif(f.fdwvalidator::regproc::text, '-'),
                     'options = ' || array(select unnest(f.fdwoptions) order by 1)::text),
           f.fdwowner, f.fdwacl, case when f.fdwacl is not null then acldefault('F', f.fdwowner) end
      from pg_foreign_data_wrapper f
    union all
    select 'pg_foreign_server'::regclass, s.oid, 'server', quote_ident(s.srvname),
           concat_ws(', ', 'wrapper = ' || quote_ident(f.fdwname), 'type = ' || quote_literal(s.srvtype),
                     'version = ' || quote_literal(s.srvversion),
                     'options = ' || array(select unnest(s.srvoptions) order by 1)::text),
           s.srvowner, s.srvacl, case when s.srvacl is not null then acldefault('S', s.srvowner) end
      from pg_foreign_server s join pg_foreign_data_wrapper f on f.oid = s.srvfdw
    union all
    select 'pg_user_mapping'::regclass, m.umid, 'user mapping',
           case when m.umuser = 0 then 'PUBLIC' else quote_ident(m.usename) end || ' on ' || quote_ident(m.srvname),
           '', null, null, null
      from pg_user_mappings m
    union all
    select 'pg_language'::regclass, l.oid, 'language', quote_ident(l.lanname),
           concat_ws(', ', case when l.lanpltrusted then 'trusted' end,
                     'handler = ' || nullif(l.lanplcallfoid::regproc::text, '-')),
           l.lanowner, l.lanacl, case when l.lanacl is not null then acldefault('l', l.lanowner) end
      from pg_language l where l.oid >= 16384 or l.lanacl is not null
  ) x
  left join pg_roles o on o.oid = x.owner
 where not exists (select from member m where m.classid = x.catalog and m.objid = x.oid)
