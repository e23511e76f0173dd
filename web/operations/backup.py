"""Backup: dump the target to the place for backups; the environment's policy may have it verified at once."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from uuid import UUID, uuid4

from pydantic import Field
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses
from web.acts.verifying import verify_backup
from web.backups.catalog import keys_of, list_backups, read_manifest, remove_backup, sweep
from web.backups.manifest import FORMAT, Manifest, to_json, to_store
from web.backups.places import Place, open_place
from web.backups.reporting import Watch
from web.backups.retention import Kept, expired
from web.backups.take import Source, take
from web.errors import CleanStartError, OperationFailed
from web.jobs.events import announce_change
from web.jobs.job import Intent, Job, Json, Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters
from web.starting.operation import Offer, Onward, Operation, Told
from web.store.tables import UNFINISHED, BackupRow, JobRow
from web.tools.registry import tool_of


class BackupParameters(Parameters):
    """What a backup takes."""

    verify: bool | None = Field(
        default=None, title="Verify it", description="Restore it into a scratch database right after."
    )


async def run(work: Work[BackupParameters]) -> Outcome:
    """Dump, write down that the backup exists, verify it where asked, let go of what no rule keeps."""
    job, environment = work.job, work.job.environment
    place = open_place(work.configuration.backups.location)
    wanted = _verification_wanted(job)
    backup_id = uuid4()
    async with work.progress.step("dump"), work.target(lock_timeout="30s") as connection:
        # The gate is ours: whatever lies there without a manifest is what a killed backup left.
        if swept := await sweep(place, environment.project, environment.name):
            await work.progress.log(f"Removed {swept} files that an unfinished backup had left")
        intent = await work.intend(
            "dump",
            {
                "backup": str(backup_id),
                "key": keys_of(environment.project, environment.name, backup_id).manifest,
                "place": place.shown,
            },
        )
        announced: list[Intent] = []

        async def announce(manifest: Manifest) -> None:
            announced.append(await work.intend("manifest", {"sha256": _digest(manifest)}))

        manifest = await take(
            connection,
            Source(
                environment.project,
                environment.name,
                work.url,
                partial(tool_of(job.project).applied, job.project),
            ),
            place,
            backup_id,
            work.resources.programs,
            _watch(work),
            announce,
        )
        for each in announced:
            await work.receive(each, {})
        await work.receive(intent, {"sha256": manifest.dump.sha256, "size": manifest.size})
    async with work.writing() as store:
        await _insert(store, job.environment_id, job.id, manifest)
    account = f"{len(manifest.tables):,} tables with {manifest.rows:,} rows, {manifest.size:,} bytes on disk."
    if not wanted:
        await work.progress.skip("verify", "Not asked for.")
        await _let_go(work, place)
        return Outcome("Backed up, not verified", account, "Verify it.", data=_data(manifest, verified=False))
    async with work.progress.step("verify"):
        found = await verify_backup(work, place, manifest.id, to_store(manifest))
        if not found.verified:
            raise OperationFailed(
                f"The backup was taken, but its verification failed: {' '.join(found.problems[:3])}",
                hint="Do not rely on it. Look at the problems, then back up again.",
            )
    await _let_go(work, place)
    return Outcome(
        "Backed up and verified",
        f"{account} Restored into a scratch database: schema and row counts are equal.",
        data=_data(manifest, verified=True),
    )


async def reconcile(evidence: Evidence[BackupParameters]) -> Reconciled:
    """The manifest is written last, so it is the proof, where it is the one that was announced; without it, what was
    written is removed.
    """
    job, environment = evidence.job, evidence.job.environment
    dumps = [intent for intent in evidence.intents if intent.step == "dump"]
    if not dumps:
        return Reconciled("not done", "No backup had been begun.", next_step="Back up again.")
    place = open_place(evidence.configuration.backups.location)
    backup_id = UUID(str(dumps[-1].what["backup"]))
    if backup_id not in await list_backups(place, environment.project, environment.name):
        # The gate is still closed: nobody else's parts lie there.
        await sweep(place, environment.project, environment.name)
        return Reconciled(
            "not done",
            "No backup was made; the unfinished parts are removed. The database is unharmed.",
            {"backup": str(backup_id), "place": place.shown},
            # What failed says itself what to do about it.
            "" if evidence.reason == "failed" else "Back up again.",
        )
    manifest = await read_manifest(place, environment.project, environment.name, backup_id)
    announced = [intent.what["sha256"] for intent in evidence.intents if intent.step == "manifest"]
    if _digest(manifest) not in announced:
        return Reconciled(
            "unknown",
            "A manifest lies there that is not the one that this job was about to write; it does not count.",
            {"backup": str(backup_id), "place": place.shown},
            "See who writes into the place for backups, then back up again.",
        )
    async with evidence.writing() as store:
        await _insert(store, job.environment_id, job.id, manifest)
    if evidence.reason != "worker died" and _verification_wanted(job):
        return Reconciled(
            "not done",
            "The backup exists: its manifest was written. Its verification did not come to its end.",
            {"backup": str(backup_id), "sha256": manifest.dump.sha256, "size": manifest.size},
            "" if evidence.reason == "failed" else "Verify it.",
        )
    return Reconciled(
        "done",
        "The backup exists: its manifest was written. It has not been verified in this job.",
        {"backup": str(backup_id), "sha256": manifest.dump.sha256, "size": manifest.size},
        "Verify it.",
    )


def _verification_wanted(job: Job[BackupParameters]) -> bool:
    asked = job.parameters.verify
    return job.environment.backup.verify if asked is None else asked


def _digest(manifest: Manifest) -> str:
    """Of the whole manifest as it is written, for the time before the store has a copy."""
    return sha256(to_json(manifest)).hexdigest()


def _watch(work: Work[BackupParameters]) -> Watch:
    return Watch(
        report=work.progress,
        on_process_group=work.process_group,
        on_connection=work.record_connection,
        application_name=work.application_name,
    )


async def _insert(connection: AsyncConnection, environment_id: int, job_id: int, manifest: Manifest) -> None:
    """Write down that a backup exists; once, however often."""
    await connection.execute(
        insert(BackupRow)
        .values(
            id=manifest.id,
            environment_id=environment_id,
            job_id=job_id,
            key=keys_of(manifest.project, manifest.environment, manifest.id).manifest,
            size=manifest.size,
            sha256=manifest.dump.sha256,
            manifest_version=FORMAT,
            manifest=to_store(manifest),
            created_at=manifest.created_at,
        )
        .on_conflict_do_nothing(index_elements=["id"])
    )
    await announce_change(connection, environment_id)


async def _let_go(work: Work[BackupParameters], place: Place) -> None:
    """Remove the backups that no rule keeps. One that cannot be is told; it keeps nothing else from going."""
    environment = work.job.environment
    query = select(BackupRow.id, BackupRow.created_at, BackupRow.state).where(
        BackupRow.environment_id == work.job.environment_id, BackupRow.state != "removed"
    )
    async with work.store.connect() as connection:
        kept = [Kept(row.id, row.created_at, row.state) for row in await connection.execute(query)]
        used = await _in_use(connection, work.job.environment_id)
    for backup_id in expired(kept, work.configuration.backups.keep, in_use=used):
        try:
            await remove_backup(place, environment.project, environment.name, backup_id)
        except CleanStartError as error:
            await work.progress.log(f"Backup {backup_id} could not be removed: {error}", level="warning")
            continue
        async with work.writing() as connection:
            await _mark_removed(connection, backup_id)
        await work.progress.log(f"Backup {backup_id} is past every rule and was removed")


async def _in_use(connection: AsyncConnection, environment_id: int) -> set[UUID]:
    """The backups that unfinished jobs were started for."""
    query = select(JobRow.parameters["backup"].astext).where(
        JobRow.environment_id == environment_id,
        JobRow.state.in_(UNFINISHED),
        JobRow.parameters["backup"].astext.is_not(None),
    )
    return {UUID(each) for each in await connection.scalars(query)}


async def _mark_removed(connection: AsyncConnection, backup_id: UUID) -> None:
    await connection.execute(
        update(BackupRow).where(BackupRow.id == backup_id).values(state="removed", removed_at=func.now())
    )


def _data(manifest: Manifest, *, verified: bool) -> Json:
    return {
        "backup": str(manifest.id),
        "size": manifest.size,
        "rows": manifest.rows,
        "tables": len(manifest.tables),
        "verified": verified,
    }


def told(job: JobRecord) -> Told:
    """Green is for what a restore has proven."""
    data = (job.outcome or {}).get("data") or {}
    if job.state != "succeeded" or data.get("verified"):
        return Told()
    backup = data.get("backup")
    path = addresses.new_job(*job.place, "verify", backup=backup)
    proof = Onward("Verify this backup…", path, "shield-check", asks=True, primary=True)
    return Told(("queued", "Not verified"), (proof,) if isinstance(backup, str) else ())


BACKUP = Operation(
    name="backup",
    title="Backup",
    verb="Back up",
    parameters=BackupParameters,
    permission="backup",
    # Nothing of the target changes, but one at a time: a second click gets the first one's job.
    mutating=True,
    destructive=False,
    harmless=True,
    steps=(StepTitle("dump", "Dump the database"), StepTitle("verify", "Restore it and compare")),
    run=run,
    reconcile=reconcile,
    noun="backup",
    icon="archive",
    help="Dump a database into the place for backups, with a manifest; with --verify, prove it by a restore.",
    offers=(Offer("environment"), Offer("backups", "Back up now")),
    at_once=True,
    tells=told,
)
