"""A project's history: the directed graph of its migrations, as values. How it is read is left to each tool.

Every question is answered in one walk over the graph, so 800 migrations cost a few milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, cast

#: What the version rows of a database stand for: "heads" for all that they imply, "every" for themselves alone.
Listing = Literal["heads", "every"]
_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")
#: How `follow` names all heads, and the end of a branch.
EVERY_HEAD, HEAD = "heads", "head"
#: Version of the manifest that `History.to_json` writes.
MANIFEST = 1


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a project's history."""

    revision: str
    #: Revisions that this one follows directly; empty: a base.
    down: tuple[str, ...] = ()
    #: Revisions of other branches that have to be there first, branch labels resolved.
    depends_on: tuple[str, ...] = ()
    #: Branch labels that this file gives.
    labels: tuple[str, ...] = ()
    message: str = ""
    #: Relative to the project's source; absolute where the file lies outside of it.
    path: str = ""
    #: SHA-256 of the file, hexadecimal.
    digest: str = ""
    #: When the file says it was made, as written there.
    created: str | None = None
    #: False: something in the file is computed, so the project's own interpreter has to say it.
    literal: bool = True

    @property
    def parents(self) -> tuple[str, ...]:
        """What has to be applied before this migration: `down`, then `depends_on`."""
        return (*self.down, *(revision for revision in self.depends_on if revision not in self.down))


