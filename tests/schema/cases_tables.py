"""Change cases: schemas, extensions, tables and partitions."""

from __future__ import annotations

from tests.schema.case import case

T = "create table t (id int primary key, a text, b int not null default 0); "
PARTED = "create table p (id int, at date) partition by range (at); "
PARTS = PARTED + (
    "create table p1 partition of p for values from ('2020-01-01') to ('2021-01-01'); "
    "create table p2 partition of p for values from ('2021-01-01') to ('2022-01-01'); "
)

CASES = (
    # schemas
    case("schema added", "", "create schema s", "structure schema s: added"),
    case("schema dropped", "create schema s", "drop schema s", "structure schema s: removed"),
    case("unlogged table added", "", "create unlogged table u (id int)", "structure table public.u: added"),
    case(
        "one schema for another is no rename",
        "create schema s; create table s.t (id int)",
        "drop schema s cascade; create schema r; create table r.u (code text, at date)",
        "structure schema s: removed",
        "structure table s.t: removed",
        "structure schema r: added",
        "structure table r.u: added",
    ),
    case(
        "schema renamed with what it holds",
        "create schema s; create type s.mood as enum ('ok'); create table s.t (id serial primary "
        "key, m s.mood); "
        "create view s.v as select * from s.t; "
        "create function s.f(s.mood) returns s.mood language sql as 'select $1'",
        "alter schema s rename to r",
        "structure schema r: renamed from s",
    ),
    case(
        "schema owner",
        "create schema s",
        "alter schema s owner to schema_alice",
        "access schema s: owner changed",
    ),
    case(
        "schema comment",
        "create schema s",
        "comment on schema s is 'x'",
        "cosmetic schema s: comment changed",
    ),
    # extensions
    case("extension added", "", "create extension citext", "structure extension citext: added"),
    case(
        "extension dropped",
        "create extension hstore",
        "drop extension hstore",
        "structure extension hstore: removed",
    ),
    case(
        "extension moved",
        "create schema x; create extension pg_trgm",
        "alter extension pg_trgm set schema x",
        "structure extension pg_trgm: schema changed",
    ),
    case(
        "extension of another version",
        "create extension hstore version '1.4'",
        "alter extension hstore update to '1.5'",
        "structure extension hstore: version changed",
    ),
    # tables
    case(
        "table added",
        T,
        "create table u (id serial primary key, x text unique)",
        "structure table public.u: added",
    ),
    case("table dropped", T, "drop table t", "structure table public.t: removed"),
    case(
        "table with identity column dropped",
        "create table t (id int generated always as identity)",
        "drop table t",
        "structure table public.t: removed",
    ),
    case(
        "table renamed, with all that names it",
        T + "create table u (t_id int references t, t2_id int); create index on t (a) where b > 0; "
        "create view v as select t.id, t.a from t where t.b > 0; create policy p on t using (b > 0); "
        "create function f() returns trigger language plpgsql as 'begin return new; end'; "
        "create trigger g before insert on t for each row execute function f(); "
        "alter table t add parent int references t",
        "alter table t rename to renamed",
        "structure table public.renamed: renamed from public.t",
    ),
    case(
        "table moved to another schema",
        T + "create schema s",
        "alter table t set schema s",
        "structure table s.t: renamed from public.t",
    ),
    case("table unlogged", T, "alter table t set unlogged", "structure table public.t: persistence changed"),
    case(
        "unlogged table with its sequence",
        "create table t (id serial, x int generated always as identity)",
        "alter table t set unlogged",
        "structure table public.t: persistence changed",
    ),
    case(
        "storage parameter",
        T,
        "alter table t set (fillfactor = 70)",
        "structure table public.t: options changed",
    ),
    case(
        "storage parameter of the toast table",
        T,
        "alter table t set (toast.autovacuum_enabled = false)",
        "structure table public.t: options changed",
    ),
    case(
        "storage parameters of table and toast table",
        T + "alter table t set (fillfactor = 70, toast.autovacuum_vacuum_threshold = 7)",
        "alter table t reset (fillfactor), set (toast.autovacuum_vacuum_threshold = 8), "
        "set (toast.vacuum_truncate = off)",
        "structure table public.t: options changed",
    ),
    case(
        "storage parameter of the toast table reset",
        T + "alter table t set (toast.autovacuum_enabled = false)",
        "alter table t reset (toast.autovacuum_enabled)",
        "structure table public.t: options changed",
    ),
    case(
        "storage parameter of the toast table of a materialized view",
        "create materialized view m as select 'x'::text as a",
        "alter materialized view m set (toast.autovacuum_enabled = false)",
        "behaviour materialized view public.m: options changed",
    ),
    case(
        "table with storage parameters of its toast table",
        "",
        "create table t (a text) with (fillfactor = 70, toast.autovacuum_enabled = false)",
        "structure table public.t: added",
    ),
    case(
        "column that brings the toast table, with storage parameters of this",
        "create table t (a int)",
        "alter table t add b text; alter table t set (toast.autovacuum_enabled = false)",
        "structure column public.t.b: added",
        "structure table public.t: options changed",
    ),
    case(
        "row security on",
        T,
        "alter table t enable row level security",
        "behaviour table public.t: row security changed",
    ),
    case(
        "row security forced",
        T,
        "alter table t force row level security",
        "behaviour table public.t: row security forced changed",
    ),
    case(
        "replica identity full",
        T,
        "alter table t replica identity full",
        "structure table public.t: replica identity changed",
    ),
    case(
        "replica identity by index",
        T + "create unique index i on t (b)",
        "alter table t replica identity using index i",
        "structure table public.t: replica identity changed",
    ),
    case("table owner", T, "alter table t owner to schema_alice", "access table public.t: owner changed"),
    case(
        "owner of a table with sequences and grants",
        "create table t (id serial, x int generated always as identity); grant select on t to schema_bob",
        "alter table t owner to schema_alice",
        "access table public.t: owner changed",
    ),
    case("table comment", T, "comment on table t is 'x'", "cosmetic table public.t: comment changed"),
    case(
        "inheritance begun",
        "create table t (a int); create table u (a int)",
        "alter table u inherit t",
        "structure table public.u: parents changed",
    ),
    case(
        "inheritance ended",
        "create table t (a int); create table u (b int) inherits (t)",
        "alter table u no inherit t",
        "structure table public.u: parents changed",
    ),
    case(
        "typed table",
        "create type c as (a int); create table t (a int)",
        "alter table t of c",
        "structure table public.t: of type changed",
    ),
    # partitions
    case(
        "partition added",
        PARTS,
        "create table p3 partition of p for values from ('2022-01-01') to ('2023-01-01')",
        "structure table public.p3: added",
    ),
    case("partition dropped", PARTS, "drop table p2", "structure table public.p2: removed"),
    case(
        "partitioned table dropped with its partitions",
        PARTS,
        "drop table p",
        "structure table public.p: removed",
    ),
    case(
        "partition detached",
        PARTS + "create index on p (id); alter table p add unique (id, at)",
        "alter table p detach partition p2",
        "structure table public.p2: parents changed",
    ),
    case(
        "partition attached",
        PARTED + "create index on p (at); create table p1 (id int, at date)",
        "alter table p attach partition p1 default",
        "structure table public.p1: parents changed",
    ),
    case(
        "other bound",
        PARTS,
        "alter table p detach partition p2; "
        "alter table p attach partition p2 for values from ('2021-01-01') to ('2023-01-01')",
        "structure table public.p2: partition bound changed",
    ),
    case(
        "other partition key",
        PARTED,
        "drop table p; create table p (id int, at date) partition by list (at)",
        "structure table public.p: partition key changed",
    ),
    case(
        "column of a partitioned table",
        PARTS,
        "alter table p add x text",
        "structure column public.p.x: added",
    ),
    case(
        "column type of a partitioned table",
        PARTS,
        "alter table p alter id type bigint",
        "structure column public.p.id: type changed",
    ),
    case(
        "column of a partitioned table renamed",
        PARTS,
        "alter table p rename id to number",
        "structure column public.p.number: renamed from public.p.id",
    ),
    case(
        "column of a parent renamed",
        "create table t (a int); create table u (b int) inherits (t)",
        "alter table t rename a to c",
        "structure column public.t.c: renamed from public.t.a",
    ),
    case(
        "default of one partition",
        PARTS,
        "alter table p1 alter id set default 7",
        "structure column public.p1.id: default changed",
    ),
    case(
        "index of a partitioned table", PARTS, "create index i on p (id)", "structure index public.i: added"
    ),
    case(
        "key of a partitioned table",
        PARTS,
        "alter table p add constraint k unique (id, at)",
        "structure constraint public.p.k: added",
    ),
    case(
        "check of a partitioned table",
        PARTS,
        "alter table p add constraint k check (id > 0)",
        "structure constraint public.p.k: added",
    ),
    case(
        "foreign key of a partitioned table",
        PARTS + T,
        "alter table p add constraint k foreign key (id) references t",
        "structure constraint public.p.k: added",
    ),
    case(
        "foreign key to a partitioned table",
        PARTS + "alter table p add unique (id, at); create table r (id int, at date)",
        "alter table r add constraint k foreign key (id, at) references p (id, at)",
        "structure constraint public.r.k: added",
    ),
    case(
        "column of a parent",
        "create table t (a int); create table u (b int) inherits (t)",
        "alter table t add c text default 'x'",
        "structure column public.t.c: added",
    ),
)
