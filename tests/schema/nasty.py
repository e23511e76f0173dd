"""A schema with something of every kind, and the same schema reached by another road."""

from __future__ import annotations

from pathlib import Path

NASTY = Path(__file__).with_name("nasty.sql").read_text(encoding="utf-8")


def road(straight: str, roundabout: str) -> tuple[str, str]:
    """Pair two roads to one schema."""
    return straight, roundabout


#: One schema by two roads, straight and roundabout.
ROADS = (
    # Lists whose order means nothing.
    road(
        "create table t (a int); create index i on t (a) with (fillfactor = 70, deduplicate_items = off)",
        "create table t (a int); create index i on t (a) with (deduplicate_items = off, fillfactor = 70)",
    ),
    road(
        "create table t (a int, primary key (a) with (fillfactor = 70, deduplicate_items = off))",
        "create table t (a int, primary key (a) with (deduplicate_items = off, fillfactor = 70))",
    ),
    road(
        "create table t (a int); alter table t alter a set (n_distinct = 5, n_distinct_inherited = 6)",
        "create table t (a int); alter table t alter a set (n_distinct_inherited = 6, n_distinct = 5)",
    ),
    road(
        "create table t (a int) with (fillfactor = 70, autovacuum_enabled = off, toast.autovacuum_enabled = off)",
        "create table t (a int) with (toast.autovacuum_enabled = off, autovacuum_enabled = off, fillfactor = 70)",
    ),
    road(
        "create view v with (security_barrier, security_invoker) as select 1 as a",
        "create view v with (security_invoker, security_barrier) as select 1 as a",
    ),
    road(
        "create table t (a int, b int); create function f() returns trigger language plpgsql as "
        "'begin return new; end'; create trigger g before update of a, b on t execute function f()",
        "create table t (a int, b int); create function f() returns trigger language plpgsql as "
        "'begin return new; end'; create trigger g before update of b, a on t execute function f()",
    ),
    road(
        "create function f() returns int language sql set work_mem = '1MB' set search_path = public as 'select 1'",
        "create function f() returns int language sql set search_path = public set work_mem = '1MB' as 'select 1'",
    ),
    road(
        "create table t (a int, b int); create statistics s on (a + 1), (b + 1) from t",
        "create table t (a int, b int); create statistics s on (b + 1), (a + 1) from t",
    ),
    road(
        "create table t (a int); create table u (a int); create publication p for table t, u "
        "with (publish = 'insert, update')",
        "create table t (a int); create table u (a int); create publication p for table u, t "
        "with (publish = 'update, insert')",
    ),
    road(
        "create table t (a int, b text, c int); create index on t (b)",
        "create table t (a int, x int, b text); alter table t drop x; alter table t add c int; "
        "create index on t (b)",
    ),
    road(
        "create table t (id serial primary key, a text)",
        "create sequence t_id_seq as int; create table t (id int not null default "
        "nextval('t_id_seq'), a text); "
        "alter sequence t_id_seq owned by t.id; alter table t add primary key (id)",
    ),
    road(
        "create table t (a int not null, b int not null unique)",
        "create table old (a int, c int); alter table old rename to t; alter table t rename c to b; "
        "alter table t alter a set not null, alter b set not null; alter table t add unique (b)",
    ),
    road(
        "create table p (a int not null, b int default 3) partition by list (a); create index i on p (b); "
        "alter table p add constraint k unique (a); create table p1 partition of p for values in (1)",
        "create table p1 (a int not null, b int default 3); alter table p1 add constraint x unique "
        "(a); create index y on p1 (b); "
        "create table p (a int not null, b int default 3) partition by list (a); "
        "alter table p add constraint k unique (a); "
        "alter table p attach partition p1 for values in (1); create index i on p (b)",
    ),
    road(
        "create table p (a int not null, check (a > 0)) partition by list (a); "
        "create table p1 partition of p for values in (1)",
        "create table p (a int not null) partition by list (a); create table p1 partition of p default; "
        "alter table p detach partition p1; alter table p add check (a > 0); alter table p1 add "
        "constraint p_a_check "
        "check (a > 0); alter table p attach partition p1 for values in (1)",
    ),
    road(
        "create type e as enum ('a', 'b', 'c')",
        "create type e as enum ('a', 'd'); alter type e add value 'b' before 'd'; alter type e "
        "rename value 'd' to 'c'",
    ),
    road(
        "create table t (a int); grant select on t to schema_alice",
        "create table t (a int); grant all on t to schema_alice, public; revoke all on t from public; "
        "revoke all on t from schema_alice; grant select on t to schema_alice",
    ),
    road(
        "create view v as select 1 as a, 2 as b",
        "create view v as select 1 as a; create or replace view v as select 1 as a, 2 as b",
    ),
    road(
        "create table t (a int, b int generated always as identity)",
        "create table t (a int, b int not null); alter table t alter b add generated by default as identity; "
        "alter table t alter b set generated always",
    ),
    road(
        "create table t (a int check (a > 0), b text default 'x' collate \"C\")",
        'create table t (a int, b varchar(5)); alter table t alter b type text collate "C"; '
        "alter table t alter b set default 'x', add check (a > 0)",
    ),
    road(
        "create table t (a int); alter table t enable row level security; create policy p on t using (a > 0)",
        "create table t (a int); create policy q on t using (a > 1); alter policy q on t rename to p; "
        "alter policy p on t using (a > 0); alter table t enable row level security",
    ),
)
