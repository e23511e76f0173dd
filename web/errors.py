"""The error tree. Every error a person may see carries an HTTP status, a title and a hint.

Raised in the adapters and the domain, rendered by one handler per surface (pages, API, CLI).
Constructors take data and build the message; nothing here ever holds a credential.
"""

from __future__ import annotations

from collections.abc import Sequence


class CleanStartError(Exception):
    """Base of everything this product raises on purpose."""

    #: HTTP status that pages and API answer with.
    status = 500
    #: Short heading for people.
    title = "Something went wrong"
    #: What to do next, in one sentence; empty where there is nothing to do.
    hint = ""

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        if hint is not None:
            self.hint = hint

    def to_store(self) -> dict[str, str]:
        """What the store keeps of it, and shows again later."""
        return {"title": self.title, "message": str(self), "hint": self.hint}


class ConfigurationInvalid(CleanStartError):
    """A configuration file that cannot be used; names file, line, key and what was expected."""

    title = "The configuration is not valid"

    def __init__(self, file: str, line: int | None, key: str, expected: str) -> None:
        self.file, self.line, self.key, self.expected = file, line, key, expected
        where = f"{file}:{line}" if line else file
        super().__init__(f"{where}: {key}: {expected}" if key else f"{where}: {expected}")


class SecretUnavailable(ConfigurationInvalid):
    """A secret reference (env:NAME or file:PATH) that cannot be read right now."""

    status = 503
    title = "A secret cannot be read"
    hint = "Give it to the processes of Clean Start that need it, then try again."


class StoreNotReady(CleanStartError):
    """The store's schema is not the one this version needs."""

    status = 503
    title = "The store is not upgraded"
    hint = "Run `cleanstart upgrade`."


class StoreUnavailable(CleanStartError):
    """The dashboard's own database does not answer."""

    status = 503
    title = "The store cannot be reached"
    hint = "Nothing was started by this request. It is tried again with every new one."


class NotFound(CleanStartError):
    """There is no such thing."""

    status = 404
    title = "Not found"


class NotSignedIn(CleanStartError):
    """This needs a signed-in person or a token."""

    status = 401
    title = "Sign in first"


class BodyTooLarge(CleanStartError):
    """The request is larger than anything that is sent here."""

    status = 413
    title = "The request is too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request is too large: {limit // 2**20} MiB are the most that is taken.")


class Invalid(CleanStartError):
    """The request cannot be understood as it is."""

    status = 422
    title = "This cannot be done as asked"


class TooManyAttempts(CleanStartError):
    """Too many failed sign-ins; wait before the next one."""

    status = 429
    title = "Too many attempts"

    def __init__(self, message: str = "", *, hint: str | None = None, retry_after: int = 1) -> None:
        #: Seconds, for the Retry-After header.
        self.retry_after = retry_after
        super().__init__(message, hint=hint)


class Conflict(CleanStartError):
    """The request does not fit the state that things are in."""

    status = 409
    title = "Not possible right now"


class JobAlreadyRunning(Conflict):
    """Another operation is changing the same target."""

    title = "Another job is running on this database"

    def __init__(self, job_id: int, kind: str, environment: str) -> None:
        self.job_id, self.kind, self.environment = job_id, kind, environment
        super().__init__(
            f"Job {job_id} ({kind} on {environment}) is not finished; "
            "only one operation changes a database at a time.",
            hint=f"Wait for job {job_id} or cancel it.",
        )


class TargetChanged(Conflict):
    """The database is not in the state that the person saw."""

    title = "The database has changed since you looked"
    hint = "Look at its present state and decide again."


class SeveralHeads(Conflict):
    """The history has several heads; which one to go to is not guessed."""

    title = "The history has several heads"
    hint = (
        "Merge them, with `cleanstart merge-heads` or by hand, and register the new build. Where several are meant, "
        "say so with `follow`."
    )

    def __init__(self, heads: Sequence[str], *, separate: bool = False) -> None:
        self.heads = tuple(heads)
        hint = "They share no base, so there is nothing to merge: say with `follow` which are meant."
        super().__init__(
            f"The history has {len(self.heads)} heads: {', '.join(self.heads)}.",
            hint=hint if separate else None,
        )


class Refused(CleanStartError):
    """This is not allowed."""

    status = 403
    title = "Refused"


class OperationNotAllowed(Refused):
    """The person's role or the environment's policy does not allow this operation."""

    title = "This operation is not allowed"


class ConfirmationMismatch(Refused):
    """What was typed is not the name that was asked for."""

    title = "The typed name does not match"


class CrossSiteRequest(Refused):
    """The request did not come from a page of this dashboard."""

    title = "The request was refused"
    hint = "Reload the page and try again."


class IdentityMismatch(Refused):
    """The URL now points at another database than the one that was pinned."""

    title = "This is not the database it was"
    hint = (
        "Check where the URL points. If the move was intended, pin the new database: `cleanstart pin`, or the link "
        "on the environment's page."
    )

    def __init__(self, message: str, found: str) -> None:
        #: The identity that is there now.
        self.found = found
        super().__init__(message)

    def to_store(self) -> dict[str, str]:
        """With the identity that was found instead."""
        return {**super().to_store(), "found": self.found}


class TargetUnavailable(CleanStartError):
    """The database cannot be reached or refuses the connection."""

    status = 503
    title = "The database cannot be reached"
    hint = "See whether the server runs and the URL leads to it, then try again."

    def __init__(self, message: str, *, sqlstate: str | None = None, hint: str | None = None) -> None:
        self.sqlstate = sqlstate
        super().__init__(message, hint=hint)


