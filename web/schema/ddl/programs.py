"""Functions, triggers, rules and policies."""

from __future__ import annotations

from dataclasses import replace

from web.schema.ddl.statement import Ground, Made, Owner, Statement, literal
from web.schema.model import CatalogObject, Function, Policy, Rule, Statistics, Trigger
from web.schema.names import qualified, quote

ENABLE = {
    "origin": "ENABLE",
    "disabled": "DISABLE",
    "replica": "ENABLE REPLICA",
    "always": "ENABLE ALWAYS",
}


def create_on_table(
    item: Trigger | Rule | Policy | Statistics, owner: CatalogObject | None, ground: Ground
) -> Made:
    """Make a trigger, rule, policy or statistics object."""
    match item:
        case Trigger():
            word = "CONSTRAINT TRIGGER" if item.constraint else "TRIGGER"
            sql = f"CREATE {word} {quote(item.name)} {item.definition}"
            return [Statement(sql)], replace(item, enabled="origin", comment=None)
        case Rule():
            sql = f"CREATE RULE {quote(item.name)} AS {item.definition.strip().removesuffix(';')}"
            return [Statement(sql)], replace(item, enabled="origin", comment=None)
        case Policy():
            assert owner is not None
            return [Statement(policy_text(item, owner))], replace(item, comment=None)
        case Statistics():
            made = replace(item, statistics_target=None, owner=ground.role, comment=None)
            return [Statement(f"CREATE STATISTICS {item.identity} {item.definition}")], made


def switch(item: CatalogObject, owner: Owner) -> Statement:
    """Switch a trigger or rule on or off."""
    assert isinstance(item, Trigger | Rule)
    assert owner is not None
    word = "TRIGGER" if isinstance(item, Trigger) else "RULE"
    return Statement(f"ALTER TABLE {owner.identity} {ENABLE[item.enabled]} {word} {quote(item.name)}")


def policy_text(item: Policy, owner: CatalogObject) -> str:
    """Write CREATE POLICY."""
    using = f" USING ({item.using})" if item.using is not None else ""
    check = f" WITH CHECK ({item.check})" if item.check is not None else ""
    return (
        f"CREATE POLICY {quote(item.name)} ON {owner.identity} AS "
        f"{'PERMISSIVE' if item.permissive else 'RESTRICTIVE'} FOR {item.command} "
        f"TO {', '.join(item.roles)}{using}{check}"
    )


def alter_policy(a: Policy, b: Policy, owner: Owner, what: set[str]) -> list[Statement] | None:
    """Lead a policy from b to a."""
    assert owner is not None
    # ALTER POLICY can neither take a condition away nor change the command.
    if (
        what & {"command", "permissive"}
        or (a.using is None) != (b.using is None)
        or (a.check is None) != (b.check is None)
    ):
        name = f"{quote(a.name)} ON {owner.identity}"
        made = [Statement(f"DROP POLICY {name}"), Statement(policy_text(a, owner))]
        if a.comment is not None:
            made.append(Statement(f"COMMENT ON POLICY {name} IS {literal(a.comment)}"))
        return made
    parts = [f"ALTER POLICY {quote(a.name)} ON {owner.identity}"]
    if "roles" in what:
        parts.append(f"TO {', '.join(a.roles)}")
    if "using" in what:
        parts.append(f"USING ({a.using})")
    if "check" in what:
        parts.append(f"WITH CHECK ({a.check})")
    return [Statement(" ".join(parts))]


def alter_function(a: Function, b: Function) -> list[Statement] | None:
    """Replace a function; None where its arguments or result differ."""
    if a.form != b.form or a.form == "aggregate" or _header(a) != _header(b):
        return None
    word = "PROCEDURE" if a.form == "procedure" else "FUNCTION"
    name = qualified(a.schema, a.name)
    return [Statement(f"CREATE OR REPLACE {word} {name}{a.definition.rstrip()}")]


def _header(item: Function) -> str:
    """Arguments and result: what CREATE OR REPLACE leaves as it is."""
    return item.definition.partition("\n LANGUAGE ")[0]
