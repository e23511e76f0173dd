"""Signing in and out, and the sessions of signed-in browsers.

A session lives in the store under the SHA-256 of a random 256-bit id that only the browser has. `sign_in` is
the one function that checks passwords: whatever leads to it shares one limiter and one answer to mistakes.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.access import audit, devices
from web.access.keys import signing_key
from web.access.limiter import begin_attempt, count_within, forgive, network, take_back
from web.access.passwords import check_password
from web.access.permissions import Principal
from web.access.turns import Turns
from web.access.users import USER_NAME
from web.errors import NotSignedIn, TooManyAttempts
from web.store.tables import RoleGrantRow, SessionRow, UserRow

#: A session ends after so long without a request …
IDLE = timedelta(hours=12)
#: … and in any case after this.
ABSOLUTE = timedelta(days=7)
#: The last request's time is written down at most this often.
SEEN_EVERY = timedelta(minutes=1)
#: Seconds after which a wrong name or password is answered, whichever of them it was.
FAILURE_TAKES = 0.3
#: So many failures under names that do not exist are written into the trail, an hour.
UNKNOWN_NAMES = 60

#: A user's roles as one JSON object, by project.
GRANTS = (
    select(func.jsonb_object_agg(RoleGrantRow.project, RoleGrantRow.role))
    .where(RoleGrantRow.user_id == UserRow.id)
    .correlate(UserRow)
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class Session:
    """A live session: whose it is, and the secret that its forms' tokens are made from."""

    digest: str
    principal: Principal
    csrf_secret: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What the browser alone gets to keep: the id of its session, and its device cookie."""

    session_id: str
    device: str


@dataclass(frozen=True, slots=True)
class _Stored:
    id: int
    password_hash: str
    device_generation: int


def digest_of(session_id: str) -> str:
    """What the store knows a session by."""
    return hashlib.sha256(session_id.encode("utf-8", "replace")).hexdigest()


async def sign_in(
    engine: AsyncEngine,
    turns: Turns,
    *,
    name: str,
    password: str,
    address: str | None,
    user_agent: str | None = None,
    replacing: str | None = None,
    device: str | None = None,
) -> SignedIn:
    """Check name and password; returns a new session, and what the browser is known by from now on.

    `replacing` is the session id that the browser came with; it ends here, so that nobody who planted or saw
    it has anything. `device` is the device cookie that it came with for this name. Passes the limiter first, whether
    name and password are right or not.

    Raises:
        NotSignedIn: name or password is wrong, or the user is disabled; which of them is not told.
        TooManyAttempts: too many failures of this browser, or of unknown ones under this name; or too many wait.
    """
    begun = monotonic()
    name = name.strip().lower()
    stored, known_as = await _find_user(engine, name, device)
    attempt = await begin_attempt(engine, name, address, device=known_as)
    try:
        known = known_as is not None
        async with turns.turn(name if known else network(address), known=known):
            right, stronger = await check_password(password, stored.password_hash if stored else None)
    except TooManyAttempts:
        async with engine.begin() as connection:
            await take_back(connection, attempt)
        raise
    async with engine.begin() as connection:
        # Locked and looked at again: the user may have been disabled or the password changed meanwhile.
        still = stored is not None and await connection.scalar(
            select(UserRow.id)
            .where(
                UserRow.id == stored.id,
                UserRow.password_hash == stored.password_hash,
                UserRow.disabled_at.is_(None),
            )
            .with_for_update()
        )
        if right and still and stored is not None:
            await forgive(connection, attempt)
            session_id = await _open_session(connection, stored, address, user_agent, replacing)
            if stronger is not None:
                await connection.execute(
                    update(UserRow).where(UserRow.id == stored.id).values(password_hash=stronger)
                )
            key = await signing_key(connection, devices.PURPOSE)
            await audit.append(
                connection,
                actor=f"user:{name}",
                action="sign in",
                object=f"user {name}",
                detail={"address": address},
            )
            return SignedIn(session_id, devices.make_device(key, name, stored.device_generation))
        await _record_failure(connection, name if stored else None, address)
    # What was written, and whether there was a user to lock, must not be told by the time that it took.
    await asyncio.sleep(max(0.0, begun + FAILURE_TAKES - monotonic()))
    raise NotSignedIn("The name or the password is wrong.")


async def _open_session(
    connection: AsyncConnection,
    stored: _Stored,
    address: str | None,
    user_agent: str | None,
    replacing: str | None,
) -> str:
    """Write down a new session, and end the one that it replaces and those that are over; its id."""
    session_id = secrets.token_urlsafe(32)
    ended = [SessionRow.expires_at < func.now(), SessionRow.last_seen_at < func.now() - IDLE]
    if replacing:
        ended.append(SessionRow.digest == digest_of(replacing))
    for which in ended:
        await connection.execute(delete(SessionRow).where(which))
    await connection.execute(
        insert(SessionRow).values(
            digest=digest_of(session_id),
            user_id=stored.id,
            csrf_secret=secrets.token_urlsafe(32),
            expires_at=func.now() + ABSOLUTE,
            address=address,
            user_agent=(user_agent or "").replace("\0", "")[:300],
        )
    )
    return session_id


async def _record_failure(connection: AsyncConnection, name: str | None, address: str | None) -> None:
    """Write the failure into the trail; `name` is None where there is no such user.

    A wrong name may be a password typed into the wrong field: only names that exist are written down. How often
    those fail is limited; other names are without number, and the trail is kept for ever.
    """
    actor, action, whom = f"user:{name}" if name else "nobody", "failed sign-in", f"user {name}"
    if name is None:
        whom = "an unknown name"
        so_far = await count_within(connection, "unknown names", timedelta(hours=1))
        if so_far > UNKNOWN_NAMES + 1:
            return
        if so_far == UNKNOWN_NAMES + 1:
            action, whom = "failed sign-ins", "unknown names; no more are written down within this hour"
    await audit.append(connection, actor=actor, action=action, object=whom, detail={"address": address})


async def _find_user(engine: AsyncEngine, name: str, device: str | None) -> tuple[_Stored | None, str | None]:
    """The user of this name who may sign in, and by which number this browser is known as theirs."""
    # PostgreSQL refuses some texts (NUL, lone surrogates) loudly; no user has such a name.
    if not USER_NAME.fullmatch(name):
        return None, None
    async with engine.begin() as connection:
        row = (
            await connection.execute(
                select(UserRow.id, UserRow.password_hash, UserRow.device_generation).where(
                    UserRow.name == name, UserRow.disabled_at.is_(None)
                )
            )
        ).one_or_none()
        key = await signing_key(connection, devices.PURPOSE)
    if row is None:
        return None, None
    return _Stored(*row), devices.read_device(key, device, name, row.device_generation)


async def find_session(engine: AsyncEngine, session_id: str) -> Session | None:
    """The live session of this id, which counts as a request; None where there is none, or no more."""
    digest = digest_of(session_id)
    async with engine.connect() as connection:
        session = await session_by_digest(connection, digest)
        if session is not None:
            touched = await connection.execute(
                update(SessionRow)
                .where(SessionRow.digest == digest, SessionRow.last_seen_at < func.now() - SEEN_EVERY)
                .values(last_seen_at=func.now())
            )
            if touched.rowcount:
                await connection.commit()
    return session


async def session_by_digest(connection: AsyncConnection, digest: str) -> Session | None:
    """The live session with its user's present roles, by one look-up; it does not count as a request."""
    row = (
        await connection.execute(
            select(
                SessionRow.csrf_secret, UserRow.id, UserRow.name, UserRow.display_name, GRANTS.label("grants")
            )
            .join(UserRow, UserRow.id == SessionRow.user_id)
            .where(
                SessionRow.digest == digest,
                SessionRow.expires_at > func.now(),
                SessionRow.last_seen_at > func.now() - IDLE,
                UserRow.disabled_at.is_(None),
            )
        )
    ).one_or_none()
    if row is None:
        return None
    principal = Principal(
        f"user:{row.name}", row.display_name, "session", row.grants or {}, user_id=row.id, session=digest
    )
    return Session(digest, principal, row.csrf_secret)


async def sign_out(engine: AsyncEngine, session_id: str) -> None:
    """End the session; that it has ended already is no error."""
    session = await find_session(engine, session_id)
    if session is None:
        return
    who = session.principal.actor
    async with engine.begin() as connection:
        await audit.append(connection, actor=who, action="sign out", object=who.replace(":", " ", 1))
        await connection.execute(delete(SessionRow).where(SessionRow.digest == session.digest))