@dataclass(frozen=True)
class History:
    """A project's migrations and what is wrong with them. Make one with `make_history`."""

    #: Every migration after those it needs: the first base comes first.
    migrations: tuple[Migration, ...] = ()
    #: Effective heads: what nothing else follows or depends on.
    heads: tuple[str, ...] = ()
    #: Heads by `down` alone: a migration that is written now follows one of them.
    branch_heads: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    #: False: part of the history could not be read from the files; the runner has to be asked.
    complete: bool = True
    #: What a database's version rows stand for with this tool.
    listing: Listing = "heads"
    #: Which heads are meant, as configured: `heads` or `BRANCH@head`. Empty: there is to be one.
    follow: tuple[str, ...] = ()
    #: What came before: histories that a baseline of this one replaces. Their migrations are none of this one's.
    archives: tuple[Archive, ...] = ()

    @cached_property
    def _by_revision(self) -> Mapping[str, Migration]:
        return {migration.revision: migration for migration in self.migrations}

    @cached_property
    def _parents(self) -> Mapping[str, tuple[str, ...]]:
        return {migration.revision: migration.parents for migration in self.migrations}

    def __len__(self) -> int:
        return len(self.migrations)

    def __contains__(self, revision: object) -> bool:
        return revision in self._by_revision

    def get(self, revision: str) -> Migration | None:
        """The migration with this id, if there is one."""
        return self._by_revision.get(revision)

    def ancestors(self, revisions: Iterable[str]) -> frozenset[str]:
        """These revisions and all that they imply, dependencies included; unknown ones are left out."""
        return self._walk(revisions)

    def followed(self, follow: Sequence[str]) -> History:
        """The same history as it is meant: only what leads to the followed heads is to be applied.

        What follows nothing, or several heads where one is meant, becomes a problem.
        """
        if not follow:
            return self
        if EVERY_HEAD in follow:
            return replace(self, follow=tuple(follow))
        found: list[str] = []
        problems = list(self.problems)
        for name in follow:
            heads = self.heads_of(name.removesuffix(f"@{HEAD}"))
            if not heads:
                problems.append(f"`follow` names {name}, and no branch or revision is called that.")
            if len(heads) > 1:
                problems.append(f"`follow` names {name}, which has {len(heads)} heads: {', '.join(heads)}.")
            found += heads
        scope = self.ancestors(found)
        implied = {parent for revision in scope for parent in self._parents[revision]}
        return replace(
            self,
            heads=tuple(each.revision for each in self.migrations if each.revision in set(found) - implied),
            branch_heads=tuple(dict.fromkeys(found)),
            problems=tuple(problems),
            follow=tuple(follow),
        )

    def heads_of(self, branch: str) -> tuple[str, ...]:
        """The heads of a branch, which is named by a label or by a revision of it."""
        labelled = {each.revision for each in self.migrations if branch in (each.revision, *each.labels)}
        return tuple(head for head in self.branch_heads if labelled & self._line(head))

    @property
    def is_ambiguous(self) -> bool:
        """Whether it has several heads, and nobody has said which are meant."""
        return len(self.heads) > 1 and not self.follow

    @cached_property
    def share_a_base(self) -> bool:
        """Whether all heads come from one beginning, so that a merge makes sense."""
        return bool(frozenset.intersection(*map(self._line, self.heads or ("",))))

    @property
    def targets(self) -> tuple[str, ...] | None:
        """What an upgrade has to be told to go to; None: to every head."""
        return self.heads if self.follow and EVERY_HEAD not in self.follow else None

    @cached_property
    def _scope(self) -> frozenset[str] | None:
        """What leads to the followed heads; None: everything counts."""
        return None if self.targets is None else self.ancestors(self.targets)

    def counts(self, revision: str) -> bool:
        """Whether a migration leads to a head that is followed."""
        return self._scope is None or revision in self._scope

    def _line(self, head: str) -> frozenset[str]:
        """A head and what it follows, without what it only depends on."""
        seen: set[str] = set()
        todo = [head]
        while todo:
            migration = self.get(todo.pop())
            if migration is not None and migration.revision not in seen:
                seen.add(migration.revision)
                todo.extend(migration.down)
        return frozenset(seen)

    @property
    def goal(self) -> tuple[str, ...]:
        """The version rows that a complete upgrade leaves."""
        counted = tuple(each.revision for each in self.migrations if self.counts(each.revision))
        return self.heads if self.listing == "heads" else counted

    def reaching(self, goal: Sequence[str], rows: Iterable[str]) -> tuple[str, ...]:
        """The version rows that lead to `goal` and to what a database with these rows has that is not followed."""
        beside = [row for row in rows if row in self and not self.counts(row)]
        return self.effective((*goal, *beside)) if beside else tuple(goal)

    def implied(self, rows: Iterable[str]) -> frozenset[str]:
        """The migrations that a database with these version rows has; unknown ones are left out."""
        return self.ancestors(rows) if self.listing == "heads" else frozenset(filter(self.__contains__, rows))

    def pending(self, rows: Collection[str]) -> tuple[Migration, ...]:
        """What a complete upgrade has to run on a database with these version rows, in order."""
        implied = self.implied(rows)
        return tuple(
            migration
            for migration in self.migrations
            if migration.revision not in implied and self.counts(migration.revision)
        )

    def rows_at(self, revision: str) -> tuple[str, ...]:
        """The version rows of a database that is at this revision, with nothing missing below it."""
        below = self.ancestors([revision])
        below_it = tuple(each.revision for each in self.migrations if each.revision in below)
        return (revision,) if self.listing == "heads" else below_it

    def tops(self, rows: Collection[str]) -> tuple[str, ...]:
        """The version rows that say where a database is: where every migration is listed, the newest of each branch."""
        below = self._below(rows) if self.listing == "every" else ()
        return tuple(row for row in rows if row not in below)

    def place(self, rows: Collection[str]) -> str:
        """Where a database with these version rows is, in words: as few of them as say it."""
        tops = self.tops(rows)
        lacks = ", ".join(each.revision for each in self.gaps(rows))
        return f"{', '.join(tops) or 'no revision'}{f' without {lacks}' if lacks else ''}"

    def gaps(self, rows: Collection[str]) -> tuple[Migration, ...]:
        """What is pending although something is applied that comes after it; never where rows are heads."""
        below = self.ancestors(rows)
        return tuple(migration for migration in self.pending(rows) if migration.revision in below)

    def unknown(self, applied: Iterable[str]) -> tuple[str, ...]:
        """Version rows that no file has."""
        return tuple(revision for revision in applied if revision not in self._by_revision)

    def archive_of(self, rows: Iterable[str]) -> Archive | None:
        """The archive that all of these version rows are of; None: there are no rows, or no one archive has all."""
        asked = set(rows)
        return next(
            (each for each in self.archives if asked and all(row in each.history for row in asked)), None
        )

    def unfinished_archive(self, rows: Collection[str]) -> Archive | None:
        """The archive whose history a database with these version rows has a part of, and nothing else."""
        archive = None if any(row in self for row in rows) else self.archive_of(rows)
        return archive if archive is not None and not archive.is_complete(rows) else None

    def effective(self, revisions: Collection[str]) -> tuple[str, ...]:
        """The version rows that stand for these revisions: where rows are heads, without what another one implies."""
        implied = self._below(revisions) if self.listing == "heads" else ()
        return tuple(dict.fromkeys(revision for revision in revisions if revision not in implied))

    def is_at_head(self, applied: Collection[str]) -> bool:
        """Whether nothing is pending and nothing unknown on a database with these version rows."""
        if self.unknown(applied):
            return False
        # What is not followed may be there as well.
        if self.targets is not None:
            return not self.pending(applied)
        return set(self.effective(applied)) == set(self.goal)

    def _below(self, revisions: Iterable[str]) -> frozenset[str]:
        """What these imply, without themselves unless another one implies them."""
        known = (self.get(revision) for revision in revisions)
        return self._walk(
            parent for migration in known if migration is not None for parent in migration.parents
        )

    def _walk(self, revisions: Iterable[str]) -> frozenset[str]:
        parents = self._parents
        seen: set[str] = set()
        todo = [revision for revision in revisions if revision in parents]
        while todo:
            revision = todo.pop()
            if revision not in seen:
                seen.add(revision)
                todo.extend(parent for parent in parents[revision] if parent in parents)
        return frozenset(seen)

    def to_json(self) -> dict[str, object]:
        """The manifest of a build: everything here, in JSON's own types."""
        return {
            "manifest": MANIFEST,
            "complete": self.complete,
            # Only where it is not the usual one: a manifest's digest tells whether a build is registered already.
            **({"listing": self.listing} if self.listing != "heads" else {}),
            **({"archives": [each.to_json() for each in self.archives]} if self.archives else {}),
            "problems": list(self.problems),
            "heads": list(self.heads),
            "migrations": [
                {
                    "revision": migration.revision,
                    "down": list(migration.down),
                    "depends_on": list(migration.depends_on),
                    "labels": list(migration.labels),
                    "message": migration.message,
                    "path": migration.path,
                    "digest": migration.digest,
                    "created": migration.created,
                    "literal": migration.literal,
                }
                for migration in self.migrations
            ],
        }

    @staticmethod
    def from_json(manifest: Mapping[str, object]) -> History:
        """Read a manifest back. Raises ValueError where it is none, or of a newer version."""
        if manifest.get("manifest") != MANIFEST:
            raise ValueError(f"not a manifest of version {MANIFEST}: {manifest.get('manifest')!r}")
        rows = manifest.get("migrations")
        if not isinstance(rows, list):
            raise ValueError("a manifest needs a list of migrations")
        # Those of before there was a second way have none.
        listing = manifest.get("listing", "heads")
        if listing not in ("heads", "every"):
            raise ValueError(f"a manifest's listing is heads or every, not {listing!r}")
        read = make_history(
            [_migration_from_json(row) for row in rows],
            problems=_strings(manifest.get("problems", [])),
            complete=manifest.get("complete") is not False,
            listing=listing,
        )
        archives = manifest.get("archives", [])
        if not isinstance(archives, list):
            raise ValueError("a manifest's archives are a list")
        return replace(read, archives=tuple(Archive.from_json(each) for each in archives))


