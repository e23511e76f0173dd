"""The verdict: how the revisions of a build or of the source stand to an environment.

Pure: history and observed revisions in, one answer out. Page, API, CLI and badge all ask here.
Whether the policy's conditions hold as well is the gate's question (`gate.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from web import words
from web.observation.records import Observed
from web.tools.history import EVERY_HEAD, Archive, History, Lineage, Migration

Standing = Literal[
    "unreachable",
    "not known",
    "before the clean start",
    "unknown revision",
    "several heads",
    "diverged",
    "edited after apply",
    "ahead",
    "pending",
    "never migrated",
    "same schema",
    "in sync",
]

#: What counts when several hold: the first one is the verdict, the others are listed with it.
PRECEDENCE: Final[tuple[Standing, ...]] = (
    "unreachable",
    "not known",
    "before the clean start",
    "unknown revision",
    "several heads",
    "diverged",
    "edited after apply",
    "ahead",
    "pending",
    "never migrated",
    "same schema",
    "in sync",
)

#: `data-status` of the pages. What is not known has no colour.
_STATUS: Final[Mapping[Standing, str]] = {
    "unreachable": "down",
    "not known": "unknown",
    "before the clean start": "warn",
    "unknown revision": "unknown",
    "several heads": "blocked",
    "diverged": "warn",
    "edited after apply": "warn",
    "ahead": "ahead",
    "pending": "pending",
    "never migrated": "queued",
    "same schema": "ok",
    "in sync": "ok",
}

#: Exit codes of `cleanstart check`.
_EXIT: Final[Mapping[Standing, int]] = {
    "in sync": 0,
    "same schema": 0,
    "pending": 1,
    "never migrated": 1,
    "before the clean start": 2,
    "unknown revision": 2,
    "several heads": 2,
    "diverged": 2,
    "edited after apply": 2,
    "ahead": 2,
    "unreachable": 3,
    "not known": 3,
}

_SEPARATE: Final = "They share no base: `follow` has to say which are meant."


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer, with everything that it stands on."""

    standing: Standing
    #: What holds besides, in order of precedence.
    also: tuple[Standing, ...] = ()
    #: In the history, not in the database; in the order in which they would run.
    pending: tuple[Migration, ...] = ()
    #: What of it is older than something that is applied; only where a database lists every migration that it has.
    gaps: tuple[str, ...] = ()
    #: In the history, not in the database, and on a branch that is not followed.
    not_followed: tuple[str, ...] = ()
    #: In the database, not in this history, but known to the project (a newer build, another branch).
    beyond: tuple[str, ...] = ()
    #: Version rows that nothing of the project has, or only an archive.
    unknown: tuple[str, ...] = ()
    #: The archive that the database's rows, or the build's history, are of.
    archive: Archive | None = None
    #: Applied migrations whose file is not what it was when it was first seen applied.
    edited: tuple[str, ...] = ()
    #: Whether there is a first-seen digest for every applied migration.
    edits_known: bool = True
    #: Where the history ends.
    heads: tuple[str, ...] = ()
    #: Whether these heads share no base, so that there is nothing to merge.
    separate: bool = False
    #: Where the database is.
    revisions: tuple[str, ...] = ()
    #: Why nothing can be told, or what is odd about the history.
    reason: str | None = None

    @property
    def status(self) -> str:
        """The status key of the pages (`data-status`)."""
        return _STATUS[self.standing]

    @property
    def exit_code(self) -> int:
        """What `cleanstart check` exits with."""
        return _EXIT[self.standing]

    @property
    def words(self) -> str:
        """The verdict in two or three words, for cells and badges."""
        match self.standing:
            case "pending":
                return f"{len(self.pending)} pending"
            case "ahead":
                return f"{len(self.beyond)} ahead"
            case "edited after apply":
                return "Edited after apply"
            case standing:
                return standing[0].upper() + standing[1:]

    @property
    def _older(self) -> str:
        if len(self.gaps) == len(self.pending):
            return "older" if len(self.gaps) == 1 else "all of them older"
        return f"{len(self.gaps)} of them older"

    @property
    def sentence(self) -> str:
        """The verdict as one sentence that says what it stands on."""
        match self.standing:
            case "unreachable":
                return f"The database could not be reached: {self.reason or 'no reason is known'}"
            case "not known":
                return f"Could not tell: {_sentence(self.reason or 'nothing has been observed yet')}"
            case "unknown revision":
                return f"The database is at {_list(self.unknown)}, which no migration of the project has."
            case "before the clean start":
                return self._before_the_clean_start
            case "same schema":
                assert self.archive is not None
                return (
                    f"Nothing is pending: the baseline {self.archive.baseline} stands for the migrations of this "
                    "history, which must not be run here any more."
                )
            case "several heads":
                way = _SEPARATE if self.separate else "They need a merge."
                return f"The history ends in {len(self.heads)} heads: {_list(self.heads)}. {way}"
            case "diverged":
                return (
                    f"The database has {words.plural(len(self.beyond), 'migration')} that this history has not, "
                    f"and lacks {words.plural(len(self.pending), 'migration')} of it."
                )
            case "edited after apply":
                verb = "has" if len(self.edited) == 1 else "have"
                return f"{_list(self.edited)} {verb} changed since it was applied."
            case "ahead":
                return (
                    f"The database has {words.plural(len(self.beyond), 'migration')} more than this history."
                )
            case "pending":
                verb = "is" if len(self.pending) == 1 else "are"
                never = "; none has ever been applied" if "never migrated" in self.also else ""
                older = f", {self._older} than what is applied" if self.gaps else ""
                return f"{words.plural(len(self.pending), 'migration')} {verb} pending{older}{never}."
            case "never migrated":
                return "No migration has been applied, and the history has none."
            case "in sync":
                return "Nothing is pending: the database has exactly the migrations of this history."

    @property
    def _before_the_clean_start(self) -> str:
        archive = self.archive
        assert archive is not None
        of = f"the history that was archived on {archive_day(archive)}"
        if self.is_at_the_old_head:
            return (
                f"The database is at the end of {of}: its version row has to be exchanged for the baseline "
                f"{archive.baseline}."
            )
        has, count = len(archive.history.implied(self.unknown)), len(archive.history)
        return f"The database is at {has} of {count} of {of}: it has to be brought to its end first."

    @property
    def is_at_the_old_head(self) -> bool:
        """Whether the database has all of an archived history, so that the baseline can stand for it."""
        return self.archive is not None and self.archive.is_complete(self.unknown)

    def mark_of(self, revision: str) -> str:
        """What a migration of the history is on this database: applied, pending, not followed, or not known."""
        if self.standing in ("unreachable", "not known", "unknown revision", "before the clean start"):
            return "not known"
        if revision in self.not_followed:
            return "not followed"
        return "pending" if any(step.revision == revision for step in self.pending) else "applied"

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "verdict": self.standing,
            "also": list(self.also),
            "words": self.words,
            "sentence": self.sentence,
            "status": self.status,
            "exit_code": self.exit_code,
            "pending": [
                {"revision": migration.revision, "message": migration.message, "path": migration.path}
                for migration in self.pending
            ],
            "not_followed": list(self.not_followed),
            "gaps": list(self.gaps),
            "beyond": list(self.beyond),
            "unknown": list(self.unknown),
            "archive": _archive_to_json(self.archive, self.unknown) if self.archive else None,
            "edited": list(self.edited),
            "edits_known": self.edits_known,
            "heads": list(self.heads),
            "revisions": list(self.revisions),
            "reason": self.reason,
        }