class ProgramMissing(CleanStartError):
    """A program that is needed (pg_dump, initdb, an interpreter) is not there or not usable."""

    status = 503
    title = "A program is missing"


class ScratchUnavailable(CleanStartError):
    """No scratch server of the target's major version."""

    status = 503
    title = "No scratch server"

    def __init__(self, major: int, *, hint: str | None = None) -> None:
        self.major = major
        super().__init__(
            f"Could not compare: no PostgreSQL {major} for scratch.",
            hint=hint
            or f"Install server programs of PostgreSQL {major} or name a scratch server under [scratch].",
        )


class SourceInvalid(CleanStartError):
    """The project's source cannot be read as a migration history."""

    status = 422
    title = "The migrations cannot be read"
    hint = "Check the project's `source` and its `[alembic]` settings, and that the files are there."


class OperationFailed(CleanStartError):
    """An operation ended without doing what it was asked to do."""

    title = "The operation failed"


class CommandFailed(OperationFailed):
    """A program ended with an error."""

    title = "A program failed"
    hint = "Its message says why; the log has all of it. Start again once that is mended."

    def __init__(self, argv: Sequence[str], exit_code: int, stderr_tail: str) -> None:
        self.argv, self.exit_code, self.stderr_tail = tuple(argv), exit_code, stderr_tail
        program = argv[0].rsplit("/", 1)[-1] if argv else "program"
        how = f"was ended by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
        super().__init__(f"{program} {how}: {stderr_tail.strip() or 'no message'}")


class MigrationFailed(OperationFailed):
    """A migration stopped with an error."""

    title = "The migration failed"

    def __init__(self, revision: str | None, message: str, *, sqlstate: str | None = None) -> None:
        self.revision, self.sqlstate = revision, sqlstate
        where = f"Revision {revision}" if revision else "The migration tool"
        super().__init__(f"{where} failed: {message}")


class ModelsFailed(OperationFailed):
    """The project's models could not be made in a database."""

    title = "The models could not be made"

    def __init__(self, message: str, *, sqlstate: str | None = None, hint: str = "") -> None:
        self.sqlstate = sqlstate
        super().__init__(message, hint=hint)


class NotSupported(Refused):
    """Something that a project's migration tool cannot do."""

    title = "The migration tool cannot do this"

    def __init__(self, tool: str, ability: str) -> None:
        what = {"models": "make models", "merge": "merge heads"}.get(ability, ability)
        super().__init__(f"Clean Start cannot {what} with {tool}.")


class BackupInvalid(Refused):
    """A backup that is torn, altered or not from where it should be."""

    title = "The backup cannot be used"
    hint = "Do not rely on it. Back up again."


class BackupOfAnotherVersion(BackupInvalid):
    """A backup that this version does not know how to read; that says nothing about whether it is sound."""

    hint = "Use the version of Clean Start that made the backup, or a newer one."


class FencedOff(CleanStartError):
    """This attempt was replaced; it may not write to the store any more."""

    title = "This attempt was fenced off"


class PrivilegeMissing(Refused):
    """The database user may not do this."""

    title = "The database user lacks a privilege"

    def __init__(self, message: str, *, sqlstate: str = "42501", hint: str | None = None) -> None:
        self.sqlstate = sqlstate
        super().__init__(message, hint=hint)


class ReadOnlyDatabase(Conflict):
    """The database accepts no changes: a standby, or default_transaction_read_only."""

    title = "The database is read-only"
    hint = "Point the URL at the primary server, or see default_transaction_read_only of the database and the user."


class LockTimeout(Conflict):
    """A lock was not obtained in time; nothing was waited for any longer."""

    title = "The database is busy"
    hint = "See in pg_stat_activity and pg_locks who holds the lock, then try again."


class TransactionPooled(Conflict):
    """The URL leads through a pooler that changes the server session between transactions."""

    title = "The URL leads through a transaction pooler"
    hint = (
        "Use a URL that leads directly to PostgreSQL, or to a pool in session mode with two sessions or more."
    )


class TimeLimitExceeded(OperationFailed):
    """A program was ended because it took longer than it may."""

    title = "It took too long"


class ExtensionsMissing(CleanStartError):
    """The scratch server does not have extensions that the database uses."""

    status = 503
    title = "Extensions are missing on the scratch server"

    def __init__(self, major: int, names: Sequence[str]) -> None:
        self.major, self.names = major, tuple(names)
        super().__init__(
            f"The scratch server of PostgreSQL {major} lacks: {', '.join(self.names)}.",
            hint=f"Name a server of PostgreSQL {major} that has them under [scratch].",
        )


class PlaceFull(OperationFailed):
    """The place for backups has no space left."""

    status = 507
    title = "No space left for the backup"
    hint = "Nothing was left behind. Make space or give backups another place, then start again."


class PlaceUnavailable(CleanStartError):
    """The place for backups cannot be used."""

    status = 503
    title = "The place for backups cannot be used"
    hint = "Check `location` of [backups], and that the user who runs the worker may write there."


class DirectoryUnavailable(CleanStartError):
    """The folder for this machine's own data cannot be made or used."""

    status = 503
    title = "The data directory cannot be used"
    hint = (
        "Name a folder that this user may write to: under `data_directory`, or for the demo with --directory."
    )

    def __init__(self, directory: str, reason: str) -> None:
        self.directory, self.reason = directory, reason
        super().__init__(f"{directory}: {reason}.")