@dataclass(frozen=True)
class Archive:
    """A history that was put away, and the baseline that gives what it gave."""

    #: Relative to the project's source: where its files and their manifest lie.
    folder: str
    #: When the baseline was made, as the manifest says it: ISO 8601.
    made_at: str
    #: The revision that stands for all of it now.
    baseline: str
    #: Its migrations; their paths are where the files are kept, empty where they are not.
    history: History

    def is_complete(self, rows: Collection[str]) -> bool:
        """Whether a database with these version rows has all of it, so that the baseline can stand for it."""
        return set(self.history.effective(rows)) == set(self.history.goal)

    def to_json(self) -> dict[str, object]:
        """As a part of a manifest."""
        return {
            "folder": self.folder,
            "made_at": self.made_at,
            "baseline": self.baseline,
            "history": self.history.to_json(),
        }

    @staticmethod
    def from_json(content: object) -> Archive:
        """Read it back. Raises ValueError."""
        if not isinstance(content, dict) or not isinstance(content.get("history"), dict):
            raise ValueError("an archive of a manifest needs a history")
        folder, made_at, baseline = _strings(
            [content.get(name) for name in ("folder", "made_at", "baseline")]
        )
        return Archive(folder, made_at, baseline, History.from_json(content["history"]))


class Lineage:
    """Everything a project is known to contain: its source and its builds, joined into one graph.

    Walks are remembered, so that one build is judged against hundreds of environments in one go.
    Where histories disagree about a revision's parents, the first one counts.
    """

    def __init__(self, histories: Iterable[History]) -> None:
        self._parents: dict[str, tuple[str, ...]] = {}
        self._walked: dict[frozenset[str], frozenset[str]] = {}
        #: By the baseline's revision, the history that it replaces.
        self.archives: dict[str, Archive] = {}
        for history in histories:
            for archive in history.archives:
                self.archives.setdefault(archive.baseline, archive)
            for migration in history.migrations:
                self._parents.setdefault(migration.revision, migration.parents)

    def __contains__(self, revision: object) -> bool:
        return revision in self._parents

    def implied(self, rows: Sequence[str], listing: Listing) -> frozenset[str]:
        """What a database with these version rows has of the project; what nothing knows is left out."""
        known = [row for row in rows if row in self]
        return self.ancestors(rows) if known and listing == "heads" else frozenset(known)

    def ancestors(self, revisions: Iterable[str]) -> frozenset[str]:
        """These revisions and everything they imply; what nothing knows is left out."""
        start = frozenset(revisions)
        walked = self._walked.get(start)
        if walked is None:
            seen: set[str] = set()
            todo = list(start)
            while todo:
                revision = todo.pop()
                if revision in seen or revision not in self._parents:
                    continue
                seen.add(revision)
                todo.extend(self._parents[revision])
            walked = self._walked[start] = frozenset(seen)
        return walked


