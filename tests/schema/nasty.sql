-- A schema with something of every kind that PostgreSQL 14 and later have, and names that need care.
create schema "odd ""name""; <b>&";
create extension citext;
create extension pg_trgm schema "odd ""name""; <b>&";
create type mood as enum ('sad', 'ok', 'it''s "fine"');
create domain positive as int default 1 constraint above check (value > 0);
create domain short_text as varchar(10) collate "C" not null;
create type pair as (a int, "B" text collate "C");
create type span as range (subtype = float8, subtype_diff = float8mi);
create sequence plain as int increment 5 minvalue -10 maxvalue 1000 start 7 cache 3 cycle;

create function touch() returns trigger language plpgsql as $$begin new.changed := now(); return new; end$$;
create function add(a int, b int default 2, out total int) language sql immutable strict parallel safe cost 5
  set search_path = pg_catalog as 'select a + b';
create function parsed(x int) returns int language sql begin atomic select x + 1; end;
create procedure proc(inout x int) language plpgsql security definer as 'begin x := x + 1; end';
create aggregate total (int) (sfunc = int4pl, stype = int, initcond = '0', combinefunc = int4pl, parallel = safe);

create table parent (
  id bigint generated always as identity (increment by 2) primary key,
  name citext not null unique deferrable,
  state mood default 'ok' not null,
  amount numeric(10,2) default 0 check (amount >= 0),
  twice numeric generated always as (amount * 2) stored,
  tags text[] default '{}',
  body text compression pglz,
  at timestamptz default '2020-01-01 00:00:00+02',
  changed timestamptz default now(),
  ratio float8 default 0.1,
  raw bytea default '\x00ff',
  wait interval default '1 day 2 hours',
  constraint amounts check (amount < 100000) no inherit
);
create table child (extra positive, where_ point) inherits (parent);
alter table child alter extra set default 5;
create table "odd ""name""; <b>&"."table ""x""" (
  "select" serial primary key, "a b" int references parent on delete set null deferrable initially deferred,
  s short_text, p pair, r span, exclude using gist (r with &&)
);
alter table parent add constraint later check (ratio > 0) not valid;
alter table parent alter tags set statistics 300, alter body set storage external, alter name set (n_distinct = 3);
create index on parent (lower(body)) where state <> 'sad';
create index named on parent using gin (tags) with (fastupdate = off);
create unique index partial on parent (name text_pattern_ops desc nulls last) include (amount) where amount > 1;
create statistics stats (dependencies) on state, amount from parent;
create trigger touched before update of name, body on parent for each row when (old.body is distinct from new.body)
  execute function touch();
create constraint trigger checked after insert on parent deferrable for each row execute function touch();
alter table parent disable trigger touched;
create rule quiet as on delete to child where old.extra > 3 do instead nothing;
alter table parent enable row level security;
alter table parent force row level security;
create policy mine on parent as restrictive for update to schema_alice, "schema ""Carol""" using (amount > 1)
  with check (amount > 2);
alter table parent replica identity full;

create table events (id int not null, at date not null, kind text default 'x', primary key (id, at)) partition by range (at);
create index events_kind on events (kind);
create table events_1 partition of events for values from ('2020-01-01') to ('2021-01-01') with (fillfactor = 80);
create table events_2 partition of events (kind default 'y') for values from ('2021-01-01') to ('2022-01-01')
  partition by hash (id);
create table events_2a partition of events_2 for values with (modulus 1, remainder 0);
create table events_rest partition of events default;
alter table events add foreign key (id) references "odd ""name""; <b>&"."table ""x""";
create table refers (id int, at date, foreign key (id, at) references events);
create trigger each after insert on events for each row execute function touch();
create unlogged table fast (x int) with (autovacuum_enabled = off);

create view names with (security_barrier) as select id, name, state::text as state from parent where amount > 0;
alter view names alter name set default 'nobody';
create view joined as
  select p.id, c.name as other, count(*) over (partition by p.state) from parent p left join child c using (id);
create materialized view sums as select state, sum(amount) as total from parent group by state;
create unique index on sums (state);
create recursive view tree (n) as select 1 union all select n + 1 from tree where n < 5;

create cast (pair as int) with inout as assignment;
create operator === (function = int4eq, leftarg = int, rightarg = int, commutator = ===);
create collation special (provider = libc, locale = 'C');
create text search dictionary words (template = simple, stopwords = english);
create text search configuration search (copy = simple);
alter text search configuration search alter mapping for word with words, english_stem;
create foreign data wrapper wrapper options (a '1');
create server remote foreign data wrapper wrapper options (host 'h', port '1');
create user mapping for public server remote options ("user" 'x');
create foreign table outside (a int options (x 'y') not null) server remote options (t 'z');
create publication pub for table parent, child with (publish = 'insert, update');
create function ddl() returns event_trigger language plpgsql as 'begin end';
create event trigger watch on ddl_command_end when tag in ('CREATE TABLE', 'ALTER TABLE') execute function ddl();

grant select, update on parent to schema_alice with grant option;
grant select (id, name), insert (name) on parent to schema_bob;
grant usage on schema "odd ""name""; <b>&" to public;
revoke execute on function add(int, int) from public;
grant usage on sequence plain to schema_bob;
grant usage on type mood to schema_bob;
alter default privileges in schema public grant select on tables to schema_bob;
alter default privileges for role schema_alice revoke execute on functions from public;
alter table fast owner to schema_alice;
alter view tree owner to "schema ""Carol""";

comment on table parent is 'It''s "parent"';
comment on column parent.name is E'two\nlines';
comment on constraint later on parent is 'c';
comment on index named is 'i';
comment on trigger touched on parent is 't';
comment on policy mine on parent is 'p';
comment on function add(int, int) is 'f';
comment on type mood is 'e';
comment on view names is 'v';
comment on column names.id is 'vc';
comment on schema "odd ""name""; <b>&" is 's';
comment on statistics stats is 'st';
comment on event trigger watch is 'ev';
comment on rule quiet on child is 'r';
