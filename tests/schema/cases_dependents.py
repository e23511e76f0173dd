"""Change cases: what cannot be changed while other things stand on it, which stay as they are."""

from __future__ import annotations

from tests.schema.case import case

T = "create table t (id int primary key, a varchar(10), b int not null default 0); "
COLUMN_PARTS = (
    "create policy p on t using (a <> 'x'); "
    "create rule r as on delete to t where old.a = 'y' do instead nothing; "
    "create trigger g before update of a on t for each row when (new.a = 'z') execute function f(); "
    "create view v as select id, a from t; create view w as select a from v where a > 'b'; "
    "create materialized view m as select a, count(*) from w group by a; create unique index on m (a); "
    "grant select on v to schema_bob; comment on view w is 'on another view'; "
)
ENUM_PARTS = (
    "create index on t (x) where x <> 'b'; create view v as select x from t where x = 'a'; "
    "create function f(e) returns e language sql as 'select $1'; "
)
FUNCTION_PARTS = (
    "alter table t alter b set default f(1), add constraint k check (f(b) >= 0); create index i on t (f(b)); "
    "create policy p on t using (f(b) > 0); create view v as select f(b) as c from t; "
)

CASES = (
    case(
        "name of a table that goes is given to a type",
        "create type e as enum ('a'); create table t (a int)",
        "drop table t; alter type e rename to t; create table u (b t)",
        "structure enum public.t: renamed from public.e",
        "structure table public.t: removed",
        "structure table public.u: added",
    ),
    case(
        "column of a child of another type becomes the parent's, without the child",
        "create table t (a int); create table u (b int) inherits (t)",
        "drop table u; alter table t add b text",
        "structure column public.t.b: added",
        "structure table public.u: removed",
    ),
    case(
        "partitioned table dropped with the schema and the type of its partitions",
        "create schema s; create schema r; create type s.e as enum ('a'); "
        "create table p (a int, x s.e) partition by range (a); "
        "create table s.p1 partition of p for values from (0) to (9) partition by range (a); "
        "create table r.p2 partition of s.p1 for values from (0) to (5)",
        "drop table p; drop schema s cascade; drop schema r",
        "structure enum s.e: removed",
        "structure schema r: removed",
        "structure schema s: removed",
        "structure table public.p: removed",
    ),
    case(
        "type of a column that policies, rules, triggers and views stand on",
        "create function f() returns trigger language plpgsql as 'begin return new; end'; "
        + T
        + COLUMN_PARTS,
        "drop view v cascade; drop policy p on t; drop rule r on t; drop trigger g on t; "
        "alter table t alter a type varchar(20); " + COLUMN_PARTS,
        "structure column public.t.a: type changed",
    ),
    case(
        "type of a column that a generated one is made of",
        "create table t (id int, a int, g int generated always as (a * 2) stored); create index on t (g)",
        "alter table t drop g; alter table t alter a type smallint; "
        "alter table t add g int generated always as (a * 2) stored; create index on t (g)",
        "structure column public.t.a: type changed",
    ),
    case(
        "label taken from an enum in use",
        "create type e as enum ('a', 'b', 'c'); create table t (id int, x e not null default 'a', y e[]); "
        + ENUM_PARTS,
        "drop view v; drop function f(e); drop index t_x_idx; alter table t alter x drop default; "
        "alter type e rename to old; create type e as enum ('a', 'b'); "
        "alter table t alter x type e using x::text::e, alter y type e[] using y::text[]::e[]; "
        "alter table t alter x set default 'a'; drop type old; " + ENUM_PARTS,
        "structure enum public.e: labels changed",
    ),
    case(
        "label taken from an enum of inherited columns",
        "create type e as enum ('a', 'b', 'c'); create table t (x e default 'a', y e, z e default 'a'); "
        "create table u (w e) inherits (t); alter table u alter x set default 'b', alter y set default 'a', "
        "alter z drop default; create table p (x e default 'a', k int) partition by list (k); "
        "create table p1 partition of p (x default 'b') default",
        "alter table u alter x drop default, alter y drop default; alter table t alter x drop default, "
        "alter z drop default; alter table p1 alter x drop default; alter table p alter x drop default; "
        "alter type e rename to old; create type e as enum ('a', 'b'); "
        "alter table t alter x type e using x::text::e, alter y type e using y::text::e, "
        "alter z type e using z::text::e; alter table u alter w type e using w::text::e; "
        "alter table p alter x type e using x::text::e; alter table p alter x set default 'a'; "
        "alter table p1 alter x set default 'b'; drop type old; "
        "alter table t alter x set default 'a', alter z set default 'a'; "
        "alter table u alter x set default 'b', alter y set default 'a', alter z drop default",
        "structure enum public.e: labels changed",
    ),
    case(
        "label added to an enum that rows are partitioned by",
        "create type e as enum ('a'); create table p (x e) partition by list (x)",
        "alter type e add value 'b'",
        "structure enum public.e: labels changed",
    ),
    case(
        "domain of another type in use",
        "create domain d as int constraint k check (value > 0); create table t (id int, x d default 1); "
        "create view v as select x from t",
        "drop view v; alter domain d rename to old; create domain d as bigint constraint k check (value > 0); "
        "alter table t alter x type d; drop domain old; create view v as select x from t",
        "structure domain public.d: type changed",
    ),
    case(
        "result of a function that defaults, checks, indexes, policies and views stand on",
        "create function f(x int) returns int immutable language sql as 'select x'; " + T + FUNCTION_PARTS,
        "drop view v; drop policy p on t; drop index i; alter table t drop constraint k, alter b set default 0; "
        "drop function f; create function f(x int) returns bigint immutable language sql as 'select x::bigint'; "
        + FUNCTION_PARTS,
        "behaviour function public.f(integer): definition changed",
    ),
    case(
        "key that a foreign key stands on",
        "create table t (id int, a int, constraint k unique (id)); "
        "create table u (t_id int constraint r references t (id) on delete cascade)",
        "alter table u drop constraint r; alter table t drop constraint k; "
        "alter table t add constraint k unique (id) include (a); "
        "alter table u add constraint r foreign key (t_id) references t (id) on delete cascade",
        "structure constraint public.t.k: definition changed",
    ),
    case(
        "view of other columns below another view",
        T + "create view v as select id, a from t; create view w as select id from v",
        "drop view w; drop view v; create view v as select id, b from t; create view w as select id from v",
        "behaviour view public.v: definition changed",
    ),
    case(
        "tables that refer to one another",
        "create schema s",
        "create table s.t (id int primary key, u_id int); "
        "create table s.u (id int primary key, t_id int references s.t); "
        "alter table s.t add foreign key (u_id) references s.u; "
        "create function s.f() returns trigger language plpgsql as 'begin return new; end'; "
        "create trigger g before insert on s.t for each row execute function s.f(); "
        "create view s.v as select t.id from s.t join s.u on u.t_id = t.id",
        "structure table s.t: added",
        "structure table s.u: added",
        "behaviour function s.f(): added",
        "behaviour view s.v: added",
    ),
    case(
        "table that takes a view's place",
        T + "create view v as select id from t",
        "drop view v; create table v (id int)",
        "behaviour view public.v: removed",
        "structure table public.v: added",
    ),
    case(
        "default that asks a function of the table's rows",
        T,
        "create function f(t) returns int stable language sql begin atomic select ($1).b; end; "
        "create function n() returns bigint stable language sql begin atomic select count(*) from t; end; "
        "create table u (id bigint default n(), t_b int)",
        "behaviour function public.f(public.t): added",
        "behaviour function public.n(): added",
        "structure table public.u: added",
    ),
)
