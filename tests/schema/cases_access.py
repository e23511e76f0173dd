"""Change cases: grants, default privileges, owners, settings of the database; names that need care."""

from __future__ import annotations

from tests.schema.case import case

T = "create table t (id int primary key, a text); "
FUNCTION = "create function f() returns int language sql as 'select 1'; "
HOSTILE = 'create schema "a b"; create table "a b"."x"".""<y>" ("select" int, "é' + "'" + '🦊" text); '

CASES = (
    case(
        "grant on a table",
        T,
        "grant select, insert on t to schema_alice",
        "access grant public.t: to schema_alice added",
    ),
    case(
        "revoke",
        T + "grant select on t to schema_alice",
        "revoke select on t from schema_alice",
        "access grant public.t: to schema_alice removed",
    ),
    case(
        "more privileges",
        T + "grant select on t to schema_alice",
        "grant update on t to schema_alice",
        "access grant public.t: to schema_alice changed",
    ),
    case(
        "grant option",
        T + "grant select on t to schema_alice",
        "grant select on t to schema_alice with grant option",
        "access grant public.t: to schema_alice changed",
    ),
    case("granted and revoked", T, "grant select on t to public; revoke select on t from public"),
    case(
        "owner's own privilege",
        T,
        "revoke truncate on t from postgres",
        "access grant public.t: to OWNER changed",
    ),
    case(
        "grant on a column",
        T,
        "grant select (a) on t to schema_bob",
        "access grant public.t.a: to schema_bob added",
    ),
    case(
        "grant to a hostile role",
        T,
        'grant select on t to "schema ""Carol"""',
        'access grant public.t: to "schema ""Carol""" added',
    ),
    case(
        "grant on a schema",
        "create schema s",
        "grant usage on schema s to schema_bob",
        "access grant s: to schema_bob added",
    ),
    case(
        "function taken from PUBLIC",
        FUNCTION,
        "revoke execute on function f from public",
        "access grant public.f(): to PUBLIC changed",
    ),
    case(
        "grant on a sequence",
        "create sequence s",
        "grant usage on sequence s to schema_bob",
        "access grant public.s: to schema_bob added",
    ),
    case(
        "grant on a type",
        "create type e as enum ('a')",
        "revoke usage on type e from public",
        "access grant public.e: to PUBLIC changed",
    ),
    case(
        "grant on a view",
        T + "create view v as select a from t",
        "grant select on v to schema_bob",
        "access grant public.v: to schema_bob added",
    ),
    case(
        "default privileges",
        "",
        "alter default privileges in schema public grant select on tables to schema_bob",
        "access default privileges of postgres in schema public on tables: added",
    ),
    case(
        "default privileges of a role",
        "",
        "alter default privileges for role schema_alice revoke execute on functions from public",
        "access default privileges of schema_alice on functions: added",
    ),
    case(
        "owner of a view",
        T + "create view v as select a from t",
        "alter view v owner to schema_bob",
        "access view public.v: owner changed",
    ),
    case(
        "owner of a function",
        FUNCTION,
        "alter function f owner to schema_bob",
        "access function public.f(): owner changed",
    ),
    case(
        "database setting",
        "",
        "do $$ begin execute format('alter database %I set work_mem = ''64MB''', current_database()); end $$",
        "behaviour setting work_mem: added",
    ),
    case(
        "setting of a role in the database",
        "",
        "do $$ begin execute format('alter role schema_bob in database %I set jit = off', "
        "current_database()); end $$",
        "behaviour setting jit for schema_bob: added",
    ),
    case(
        "database comment",
        "",
        "do $$ begin execute format('comment on database %I is ''x''', current_database()); end $$",
        "cosmetic database this database: comment changed",
    ),
    case(
        "database grant",
        "",
        "do $$ begin execute format('grant create on database %I to schema_bob', current_database()); end $$",
        "access grant this database: to schema_bob added",
    ),
    # hostile names
    case(
        "hostile column",
        HOSTILE,
        'alter table "a b"."x"".""<y>" alter "select" type bigint',
        'structure column "a b"."x"".""<y>"."select": type changed',
    ),
    case(
        "hostile column renamed",
        HOSTILE + 'create index "i ON "" USING btree" on "a b"."x"".""<y>" ("select")',
        'alter table "a b"."x"".""<y>" rename "select" to "from"',
        'structure column "a b"."x"".""<y>"."from": renamed from "a b"."x"".""<y>"."select"',
    ),
    case(
        "hostile table renamed with view, index and key",
        HOSTILE + 'create view v as select "select" from "a b"."x"".""<y>"; '
        'create index "i ON "" USING btree" on "a b"."x"".""<y>" ("select"); '
        'alter table "a b"."x"".""<y>" add constraint "NOT VALID" check ("select" > 0) not valid',
        'alter table "a b"."x"".""<y>" rename to "user"',
        'structure table "a b"."user": renamed from "a b"."x"".""<y>"',
    ),
    case(
        "hostile serial dropped",
        HOSTILE + 'alter table "a b"."x"".""<y>" add "s.s" serial',
        'alter table "a b"."x"".""<y>" drop "s.s"',
        'structure column "a b"."x"".""<y>"."s.s": removed',
    ),
    case(
        "hostile trigger, policy, index and rule",
        HOSTILE + "create function f() returns trigger language plpgsql as 'begin return new; end'",
        'create trigger "g ON x" before insert on "a b"."x"".""<y>" for each row execute function f(); '
        'create policy "p""" on "a b"."x"".""<y>" using (true); create index "I" on "a '
        'b"."x"".""<y>" ("select"); '
        'create rule "r AS" as on delete to "a b"."x"".""<y>" do instead nothing',
        'behaviour trigger "a b"."x"".""<y>"."g ON x": added',
        'behaviour policy "a b"."x"".""<y>"."p""": added',
        'structure index "a b"."I": added',
        'behaviour rule "a b"."x"".""<y>"."r AS": added',
    ),
)
