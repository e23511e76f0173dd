"""Builds: what CI registered, where it is deployed, and the one answer to "is it ready?"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Text, all_, case, func, insert, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection

from web.answers.environment import View, view
from web.answers.gate import Gate, deployment_gate
from web.answers.rehearsed import read_rehearsal
from web.answers.summary import Summary, summarize
from web.answers.verdict import Verdict, verdict
from web.config import Configuration, Environment, Project
from web.errors import Conflict, Invalid, NotFound
from web.jobs.start import environment_row
from web.observation.first_seen import read_changed
from web.observation.history_cache import Histories
from web.observation.records import Observation, Record, standing_json
from web.observation.stored_history import StoredHistory, manifest_digest, read_lineage, unless_known
from web.store.tables import BuildRow, DeploymentRow
from web.tools.history import History


@dataclass(frozen=True, slots=True)
class Build:
    """A registered build; its history is the manifest of migrations that were in it."""

    id: int
    project: str
    number: int
    commit: str | None
    history: History
    digest: str
    registered_at: datetime
    registered_by: str

    @property
    def label(self) -> str:
        """`#48`, as people write it."""
        return f"#{self.number}"


@dataclass(frozen=True, slots=True)
class ListedBuild:
    """A build as lists show it: without its manifest, which takes longer to fetch than the rest of a page."""

    project: str
    number: int
    commit: str | None
    digest: str
    registered_at: datetime
    registered_by: str
    heads: tuple[str, ...]
    #: How many.
    migrations: int


@dataclass(frozen=True, slots=True)
class Answer:
    """How a build (or the source, where `build` is None) stands to an environment."""

    environment: Environment
    build: Build | None
    verdict: Verdict
    gate: Gate
    record: Record | None

    @property
    def observation(self) -> Observation | None:
        """What the answer stands on."""
        return self.record.observation if self.record else None

    @property
    def summary(self) -> Summary:
        """The answer in one word."""
        return summarize(self.verdict, self.record)

    @property
    def exit_code(self) -> int:
        """What `cleanstart check` exits with."""
        return self.summary.exit_code

    @property
    def gate_exit_code(self) -> int:
        """What `cleanstart check --gate` exits with: 0 open, 1 closed, else the verdict's own code."""
        if self.gate.open:
            return 0
        return max(1, self.verdict.exit_code)

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "project": self.environment.project,
            "environment": self.environment.name,
            "tier": self.environment.tier,
            "build": (
                {"number": self.build.number, "commit": self.build.commit, "digest": self.build.digest}
                if self.build
                else None
            ),
            **self.verdict.to_json(),
            **self.summary.to_json(),
            **standing_json(self.record),
            "gate": self.gate.to_json(),
            "observation": self.observation.to_json() if self.observation else None,
        }


async def register_build(
    connection: AsyncConnection,
    project: Project,
    number: int,
    history: History,
    *,
    by: str,
    commit: str | None = None,
) -> Build:
    """Register a build. Registering the same content again is fine; another content under its number is not.

    Raises:
        Invalid: not a number of a build, or a history whose ids only the project's code can tell.
        Conflict: the number is taken by a build with other migrations or another commit.
    """
    if not 0 < number < 2**63:
        raise Invalid("A build's number is a whole number from 1.")
    if not history.complete:
        raise Invalid(
            "Part of this history can only be told by the project's own code.",
            hint="Register the build where the project's interpreter is configured.",
        )
    manifest = history.to_json()
    digest = manifest_digest(manifest)
    statement = (
        insert_or(BuildRow)
        .values(
            project=project.name,
            number=number,
            commit=commit,
            manifest=manifest,
            manifest_digest=digest,
            registered_by=by,
        )
        .on_conflict_do_nothing(index_elements=["project", "number"])
    )
    await connection.execute(statement)
    build = await load_build(connection, project.name, number)
    if build.digest != digest:
        raise Conflict(
            f"Build #{number} of {project.name} is registered with other migrations.",
            hint="Numbers are never used twice: register it under a new number.",
        )
    if commit is not None and build.commit is not None and build.commit != commit:
        raise Conflict(
            f"Build #{number} of {project.name} is registered for commit {build.commit}.",
            hint="Numbers are never used twice: register it under a new number.",
        )
    return build


