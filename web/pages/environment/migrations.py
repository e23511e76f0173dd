"""The Migrations tab: the history newest first, what is pending with its rehearsal."""

from __future__ import annotations

from web import words
from web.access.permissions import Principal
from web.answers.environment import View
from web.answers.verdict import Verdict
from web.dashboard import Dashboard
from web.pages.environment.head import actions_at
from web.pages.graph import lay_out
from web.pages.planned import hazards_of, planned_of, statements_of
from web.pages.presenting import several_heads, stored_error
from web.pages.shell import now
from web.pages.views.environment.migrations import MigrationRow, MigrationsTab
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, Mark

_MARKS = {
    "applied": Mark("ok", "applied"),
    "pending": Mark("pending", "pending"),
    "not followed": Mark("queued", "not followed"),
    "not known": Mark("unknown", "not known"),
}


def _note(revision: str, verdict: Verdict) -> Mark | None:
    if revision in verdict.edited:
        return Mark("warn", "edited after apply")
    return Mark("warn", "older than what is applied") if revision in verdict.gaps else None


def migrations(board: Dashboard, who: Principal, seen: View) -> MigrationsTab:
    """The history newest first; pending ones carry what their rehearsal executed."""
    verdict, observation = seen.verdict, seen.observation
    history = seen.source.history if seen.source else None
    plan = seen.rehearsed.content if seen.rehearsed else {}
    rehearsed = planned_of(plan, seen.to_apply.pending)
    pending = {*(step.revision for step in verdict.pending), *verdict.not_followed}
    told = verdict.standing not in ("unreachable", "not known")
    rows = [
        MigrationRow(
            revision=step.revision,
            message=step.message or step.revision,
            state="pending",
            mark=Mark("pending", "archived, pending"),
            file=step.path,
            labels=step.labels,
            depends_on=step.depends_on,
            hazards=hazards_of(rehearsed.get(step.revision)),
            statements=statements_of(rehearsed.get(step.revision)),
        )
        for step in (reversed(seen.archived.pending) if seen.archived else ())
    ]
    rows += [
        MigrationRow(
            revision,
            "In the database, but no migration of the project has this id"
            if verdict.standing != "before the clean start"
            else "In the database, of the history that was archived",
            "unknown",
            Mark("unknown", "unknown" if verdict.standing != "before the clean start" else "archived"),
        )
        for revision in (*verdict.unknown, *verdict.beyond)
    ]
    newest_first = tuple(reversed(history.migrations)) if history else ()
    for step in newest_first:
        waits = step.revision in pending or not told or verdict.mark_of(step.revision) == "not known"
        known = seen.applied.get(step.revision)
        planned = rehearsed.get(step.revision)
        rows.append(
            MigrationRow(
                revision=step.revision,
                message=step.message or step.revision,
                state="pending" if waits else "applied",
                mark=_MARKS[verdict.mark_of(step.revision)],
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
    return MigrationsTab(
        rows=tuple(rows),
        graph=lay_out(((step.revision, step.parents) for step in newest_first), pending),
        applied=len(newest_first) - len(pending) if told else 0,
        pending=len(seen.to_apply.pending),
        unknown=len(verdict.unknown),
        heads=verdict.heads,
        refusals=tuple(_refusals(board, who, seen)),
        problems=history.problems if history else (),
        rehearsal=_rehearsal(seen) if seen.to_apply.pending else None,
        actions=_actions(board, who, seen),
        never_migrated=observation is not None and observation.version_table is False,
        empty_because=seen.source.reason
        if seen.source
        else "The project's migrations have not been read yet.",
    )


def _actions(board: Dashboard, who: Principal, seen: View) -> tuple[Action, ...]:
    """The buttons, by where the database stands: before a clean start, with something pending, at a baseline."""
    rehearsed = seen.rehearsed is not None
    if seen.verdict.standing == "before the clean start":
        rest = actions_at(board.kinds, "archived part", who, seen, made=rehearsed) if seen.archived else ()
        return (*rest, *actions_at(board.kinds, "archived history", who, seen))
    pending = actions_at(board.kinds, "migrations", who, seen, made=rehearsed) if seen.verdict.pending else ()
    return (*pending, *(actions_at(board.kinds, "at a baseline", who, seen) if seen.is_at_a_baseline else ()))


def _refusals(board: Dashboard, who: Principal, seen: View) -> list[ErrorView]:
    found = []
    if seen.source and seen.source.error:
        found.append(stored_error(seen.source.error, 422))
    holds = {seen.verdict.standing, *seen.verdict.also}
    if "several heads" in holds:
        found.append(
            several_heads(
                board.kinds, who, seen.project.name, seen.verdict.heads, separate=seen.verdict.separate
            )
        )
    if seen.verdict.standing == "before the clean start":
        found.append(
            ErrorView(
                409,
                "The database is at the history of before the clean start",
                seen.verdict.sentence,
                "Exchange the version row where the schema is what the baseline gives: `cleanstart restamp`."
                if seen.verdict.is_at_the_old_head
                else "Apply the rest first: the archived migrations run as they were.",
            )
        )
    elif seen.verdict.unknown:
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
    current = {step.revision: step.digest for step in seen.to_apply.pending} == rehearsed.files
    said = f"Rehearsed {words.ago(rehearsed.made_at, now())}"
    return Mark("ok", said) if current else Mark("warn", f"{said}, the files have changed since")