def _migration_from_json(row: object) -> Migration:
    if not isinstance(row, dict) or not isinstance(row.get("revision"), str) or not row["revision"]:
        raise ValueError("every migration of a manifest needs a revision")
    fields = cast("dict[str, object]", row)
    created = fields.get("created")
    return Migration(
        revision=str(fields["revision"]),
        down=_strings(fields.get("down", [])),
        depends_on=_strings(fields.get("depends_on", [])),
        labels=_strings(fields.get("labels", [])),
        message=str(fields.get("message", "")),
        path=str(fields.get("path", "")),
        digest=str(fields.get("digest", "")),
        created=None if created is None else str(created),
        literal=fields.get("literal") is not False,
    )


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("expected a list of strings in the manifest")
    return tuple(value)


def make_history(
    migrations: Iterable[Migration],
    *,
    problems: Iterable[str] = (),
    complete: bool = True,
    listing: Listing = "heads",
) -> History:
    """Order migrations into a history. What does not fit together becomes a problem, never an exception."""
    found: dict[str, Migration] = {}
    told = list(dict.fromkeys(map(storable, problems)))

    def tell(problem: str) -> None:
        if problem not in told:
            told.append(problem)

    for given in migrations:
        migration = _with_storable_texts(given)
        if (migration.revision, migration.parents) != (given.revision, given.parents):
            tell(f"{migration.path} names a revision with characters that no database keeps.")
        earlier = found.get(migration.revision)
        if earlier is not None:
            tell(f"Revision {migration.revision} is in two files: {earlier.path} and {migration.path}.")
        # As tools do it, the file that was read last is gone on with.
        found[migration.revision] = migration
    labelled = {label: migration.revision for migration in found.values() for label in migration.labels}
    nodes: dict[str, Migration] = {}
    for migration in found.values():
        depends_on = []
        for name in migration.depends_on:
            target = name if name in found else labelled.get(name)
            if target is None:
                tell(f"Revision {migration.revision} depends on {name}, which no file has.")
            depends_on.append(target or name)
        for name in migration.down:
            if name not in found:
                tell(f"Revision {migration.revision} follows {name}, which no file has.")
        nodes[migration.revision] = replace(migration, depends_on=tuple(depends_on))
    followed = {revision for node in nodes.values() for revision in node.down}
    needed = followed | {revision for node in nodes.values() for revision in node.depends_on}
    ordered, circle = _in_order(nodes, [revision for revision in nodes if revision not in needed])
    if circle:
        tell(f"Revisions go round in a circle: {', '.join(sorted(circle))}.")
    return History(
        migrations=ordered,
        heads=tuple(node.revision for node in ordered if node.revision not in needed),
        branch_heads=tuple(node.revision for node in ordered if node.revision not in followed),
        bases=tuple(node.revision for node in ordered if not node.down),
        problems=tuple(told),
        complete=complete,
        listing=listing,
    )


def _with_storable_texts(migration: Migration) -> Migration:
    """The migration as the store can keep it: a docstring may hold any character, and so may a file's name."""
    return replace(
        migration,
        revision=storable(migration.revision),
        down=tuple(map(storable, migration.down)),
        depends_on=tuple(map(storable, migration.depends_on)),
        labels=tuple(map(storable, migration.labels)),
        message=storable(migration.message),
        path=storable(migration.path),
        created=storable(migration.created) if migration.created is not None else None,
    )


def storable(text: str) -> str:
    """The text without NUL and lone surrogates, which PostgreSQL refuses."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _in_order(
    nodes: Mapping[str, Migration], heads: Sequence[str]
) -> tuple[tuple[Migration, ...], list[str]]:
    """Depth first from the heads, so that a branch stays together; with what is part of a circle, if any."""
    done: set[str] = set()
    path: dict[str, None] = {}
    ordered: list[Migration] = []
    circle: list[str] = []
    # Heads first; inside a circle nothing is a head, so everything else is tried too.
    for start in (*heads, *nodes):
        todo: list[tuple[str, Iterator[str]]] = []
        if start not in done:
            path[start] = None
            todo.append((start, iter(nodes[start].parents)))
        while todo:
            revision, parents = todo[-1]
            parent = next((name for name in parents if name in nodes and name not in done), None)
            if parent is None:
                todo.pop()
                del path[revision]
                done.add(revision)
                ordered.append(nodes[revision])
            elif parent in path:
                steps = list(path)
                circle.extend(name for name in steps[steps.index(parent) :] if name not in circle)
            else:
                path[parent] = None
                todo.append((parent, iter(nodes[parent].parents)))
    return tuple(ordered), circle