def verdict(
    history: History | None,
    observed: Observed | None,
    *,
    lineage: Lineage | None = None,
    evidence: Mapping[str, str | None] | None = None,
    reason: str | None = None,
    follow: Sequence[str] = (),
) -> Verdict:
    """Say how `history` stands to what was observed.

    `lineage` is what else the project is known to contain (source and builds): with it an applied
    revision that this history lacks is "ahead"; without it, it is unknown. `evidence` maps applied
    revisions to the digest that their file had when they were first seen applied. `reason` says why
    there is no history. `follow` says which of several heads are meant.
    """
    history = history.followed(follow) if history is not None else None
    if observed is None:
        return Verdict("not known", reason="the database has not been checked yet", heads=_heads(history))
    if not observed.reachable:
        return Verdict("unreachable", reason=observed.reason, heads=_heads(history))
    rows = observed.revisions
    if observed.outdated is not None:
        return Verdict("not known", heads=_heads(history), reason=observed.outdated)
    if observed.version_table is None:
        return Verdict(
            "not known",
            heads=_heads(history),
            reason=observed.reason or "the version table could not be read",
        )
    if history is None:
        return Verdict("not known", revisions=rows, reason=reason or "the migrations could not be read")
    if not history.complete:
        return Verdict(
            "not known",
            heads=history.heads,
            revisions=rows,
            reason="part of the history can only be told by the project's own code, which was not asked yet",
        )
    lineage = lineage or Lineage(())
    outside = tuple(row for row in rows if row not in history)
    # Builds of before the clean start know these rows, too: that is no reason to compare them with what replaces them.
    archive = history.archive_of(outside)
    unknown = outside if archive is not None else tuple(row for row in outside if row not in lineage)
    # The history's own parents count first; what it lacks is looked up in the rest of the project.
    implied = lineage.implied(rows, history.listing)
    applied = history.implied({*rows, *implied}) | implied
    same = None if archive is not None else _replaced(history, applied, lineage)
    if same is not None:
        applied = (applied | history.ancestors(same.history.heads)) - {same.baseline}
    beyond = tuple(sorted(revision for revision in applied if revision not in history and archive is None))
    # An unknown row may stand for any part of the history: what is pending cannot be told then.
    pending = tuple(
        step
        for step in history.migrations
        if not unknown and step.revision not in applied and history.counts(step.revision)
    )
    edited, edits_known = _edited(history, applied, evidence or {})
    holds: list[Standing] = []
    if history.problems:
        # A file that cannot be read may be a migration that nobody counts: nothing is in sync with such a history.
        holds.append("not known")
    if archive is not None:
        holds.append("before the clean start")
    elif unknown:
        holds.append("unknown revision")
    if history.is_ambiguous:
        holds.append("several heads")
    if beyond and pending:
        holds.append("diverged")
    if edited:
        holds.append("edited after apply")
    if beyond and not pending and not unknown:
        holds.append("ahead")
    if pending:
        holds.append("pending")
    if not rows:
        holds.append("never migrated")
    if not (unknown or beyond or pending or edited or history.problems) and rows:
        holds.append("in sync" if same is None else "same schema")
    return Verdict(
        holds[0],
        also=tuple(holds[1:]),
        pending=pending,
        not_followed=tuple(
            step.revision
            for step in history.migrations
            if not unknown and step.revision not in applied and not history.counts(step.revision)
        ),
        gaps=tuple(step.revision for step in history.gaps(rows)) if pending else (),
        beyond=beyond,
        unknown=unknown,
        archive=archive or same,
        edited=edited,
        edits_known=edits_known,
        heads=history.heads,
        separate=history.is_ambiguous and not history.share_a_base,
        revisions=history.tops(rows),
        reason=" ".join(history.problems) or None,
    )