class SourceIsNotBuild(Conflict):
    """What would be applied is not what the build was made of."""

    title = "The source is another build"
    hint = "Bring the source to the commit of the build and check the environment, or name the build that is there."

    def __init__(self, build: Build, heads: tuple[str, ...], wanted: tuple[str, ...]) -> None:
        self.build, self.heads, self.wanted = build, heads, wanted
        super().__init__(
            f"The source of {build.project} ends at {', '.join(heads) or 'nothing'}, and build {build.label} at "
            f"{', '.join(wanted) or 'nothing'}."
        )


def require_source_is_build(build: Build, source: History | None, follow: tuple[str, ...]) -> None:
    """Refuse a source that does not end exactly where a build does. Raises SourceIsNotBuild."""
    heads = source.followed(follow).heads if source is not None else ()
    wanted = build.history.followed(follow).heads
    if source is None or set(heads) != set(wanted):
        raise SourceIsNotBuild(build, heads, wanted)


async def require_build(connection: AsyncConnection, project: str, number: int) -> None:
    """Raise NotFound where the project has no build of this number."""
    query = select(BuildRow.id).where(BuildRow.project == project, BuildRow.number == number)
    if await connection.scalar(query) is None:
        raise _no_build(project, number)


def _no_build(project: str, number: int) -> NotFound:
    return NotFound(f"Project “{project}” has no build #{number}.")


async def load_build(
    connection: AsyncConnection, project: str, number: int, histories: Histories | None = None
) -> Build:
    """The build of this number. Raises NotFound."""
    histories = histories or Histories()
    known = histories.known()
    columns = [column for column in BuildRow.__table__.columns if column.name != "manifest"]
    manifest = unless_known(BuildRow.manifest_digest, BuildRow.manifest, known).label("manifest")
    query = select(*columns, manifest).where(BuildRow.project == project, BuildRow.number == number)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise _no_build(project, number)
    return Build(
        id=row.id,
        project=row.project,
        number=row.number,
        commit=row.commit,
        history=histories.read(row.manifest_digest, row.manifest, known),
        digest=row.manifest_digest,
        registered_at=row.registered_at,
        registered_by=row.registered_by,
    )


async def read_builds(
    connection: AsyncConnection, *projects: str, limit: int = 50, histories: Histories | None = None
) -> tuple[ListedBuild, ...]:
    """The newest builds of these projects, newest first."""
    extents = (histories or Histories()).extents
    unknown = BuildRow.manifest_digest != all_(literal(list(extents), ARRAY(Text)))
    query = (
        select(
            BuildRow.project,
            BuildRow.number,
            BuildRow.commit,
            BuildRow.manifest_digest,
            BuildRow.registered_at,
            BuildRow.registered_by,
            case((unknown, BuildRow.manifest["heads"])).label("heads"),
            case((unknown, func.jsonb_array_length(BuildRow.manifest["migrations"]))).label("migrations"),
        )
        .where(BuildRow.project.in_(projects))
        .order_by(BuildRow.registered_at.desc() if len(projects) > 1 else BuildRow.number.desc())
        .limit(limit)
    )
    found = []
    for row in await connection.execute(query):
        if row.heads is not None:
            extents[row.manifest_digest] = tuple(row.heads), row.migrations
        heads, migrations = extents[row.manifest_digest]
        found.append(
            ListedBuild(
                row.project,
                row.number,
                row.commit,
                row.manifest_digest,
                row.registered_at,
                row.registered_by,
                heads,
                migrations,
            )
        )
    return tuple(found)


async def read_numbers(
    connection: AsyncConnection, project: str, *, limit: int = 50, including: int | None = None
) -> tuple[int, ...]:
    """The newest builds' numbers, newest first; `including` one that may be older, if it exists."""
    newest = (
        select(BuildRow.number)
        .where(BuildRow.project == project)
        .order_by(BuildRow.number.desc())
        .limit(limit)
    )
    query = (
        select(BuildRow.number)
        .where(BuildRow.project == project, or_(BuildRow.number.in_(newest), BuildRow.number == including))
        .order_by(BuildRow.number.desc())
    )
    return tuple(await connection.scalars(query))


