"""Change cases: what belongs to a table: constraints, indexes, triggers, rules, policies, statistics."""

from __future__ import annotations

from tests.schema.case import case

T = "create table t (id int primary key, a text, b int, c int); "
FUNCTION = "create function f() returns trigger language plpgsql as 'begin return new; end'; "
TRIGGER = T + FUNCTION + "create trigger g before insert on t for each row execute function f(); "
POLICY = T + "create policy p on t for select to schema_alice using (b > 0); "

CASES = (
    # constraints
    case(
        "check added",
        T,
        "alter table t add constraint k check (b > 0)",
        "structure constraint public.t.k: added",
    ),
    case(
        "check dropped",
        T + "alter table t add constraint k check (b > 0)",
        "alter table t drop constraint k",
        "structure constraint public.t.k: removed",
    ),
    case(
        "check of another expression",
        T + "alter table t add constraint k check (b > 0)",
        "alter table t drop constraint k; alter table t add constraint k check (b > 1)",
        "structure constraint public.t.k: definition changed",
    ),
    case(
        "check not valid",
        T + "alter table t add constraint k check (b > 0)",
        "alter table t drop constraint k; alter table t add constraint k check (b > 0) not valid",
        "structure constraint public.t.k: validated changed",
    ),
    case(
        "check validated",
        T + "alter table t add constraint k check (b > 0) not valid",
        "alter table t validate constraint k",
        "structure constraint public.t.k: validated changed",
    ),
    case(
        "check no inherit",
        T + "alter table t add constraint k check (b > 0)",
        "alter table t drop constraint k; alter table t add constraint k check (b > 0) no inherit",
        "structure constraint public.t.k: no inherit changed",
    ),
    case(
        "primary key dropped",
        T,
        "alter table t drop constraint t_pkey",
        "structure constraint public.t.t_pkey: removed",
    ),
    case(
        "primary key added makes not null",
        "create table t (a int, b int)",
        "alter table t add primary key (a, b)",
        "structure constraint public.t.t_pkey: added",
    ),
    case(
        "unique added",
        T,
        "alter table t add constraint k unique (a, b)",
        "structure constraint public.t.k: added",
    ),
    case(
        "unique on other columns",
        T + "alter table t add constraint k unique (a)",
        "alter table t drop constraint k; alter table t add constraint k unique (a, b)",
        "structure constraint public.t.k: definition changed",
    ),
    case(
        "unique nulls not distinct",
        T + "alter table t add constraint k unique (a)",
        "alter table t drop constraint k; alter table t add constraint k unique nulls not distinct (a)",
        "structure constraint public.t.k: definition changed",
        since=15,
    ),
    case(
        "unique with storage parameter",
        T + "alter table t add constraint k unique (a)",
        "alter index k set (fillfactor = 50)",
        "structure constraint public.t.k: index options changed",
    ),
    case(
        "unique index where a constraint was",
        T + "alter table t add constraint k unique (a)",
        "alter table t drop constraint k; create unique index k on t (a)",
        "structure constraint public.t.k: removed",
        "structure index public.k: added",
    ),
    case(
        "unique deferrable",
        T + "alter table t add constraint k unique (a)",
        "alter table t drop constraint k; alter table t add constraint k unique (a) deferrable",
        "structure constraint public.t.k: deferrable changed",
    ),
    case(
        "foreign key added",
        T,
        "alter table t add constraint k foreign key (b) references t",
        "structure constraint public.t.k: added",
    ),
    case(
        "foreign key of another action",
        T + "alter table t add constraint k foreign key (b) references t",
        "alter table t drop constraint k; alter table t add constraint k foreign key (b) references t "
        "on delete cascade",
        "structure constraint public.t.k: definition changed",
    ),
    case(
        "foreign key deferred",
        T + "alter table t add constraint k foreign key (b) references t",
        "alter table t alter constraint k deferrable initially deferred",
        "structure constraint public.t.k: deferrable changed",
    ),
    case(
        "foreign key not valid and deferred, only validity differs",
        T + "alter table t add constraint k foreign key (b) references t "
        "deferrable initially deferred not valid",
        "alter table t validate constraint k",
        "structure constraint public.t.k: validated changed",
    ),
    case(
        "foreign key switched off with all triggers",
        T + "alter table t add constraint k foreign key (b) references t",
        "alter table t disable trigger all",
        "structure constraint public.t.k: enabled changed",
    ),
    case(
        "foreign key not enforced",
        T + "alter table t add constraint k foreign key (b) references t",
        "alter table t alter constraint k not enforced",
        "structure constraint public.t.k: enforced changed",
        since=18,
    ),
    case(
        "exclusion added",
        "create table t (r int4range)",
        "alter table t add constraint k exclude using gist (r with &&)",
        "structure constraint public.t.k: added",
    ),
    case(
        "constraint renamed",
        T + "alter table t add constraint k check (b > 0)",
        "alter table t rename constraint k to l",
        "structure constraint public.t.l: renamed from public.t.k",
    ),
    case(
        "generated name of a constraint",
        "create table t (a int unique)",
        "alter table t drop constraint t_a_key; alter table t add constraint k unique (a)",
        "cosmetic constraint public.t.k: renamed from public.t.t_a_key",
    ),
    case(
        "constraint comment",
        T,
        "comment on constraint t_pkey on t is 'x'",
        "cosmetic constraint public.t.t_pkey: comment changed",
    ),
    case(
        "not null not valid",
        "create table t (a int)",
        "alter table t add constraint k not null a not valid",
        "structure column public.t.a: not null changed",
        "structure column public.t.a: not null state changed",
        "cosmetic column public.t.a: not null name changed",
        since=18,
    ),
    # indexes
    case("index added", T, "create index i on t (a)", "structure index public.i: added"),
    case("index dropped", T + "create index i on t (a)", "drop index i", "structure index public.i: removed"),
    case(
        "index of another condition",
        T + "create index i on t (a) where b > 0",
        "drop index i; create index i on t (a) where b > 1",
        "structure index public.i: definition changed",
    ),
    case(
        "index made unique",
        T + "create index i on t (a)",
        "drop index i; create unique index i on t (a)",
        "structure index public.i: unique changed",
    ),
    case(
        "index of another method",
        T + "create index i on t (a)",
        "drop index i; create index i on t using hash (a)",
        "structure index public.i: definition changed",
    ),
    case(
        "index of another order and operator class",
        T + "create index i on t (a, b)",
        "drop index i; create index i on t (a text_pattern_ops desc, b)",
        "structure index public.i: definition changed",
    ),
    case(
        "index with included column",
        T + "create index i on t (a)",
        "drop index i; create index i on t (a) include (b)",
        "structure index public.i: definition changed",
    ),
    case(
        "index option",
        T + "create index i on t (a)",
        "alter index i set (fillfactor = 50)",
        "structure index public.i: definition changed",
    ),
    case(
        "expression index",
        T,
        "create index i on t (lower(a))",
        "structure index public.i: added",
    ),
    case(
        "index renamed",
        T + "create index i on t (a)",
        "alter index i rename to j",
        "structure index public.j: renamed from public.i",
    ),
    case(
        "generated name of an index",
        T + "create index on t (a)",
        "alter index t_a_idx rename to j",
        "cosmetic index public.j: renamed from public.t_a_idx",
    ),
    case(
        "invalid index",
        T + "create index i on t (a)",
        "update pg_index set indisvalid = false where indexrelid = 'i'::regclass",
        "structure index public.i: valid changed",
    ),
    case(
        "index clustered on",
        T + "create index i on t (a)",
        "alter table t cluster on i",
        "cosmetic index public.i: clustered changed",
    ),
    case(
        "index statistics",
        T + "create index i on t (lower(a))",
        "alter index i alter column 1 set statistics 100",
        "cosmetic index public.i: statistics target changed",
    ),
    case(
        "index comment",
        T + "create index i on t (a)",
        "comment on index i is 'x'",
        "cosmetic index public.i: comment changed",
    ),
    case(
        "index of a materialized view",
        T + "create materialized view m as select * from t",
        "create unique index i on m (id)",
        "structure index public.i: added",
    ),
    # triggers
    case(
        "trigger added",
        T + FUNCTION,
        "create trigger g before insert on t for each row execute function f()",
        "behaviour trigger public.t.g: added",
    ),
    case("trigger dropped", TRIGGER, "drop trigger g on t", "behaviour trigger public.t.g: removed"),
    case(
        "trigger of another event",
        TRIGGER,
        "drop trigger g on t; create trigger g before insert or update of a on t for each row "
        "execute function f()",
        "behaviour trigger public.t.g: definition changed",
    ),
    case(
        "trigger with a condition",
        TRIGGER,
        "drop trigger g on t; "
        "create trigger g before insert on t for each row when (new.b > 0) execute function f()",
        "behaviour trigger public.t.g: definition changed",
    ),
    case(
        "trigger disabled",
        TRIGGER,
        "alter table t disable trigger g",
        "behaviour trigger public.t.g: enabled changed",
    ),
    case(
        "trigger always",
        TRIGGER,
        "alter table t enable always trigger g",
        "behaviour trigger public.t.g: enabled changed",
    ),
    case(
        "trigger renamed",
        TRIGGER,
        "alter trigger g on t rename to h",
        "behaviour trigger public.t.h: renamed from public.t.g",
    ),
    case(
        "constraint trigger",
        T + FUNCTION,
        "create constraint trigger g after insert on t deferrable initially deferred for each row "
        "execute function f()",
        "behaviour trigger public.t.g: added",
    ),
    case(
        "trigger comment",
        TRIGGER,
        "comment on trigger g on t is 'x'",
        "cosmetic trigger public.t.g: comment changed",
    ),
    case(
        "trigger of a partitioned table",
        FUNCTION + "create table p (a int) partition by list (a); create table p1 partition of p default",
        "create trigger g after insert on p for each row execute function f()",
        "behaviour trigger public.p.g: added",
    ),
    case(
        "trigger disabled on one partition",
        FUNCTION + "create table p (a int) partition by list (a); create table p1 partition of p default; "
        "create trigger g after insert on p for each row execute function f()",
        "alter table p1 disable trigger g",
        "behaviour trigger public.p1.g: added",
    ),
    # rules
    case(
        "rule added",
        T,
        "create rule r as on delete to t do instead nothing",
        "behaviour rule public.t.r: added",
    ),
    case(
        "rule of another action",
        T + "create rule r as on delete to t do instead nothing",
        "create or replace rule r as on delete to t do also notify x",
        "behaviour rule public.t.r: definition changed",
    ),
    case(
        "rule disabled",
        T + "create rule r as on delete to t do instead nothing",
        "alter table t disable rule r",
        "behaviour rule public.t.r: enabled changed",
    ),
    # policies
    case("policy added", T, "create policy p on t using (true)", "behaviour policy public.t.p: added"),
    case("policy dropped", POLICY, "drop policy p on t", "behaviour policy public.t.p: removed"),
    case(
        "policy condition",
        POLICY,
        "alter policy p on t using (b > 1)",
        "behaviour policy public.t.p: using changed",
    ),
    case(
        "policy roles", POLICY, "alter policy p on t to public", "behaviour policy public.t.p: roles changed"
    ),
    case(
        "policy check",
        T + "create policy p on t for insert with check (b > 0)",
        "alter policy p on t with check (b > 1)",
        "behaviour policy public.t.p: check changed",
    ),
    case(
        "policy restrictive and of another command",
        POLICY,
        "drop policy p on t; create policy p on t as restrictive for delete to schema_alice using (b > 0)",
        "behaviour policy public.t.p: permissive changed",
        "behaviour policy public.t.p: command changed",
    ),
    case(
        "policy renamed",
        POLICY,
        "alter policy p on t rename to q",
        "behaviour policy public.t.q: renamed from public.t.p",
    ),
    # statistics
    case(
        "statistics added",
        T,
        "create statistics s (dependencies) on b, c from t",
        "structure statistics public.s: added",
    ),
    case(
        "statistics of other kinds",
        T + "create statistics s (dependencies) on b, c from t",
        "drop statistics s; create statistics s (ndistinct) on b, c from t",
        "structure statistics public.s: definition changed",
    ),
    case(
        "target of statistics",
        T + "create statistics s on b, c from t",
        "alter statistics s set statistics 50",
        "cosmetic statistics public.s: statistics target changed",
    ),
)
