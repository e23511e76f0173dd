"""The tabs of an environment as views: State, Migrations, Backups. Drift has a module of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.access.permissions import Principal
from web.backups.catalog import dump_of
from web.dashboard import Dashboard
from web.errors import SeveralHeads
from web.inspection.environment import (
    StoredBackup,
    View,
    read_backups,
)
from web.inspection.gate import backup_needed
from web.inspection.state import Facts, Table
from web.inspection.verdict import Verdict
from web.pages.environment_head import actions_at
from web.pages.graph import lay_out
from web.pages.planned import hazards_of, planned_of, statements_of
from web.pages.presenting import backup_mark, error_view, stored_error
from web.pages.shell import now
from web.pages.views.environment import (
    BackupRow,
    Backups,
    Extension,
    MigrationRow,
    Migrations,
    State,
    TableRow,
)
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, Column, Fact, Mark

#: Tables that one page lists; the search finds the others.
TABLES = 200
SORTS: Mapping[str, tuple[str, Any]] = {
    "name": ("Table", lambda table: (table.schema, table.name)),
    "rows": ("Rows", lambda table: table.rows or -1),
    "size": ("Size", lambda table: table.size or -1),
    "indexes": ("Indexes", lambda table: table.index_size or -1),
    "dead": ("Dead rows", lambda table: _dead(table) or -1),
    "vacuum": ("Last vacuum", lambda table: table.last_vacuum.timestamp() if table.last_vacuum else 0),
}
#: A table with more dead rows than this, in percent, and enough of them, is pointed at.
BLOATED = 20.0


def state(seen: View, *, text: str, sort: str) -> State:
    """What the database is and holds, as of the last look that reached it."""
    facts = seen.facts
    key, descending = (sort.removeprefix("-"), sort.startswith("-")) if sort else ("size", True)
    if key not in SORTS:
        key, descending = "size", True
    wanted = text.strip().lower()
    every = facts.tables if facts else ()
    found = [table for table in every if wanted in f"{table.schema}.{table.name}".lower()]
    found.sort(key=SORTS[key][1], reverse=descending)
    largest = max((table.size or 0 for table in every), default=0) or 1
    return State(
        facts=_state_facts(facts),
        columns=tuple(_column(seen, name, key, descending, text) for name in SORTS),
        tables=tuple(_table(table, largest) for table in found[:TABLES]),
        table_count=len(facts.stored) if facts else 0,
        materialized=len(every) - len(facts.stored) if facts else 0,
        extensions=tuple(Extension(each.name, each.version) for each in (facts.extensions if facts else ())),
        observed_at=facts.at if facts else None,
        filter=text,
    )


def _state_facts(facts: Facts | None) -> tuple[Fact, ...]:
    if facts is None:
        return ()
    found = []
    if facts.version:
        found.append(Fact("Server", facts.version))
    if facts.started_at:
        found.append(Fact("Up since", moment=facts.started_at))
    found.append(Fact("Size", words.size(facts.size)))
    states = ", ".join(f"{count} {name}" for name, count in sorted(facts.sessions.by_state.items()))
    limit = f" of {facts.sessions.limit}" if facts.sessions.limit else ""
    found.append(Fact("Sessions", f"{facts.sessions.total}{limit}" + (f": {states}" if states else "")))
    if facts.last_write:
        found.append(Fact("Last write", moment=facts.last_write))
    if facts.encoding:
        found.append(
            Fact("Encoding", f"{facts.encoding}, {facts.collation}" if facts.collation else facts.encoding)
        )
    if facts.owner:
        found.append(Fact("Owner", facts.owner, mono=True))
    if facts.in_recovery:
        found.append(Fact("Standby", mark=Mark("warn", "read-only")))
    if facts.missing:
        found.append(Fact("Not seen", mark=Mark("unknown", "; ".join(facts.missing))))
    return tuple(found)


def _column(seen: View, name: str, key: str, descending: bool, text: str) -> Column:
    here = name == key
    value = name if here and descending else f"-{name}"
    path = addresses.environment(seen.environment.project, seen.environment.name)
    return Column(
        SORTS[name][0],
        path + addresses.query(sort=value, table=text),
        sorted=("descending" if descending else "ascending") if here else None,
        numeric=name in ("rows", "indexes", "dead"),
    )


def _dead(table: Table) -> float | None:
    if table.dead_rows is None or table.rows is None:
        return None
    total = table.rows + table.dead_rows
    return 100 * table.dead_rows / total if total else 0.0


def _table(table: Table, largest: int) -> TableRow:
    dead = _dead(table)
    bloated = dead is not None and dead > BLOATED and (table.dead_rows or 0) > 1000
    return TableRow(
        schema=table.schema,
        name=table.name,
        rows=table.rows,
        bytes=table.size or 0,
        index_bytes=table.index_size or 0,
        share=words.percent(table.size or 0, largest),
        dead=dead,
        vacuumed_at=table.last_vacuum,
        note=Mark("warn", "needs a vacuum")
        if bloated
        else None
        if table.kind == "table"
        else Mark("queued", table.kind),
    )


def _note(revision: str, verdict: Verdict) -> Mark | None:
    if revision in verdict.edited:
        return Mark("warn", "edited after apply")
    return Mark("warn", "older than what is applied") if revision in verdict.gaps else None


def migrations(board: Dashboard, who: Principal, seen: View) -> Migrations:
    """The history newest first; pending ones carry what their rehearsal executed."""
    verdict, observation = seen.verdict, seen.observation
    history = seen.source.history if seen.source else None
    plan = seen.rehearsed.content if seen.rehearsed else {}
    rehearsed = planned_of(plan, verdict.pending)
    pending = {step.revision for step in verdict.pending}
    told = verdict.standing not in ("unreachable", "not known")
    rows = [
        MigrationRow(
            revision,
            "In the database, but no migration of the project has this id",
            "unknown",
            Mark("unknown", "unknown"),
        )
        for revision in (*verdict.unknown, *verdict.beyond)
    ]
    newest_first = tuple(reversed(history.migrations)) if history else ()
    for step in newest_first:
        waits = step.revision in pending or not told or verdict.standing == "unknown revision"
        known = seen.applied.get(step.revision)
        planned = rehearsed.get(step.revision)
        rows.append(
            MigrationRow(
                revision=step.revision,
                message=step.message or step.revision,
                state="pending" if waits else "applied",
                mark=_mark(step.revision, pending, told=told and verdict.standing != "unknown revision"),
                file=step.path,
                created=words.written(step.created) if step.created else None,
                note=_note(step.revision, verdict),
                applied_at=known.first_seen if known and not waits else None,
                here=step.revision in verdict.revisions,
                head=bool(history) and step.revision in history.branch_heads,  # type: ignore[union-attr]
                labels=step.labels,
                depends_on=step.depends_on,
                hazards=hazards_of(planned),
                statements=statements_of(planned),
            )
        )
    return Migrations(
        rows=tuple(rows),
        graph=lay_out(((step.revision, step.parents) for step in newest_first), pending),
        applied=len(newest_first) - len(pending) if told else 0,
        pending=len(pending),
        unknown=len(verdict.unknown),
        heads=verdict.heads,
        refusals=tuple(_refusals(seen)),
        problems=history.problems if history else (),
        rehearsal=_rehearsal(seen) if pending else None,
        actions=actions_at(board.kinds, "migrations", who, seen, made=seen.rehearsed is not None)
        if pending
        else (),
        never_migrated=observation is not None and observation.version_table is False,
        empty_because=seen.source.reason
        if seen.source
        else "The project's migrations have not been read yet.",
    )


def _mark(revision: str, pending: set[str], *, told: bool) -> Mark:
    if not told:
        return Mark("unknown", "not known")
    return Mark("pending", "pending") if revision in pending else Mark("ok", "applied")


def _refusals(seen: View) -> list[ErrorView]:
    found = []
    if seen.source and seen.source.error:
        found.append(stored_error(seen.source.error, 422))
    holds = {seen.verdict.standing, *seen.verdict.also}
    if "several heads" in holds:
        found.append(error_view(SeveralHeads(seen.verdict.heads)))
    if seen.verdict.unknown:
        found.append(
            ErrorView(
                409,
                "The database is at a revision that no file has",
                f"{', '.join(seen.verdict.unknown)} stands in the version table of {seen.environment.label}, "
                "but no migration of the project has this id. Nothing is guessed.",
                "Register the build that has it, bring the file back, or stamp the database at a known revision, with "
                "`cleanstart stamp`.",
            )
        )
    return found


def _rehearsal(seen: View) -> Mark:
    rehearsed = seen.rehearsed
    if rehearsed is None:
        return Mark("queued", "Not rehearsed yet")
    if not rehearsed.succeeded:
        said = f"{rehearsed.words}: {rehearsed.message or 'no message'}"
        return Mark("failed" if rehearsed.outcome == "failed" else "unknown", said)
    current = {step.revision: step.digest for step in seen.verdict.pending} == rehearsed.files
    said = f"Rehearsed {words.ago(rehearsed.made_at, now())}"
    return Mark("ok", said) if current else Mark("warn", f"{said}, the files have changed since")


async def backups(store: AsyncConnection, board: Dashboard, who: Principal, seen: View) -> Backups:
    """The backups, newest first."""
    environment, record = seen.environment, seen.record
    needed = backup_needed(environment) or environment.reset is not None
    stored = await read_backups(store, record.environment_id) if record else ()
    limit = environment.backup.max_age
    mark = backup_mark(environment, record, needed, now())
    return Backups(
        rows=tuple(
            _backup(
                each,
                actions_at(board.kinds, "one backup", who, seen, backup=each.id),
                dump_of(board.configuration.backups.location, environment, each.id),
            )
            for each in stored
        ),
        rule=mark
        if mark and mark.status == "warn"
        else Mark("ok", f"A verified backup within {words.duration(limit.total_seconds())}")
        if needed
        else Mark("queued", "No backup is required here"),
        place=f"{board.configuration.backups.location}, not encrypted",
        # Other words than the head's: where both are closed, each has its reason under an id of its own.
        actions=actions_at(board.kinds, "backups", who, seen),
        empty_because="A backup is made by pg_dump and counts as verified once it has been restored and compared.",
    )


def _why_not(verification: Mapping[str, Any]) -> str:
    """What was found wrong with a backup, and when."""
    problems = " ".join(str(each) for each in (verification.get("problems") or ())[:3])
    said = problems or "The restored copy was not equal."
    at = verification.get("finished_at")
    return f"{said} Found at {words.written(str(at))}." if at else said


def _backup(each: StoredBackup, actions: tuple[Action, ...], file: str) -> BackupRow:
    marks: Mapping[str, Mark] = {
        "verified": Mark("ok", "Verified"),
        "unverified": Mark("unknown", "Not verified"),
        "failed verification": Mark("failed", "Verification failed"),
    }
    manifest = each.manifest
    tables = manifest.get("tables") or []
    rows = sum(table.get("rows", 0) for table in tables)
    proof = f"{words.plural(len(tables), 'table')}, {rows:,} rows"
    if each.state == "verified":
        proof += " restored and equal"
    elif each.state == "failed verification":
        proof = _why_not(each.verification or {})
    return BackupRow(
        id=each.id,
        taken_at=each.created_at,
        mark=marks.get(each.state, Mark("unknown", each.state)),
        proof=proof,
        bytes=each.size,
        digest=str((manifest.get("dump") or {}).get("sha256", "")),
        revisions=tuple(manifest.get("revisions") or ()),
        job=each.job_id,
        actions=actions,
        file=file,
    )
