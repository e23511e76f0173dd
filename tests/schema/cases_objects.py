"""Change cases: sequences, types, views, functions and the other kinds of a schema."""

from __future__ import annotations

from tests.schema.case import case

T = "create table t (id int primary key, a text, b int); "
FUNCTION = "create function f(x int) returns int language sql as 'select x'; "
AGGREGATE = "create aggregate g (int) (sfunc = int4pl, stype = int, initcond = '0'); "
EVENT = "create function e() returns event_trigger language plpgsql as 'begin end'; "

CASES = (
    # sequences
    case("sequence added", "", "create sequence s", "structure sequence public.s: added"),
    case("sequence dropped", "create sequence s", "drop sequence s", "structure sequence public.s: removed"),
    case(
        "sequence increment",
        "create sequence s",
        "alter sequence s increment 5",
        "structure sequence public.s: increment changed",
    ),
    case(
        "sequence turned round",
        "create sequence s increment -2",
        "alter sequence s increment 9",
        "structure sequence public.s: increment changed",
    ),
    case(
        "sequence turned round with its limits",
        "create sequence s",
        "alter sequence s increment -1 no minvalue no maxvalue start -1 restart",
        "structure sequence public.s: increment changed",
        "structure sequence public.s: start changed",
    ),
    case(
        "sequence type",
        "create sequence s",
        "alter sequence s as int",
        "structure sequence public.s: type changed",
    ),
    case(
        "sequence limits",
        "create sequence s",
        "alter sequence s minvalue 0 maxvalue 99",
        "structure sequence public.s: minimum changed",
        "structure sequence public.s: maximum changed",
    ),
    case(
        "sequence start",
        "create sequence s",
        "alter sequence s start 5",
        "structure sequence public.s: start changed",
    ),
    case(
        "sequence cache",
        "create sequence s",
        "alter sequence s cache 5",
        "structure sequence public.s: cache changed",
    ),
    case(
        "sequence cycle",
        "create sequence s",
        "alter sequence s cycle",
        "structure sequence public.s: cycle changed",
    ),
    case(
        "sequence owned by",
        T + "create sequence s",
        "alter sequence s owned by t.b",
        "structure sequence public.s: owned by changed",
    ),
    case("sequence used", "create sequence s", "select nextval('s')"),
    case(
        "generated name of a sequence",
        "create table t (id serial)",
        "alter sequence t_id_seq rename to s",
        "cosmetic sequence public.s: renamed from public.t_id_seq",
    ),
    # enums
    case("enum added", "", "create type e as enum ('a')", "structure enum public.e: added"),
    case(
        "enum value added",
        "create type e as enum ('a', 'b')",
        "alter type e add value 'c' before 'b'",
        "structure enum public.e: labels changed",
    ),
    case(
        "enum value renamed",
        "create type e as enum ('a', 'b')",
        "alter type e rename value 'a' to 'c'",
        "structure enum public.e: label renamed",
    ),
    case(
        "enum order",
        "create type e as enum ('a', 'b')",
        "drop type e; create type e as enum ('b', 'a')",
        "structure enum public.e: labels changed",
    ),
    case(
        "enum renamed, with columns and defaults of it",
        "create type e as enum ('a'); create table t (x e default 'a', y e[]); "
        "create function f(e) returns e language sql as 'select $1'",
        "alter type e rename to r",
        "structure enum public.r: renamed from public.e",
    ),
    # domains
    case("domain added", "", "create domain d as int", "structure domain public.d: added"),
    case(
        "domain default",
        "create domain d as int",
        "alter domain d set default 1",
        "structure domain public.d: default changed",
    ),
    case(
        "domain not null",
        "create domain d as int",
        "alter domain d set not null",
        "structure domain public.d: not null changed",
    ),
    case(
        "domain check",
        "create domain d as int",
        "alter domain d add constraint k check (value > 0)",
        "structure constraint public.d.k: added",
    ),
    case(
        "domain of another type",
        "create domain d as int",
        "drop domain d; create domain d as bigint",
        "structure domain public.d: type changed",
    ),
    case(
        "domain collation",
        "create domain d as text",
        'drop domain d; create domain d as text collate "C"',
        "structure domain public.d: collation changed",
    ),
    # composite and range types
    case("composite type added", "", "create type c as (a int)", "structure composite type public.c: added"),
    case(
        "attribute added",
        "create type c as (a int)",
        "alter type c add attribute b text",
        "structure column public.c.b: added",
    ),
    case(
        "attribute type",
        "create type c as (a int)",
        "alter type c alter attribute a type bigint",
        "structure column public.c.a: type changed",
    ),
    case(
        "attribute order",
        "create type c as (a int, b int)",
        "drop type c; create type c as (b int, a int)",
        "structure composite type public.c: column order changed",
    ),
    case(
        "range type added",
        "",
        "create type r as range (subtype = float8)",
        "structure range type public.r: added",
    ),
    case(
        "range of another subtype",
        "create type r as range (subtype = float8)",
        "drop type r; create type r as range (subtype = float4)",
        "structure range type public.r: definition changed",
    ),
    # views
    case("view added", T, "create view v as select a from t", "behaviour view public.v: added"),
    case(
        "view dropped",
        T + "create view v as select a from t",
        "drop view v",
        "behaviour view public.v: removed",
    ),
    case(
        "view of another query",
        T + "create view v as select a from t",
        "create or replace view v as select a, b from t where b > 0",
        "behaviour view public.v: definition changed",
    ),
    case(
        "view option",
        T + "create view v as select a from t",
        "alter view v set (security_barrier = true)",
        "behaviour view public.v: options changed",
    ),
    case(
        "view loses security_invoker",
        T + "create view v with (security_invoker = true) as select a from t",
        "alter view v reset (security_invoker)",
        "behaviour view public.v: options changed",
        since=15,
    ),
    case(
        "view check option",
        T + "create view v as select a from t",
        "create or replace view v as select a from t with local check option",
        "behaviour view public.v: options changed",
    ),
    case(
        "default of a view's column",
        T + "create view v as select a from t",
        "alter view v alter a set default 'x'",
        "structure column public.v.a: default changed",
    ),
    case(
        "view renamed",
        T + "create view v as select a from t",
        "alter view v rename to w",
        "behaviour view public.w: renamed from public.v",
    ),
    case(
        "trigger of a view",
        T + "create view v as select a from t; "
        "create function f() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger g instead of insert on v for each row execute function f()",
        "behaviour trigger public.v.g: added",
    ),
    case(
        "materialized view added",
        T,
        "create materialized view m as select a from t",
        "behaviour materialized view public.m: added",
    ),
    case(
        "materialized view of another query",
        T + "create materialized view m as select a from t",
        "drop materialized view m; create materialized view m as select a, b from t",
        "behaviour materialized view public.m: definition changed",
    ),
    case(
        "materialized view refreshed",
        T + "create materialized view m as select a from t",
        "refresh materialized view m",
    ),
    case(
        "materialized view option",
        T + "create materialized view m as select a from t",
        "alter materialized view m set (fillfactor = 70)",
        "behaviour materialized view public.m: options changed",
    ),
    # functions
    case(
        "function added",
        "",
        "create function f(x int default 1) returns int language sql as 'select x'",
        "behaviour function public.f(integer): added",
    ),
    case("function dropped", FUNCTION, "drop function f", "behaviour function public.f(integer): removed"),
    case(
        "function body",
        FUNCTION,
        "create or replace function f(x int) returns int language sql as 'select x + 1'",
        "behaviour function public.f(integer): definition changed",
    ),
    case(
        "function volatility",
        FUNCTION,
        "alter function f immutable",
        "behaviour function public.f(integer): definition changed",
    ),
    case(
        "function security",
        FUNCTION,
        "alter function f security definer",
        "behaviour function public.f(integer): definition changed",
    ),
    case(
        "function setting",
        FUNCTION,
        "alter function f set search_path = ''",
        "behaviour function public.f(integer): definition changed",
    ),
    case(
        "function cost",
        FUNCTION,
        "alter function f cost 7",
        "behaviour function public.f(integer): definition changed",
    ),
    case(
        "function default",
        FUNCTION,
        "create or replace function f(x int default 3) returns int language sql as 'select x'",
        "behaviour function public.f(integer): definition changed",
    ),
    case(
        "overloaded function",
        FUNCTION,
        "create function f(x text) returns text language sql as 'select x'",
        "behaviour function public.f(text): added",
    ),
    case(
        "function renamed",
        FUNCTION,
        "alter function f rename to g",
        "behaviour function public.g(integer): renamed from public.f(integer)",
    ),
    case(
        "function with a parsed body",
        FUNCTION,
        "create or replace function f(x int) returns int language sql begin atomic select x; end",
        "behaviour function public.f(integer): definition changed",
    ),
    case(
        "procedure added",
        "",
        "create procedure p() language sql as 'select 1'",
        "behaviour procedure public.p(): added",
    ),
    case("aggregate added", "", AGGREGATE, "behaviour aggregate public.g(integer): added"),
    case(
        "aggregate of another start",
        AGGREGATE,
        "create or replace aggregate g (int) (sfunc = int4pl, stype = int, initcond = '1')",
        "behaviour aggregate public.g(integer): definition changed",
    ),
    # event triggers
    case(
        "event trigger added",
        EVENT,
        "create event trigger x on ddl_command_end execute function e()",
        "behaviour event trigger x: added",
    ),
    case(
        "event trigger disabled",
        EVENT + "create event trigger x on ddl_command_end execute function e()",
        "alter event trigger x disable",
        "behaviour event trigger x: enabled changed",
    ),
    case(
        "event trigger tags",
        EVENT + "create event trigger x on ddl_command_end when tag in ('CREATE TABLE') execute function e()",
        "drop event trigger x; "
        "create event trigger x on ddl_command_end when tag in ('DROP TABLE') execute function e()",
        "behaviour event trigger x: tags changed",
    ),
    # publications
    case("publication added", T, "create publication p for table t", "behaviour publication p: added"),
    case(
        "publication operations",
        T + "create publication p for table t",
        "alter publication p set (publish = 'insert')",
        "behaviour publication p: operations changed",
    ),
    case(
        "publication row filter",
        T + "create publication p for table t",
        "alter publication p set table t where (id > 0)",
        "behaviour publication p: tables changed",
        since=15,
    ),
    case(
        "publication of a schema",
        "create publication p",
        "alter publication p add tables in schema public",
        "behaviour publication p: schemas changed",
        since=15,
    ),
    # others
    case(
        "cast added",
        "create type c as (a int); create function f(c) returns int language sql as 'select ($1).a'",
        "create cast (c as int) with function f(c) as assignment",
        "structure cast (public.c AS integer): added",
    ),
    case(
        "operator added",
        "",
        "create operator === (function = int4eq, leftarg = int, rightarg = int)",
        "structure operator public.===(integer,integer): added",
    ),
    case("collation made", "", 'create collation k from "C"', "structure collation public.k: added"),
    case(
        "text search mapping",
        "create text search configuration k (copy = simple)",
        "alter text search configuration k alter mapping for word with english_stem",
        "structure text search configuration public.k: definition changed",
    ),
    case(
        "text search dictionary",
        "",
        "create text search dictionary d (template = simple, stopwords = english)",
        "structure text search dictionary public.d: added",
    ),
    case(
        "foreign data",
        "create foreign data wrapper w; create server s foreign data wrapper w; "
        "create foreign table t (a int) server s options (x '1')",
        "alter foreign table t options (set x '2'); alter server s options (host 'h'); "
        "create user mapping for public server s",
        "structure table public.t: foreign options changed",
        "structure server s: definition changed",
        "structure user mapping PUBLIC on s: added",
    ),
)
