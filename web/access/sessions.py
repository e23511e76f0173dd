"""Signing in and out, and the sessions of signed-in browsers.

A session lives in the store under the SHA-256 of a random 256-bit id that only the browser has. `sign_in` is
the one function that checks passwords: whatever leads to it shares one limiter and one answer to mistakes.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.access import audit
from web.access.limiter import begin_attempt, forgive
from web.access.passwords import check_password
from web.access.permissions import Principal
from web.access.users import USER_NAME
from web.errors import NotSignedIn
from web.store.tables import RoleGrantRow, SessionRow, UserRow

#: A session ends after so long without a request …
IDLE = timedelta(hours=12)
#: … and in any case after this.
ABSOLUTE = timedelta(days=7)
#: The last request's time is written down at most this often.
SEEN_EVERY = timedelta(minutes=1)


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
class _Stored:
    id: int
    password_hash: str


def digest_of(session_id: str) -> str:
    """What the store knows a session by."""
    return hashlib.sha256(session_id.encode("utf-8", "replace")).hexdigest()


async def sign_in(
    engine: AsyncEngine,
    *,
    name: str,
    password: str,
    address: str | None,
    user_agent: str | None = None,
    replacing: str | None = None,
) -> str:
    """Check name and password and return the id of a new session, for the browser alone to keep.

    `replacing` is the session id that the browser came with; it ends here, so that nobody who planted or saw
    it has anything. Passes the limiter first, whether name and password are right or not.

    Raises:
        NotSignedIn: name or password is wrong, or the user is disabled; which of them is not told.
        TooManyAttempts: too many failures under this name or from this address.
    """
    name = name.strip().lower()
    await begin_attempt(engine, name, address)
    stored = await _find_user(engine, name)
    right, stronger = await check_password(password, stored.password_hash if stored else None)
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
            session_id = secrets.token_urlsafe(32)
            await audit.append(
                connection,
                actor=f"user:{name}",
                action="sign in",
                object=f"user {name}",
                detail={"address": address},
            )
            if stronger is not None:
                await connection.execute(
                    update(UserRow).where(UserRow.id == stored.id).values(password_hash=stronger)
                )
            await forgive(connection, name)
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
        # A wrong name may be a password typed into the wrong field: only names that exist are written down.
        await audit.append(
            connection,
            actor=f"user:{name}" if stored else "nobody",
            action="failed sign-in",
            object=f"user {name}" if stored else "an unknown name",
            detail={"address": address},
        )
    raise NotSignedIn("The name or the password is wrong.")


async def _find_user(engine: AsyncEngine, name: str) -> _Stored | None:
    # PostgreSQL refuses some texts (NUL, lone surrogates) loudly; no user has such a name.
    if not USER_NAME.fullmatch(name):
        return None
    async with engine.connect() as connection:
        row = (
            await connection.execute(
                select(UserRow.id, UserRow.password_hash).where(
                    UserRow.name == name, UserRow.disabled_at.is_(None)
                )
            )
        ).one_or_none()
    return _Stored(row.id, row.password_hash) if row else None


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