async def read_neighbours(
    connection: AsyncConnection, project: str, number: int
) -> tuple[int | None, int | None]:
    """The builds before and after this one, by number."""
    query = select(
        func.max(BuildRow.number).filter(BuildRow.number < number),
        func.min(BuildRow.number).filter(BuildRow.number > number),
    ).where(BuildRow.project == project)
    older, newer = (await connection.execute(query)).one()
    return older, newer


async def record_deployment(
    connection: AsyncConnection, environment: Environment, number: int, *, by: str
) -> Build:
    """Record that an environment runs a build. Raises NotFound where the build was never registered."""
    build = await load_build(connection, environment.project, number)
    environment_id, _ = await environment_row(connection, environment.project, environment.name)
    newest = await connection.scalar(
        select(DeploymentRow.build_id)
        .where(DeploymentRow.environment_id == environment_id)
        .order_by(DeploymentRow.id.desc())
        .limit(1)
    )
    if newest != build.id:
        await connection.execute(
            insert(DeploymentRow).values(environment_id=environment_id, build_id=build.id, recorded_by=by)
        )
    return build


async def answer(
    connection: AsyncConnection,
    configuration: Configuration,
    project: str,
    environment: str,
    number: int | None = None,
    *,
    histories: Histories | None = None,
    records: Mapping[tuple[str, str], Record] | None = None,
) -> Answer:
    """The answer to "is build N ready for this environment?"; without a number it is asked of the source.

    Raises NotFound for a project, environment or build that there is not.
    """
    build = await load_build(connection, project, number, histories) if number is not None else None
    names = project, environment
    seen = await view(connection, configuration, *names, histories=histories, records=records)
    return await answer_of(connection, seen, build, histories)


async def answer_of(
    connection: AsyncConnection, seen: View, build: Build | None, histories: Histories | None = None
) -> Answer:
    """The same, for who has the environment's view and the build already."""
    where, record, source = seen.environment, seen.record, seen.source
    if build is None:
        gate = deployment_gate(seen.verdict, where, record, seen.rehearsed)
        return Answer(where, None, seen.verdict, gate, record)
    observation = record.observation if record else None
    known = {where.project: source.history} if source and source.history else {}
    rows = [(where.project, revision) for revision in observation.revisions] if observation else []
    lineage = await read_lineage(connection, known, rows, histories)
    found = verdict(
        build.history,
        record.observed if record else None,
        lineage=lineage.get(where.project),
        evidence={each.revision: each.file_digest for each in seen.applied.values()},
        reason=source.reason if source else None,
        follow=where.follow,
    )
    rehearsed = None
    if record and found.pending:
        # The source's rehearsal is the build's where both end at the same heads.
        rehearsed = (
            seen.rehearsed
            if seen.verdict.pending and seen.verdict.heads == found.heads
            else await read_rehearsal(connection, record.environment_id, observation, found.heads)
        )
    return Answer(where, build, found, deployment_gate(found, where, record, rehearsed), record)


async def answers_of(
    connection: AsyncConnection,
    configuration: Configuration,
    build: Build,
    records: Mapping[tuple[str, str], Record],
    source: StoredHistory | None,
    histories: Histories | None = None,
) -> dict[str, Verdict]:
    """The verdict of one build against every environment of its project, by name.

    `records` are the project's, `source` its source's history.
    """
    project = build.project
    changed = await read_changed(connection, project, build.history)
    known = {project: source.history} if source and source.history else {}
    rows = {
        (project, revision)
        for record in records.values()
        if record.observation
        for revision in record.observation.revisions
    }
    lineage = (await read_lineage(connection, known, rows, histories)).get(project)
    found: dict[str, Verdict] = {}
    for name, environment in configuration.project(project).environments.items():
        record = records.get((project, name))
        found[name] = verdict(
            build.history,
            record.observed if record else None,
            lineage=lineage,
            evidence=changed.get(record.environment_id) if record else None,
            follow=environment.follow,
        )
    return found


async def newest_number(connection: AsyncConnection, project: str) -> int | None:
    """The highest number that was registered."""
    return await connection.scalar(select(func.max(BuildRow.number)).where(BuildRow.project == project))