def archived_verdict(
    history: History | None, observed: Observed | None, *, evidence: Mapping[str, str | None] | None = None
) -> Verdict | None:
    """How a database that has a part of an archived history stands to that: what a migrate applies to it.

    None: it has no such part, and a migrate goes by the history itself.
    """
    if history is None or observed is None or not observed.reachable or not history.complete:
        return None
    archive = history.unfinished_archive(observed.revisions)
    if archive is None:
        return None
    # All of it, however many heads it had: the baseline stands for all.
    found = verdict(archive.history, observed, evidence=evidence, follow=(EVERY_HEAD,))
    return replace(found, archive=archive)


def _replaced(history: History, applied: frozenset[str], lineage: Lineage) -> Archive | None:
    """The archive that a history is still the whole of, although the database has its baseline."""
    for baseline, archive in lineage.archives.items():
        heads = archive.history.heads
        if (
            baseline in applied
            and baseline not in history
            and heads
            and all(head in history for head in heads)
        ):
            return archive
    return None


def archive_day(archive: Archive) -> str:
    """When it was archived, as people write it; what the manifest says where that is no time."""
    try:
        return words.day(datetime.fromisoformat(archive.made_at))
    except ValueError:
        return archive.made_at


def _archive_to_json(archive: Archive, rows: Collection[str]) -> dict[str, object]:
    return {
        "folder": archive.folder,
        "made_at": archive.made_at,
        "baseline": archive.baseline,
        "migrations": len(archive.history),
        "applied": len(archive.history.implied(rows)),
    }


def _edited(
    history: History, applied: frozenset[str], evidence: Mapping[str, str | None]
) -> tuple[tuple[str, ...], bool]:
    changed: list[str] = []
    known = True
    for step in history.migrations:
        if step.revision not in applied:
            continue
        first_seen = evidence.get(step.revision)
        if first_seen is None or not step.digest:
            known = False
        elif first_seen != step.digest:
            changed.append(step.revision)
    return tuple(changed), known


def _heads(history: History | None) -> tuple[str, ...]:
    return history.heads if history else ()


def _sentence(reason: str) -> str:
    return reason if reason.endswith((".", "!", "?", "…")) else f"{reason}."


def _list(revisions: Sequence[str]) -> str:
    return revisions[0] if len(revisions) == 1 else f"{', '.join(revisions[:-1])} and {revisions[-1]}"
