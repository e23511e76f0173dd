"""Signing in, what a session is worth, and when it ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.access.small_site import PASSWORD, CreateUser
from tests.access.standing import still_may
from web.access import audit, devices, sessions
from web.access.limiter import BY_DEVICE, begin_attempt
from web.access.passwords import NOBODY, check_password, hash_password
from web.access.sessions import FAILURE_TAKES, SignedIn, find_session, sign_in, sign_out
from web.access.turns import EACH, Turns
from web.access.users import disable_user, enable_user, forget_devices, grant_role, set_password
from web.errors import Invalid, NotSignedIn, TooManyAttempts


async def enter_known(
    engine: AsyncEngine, name: str = "ada", password: str = PASSWORD, **more: str | None
) -> SignedIn:
    arguments: dict[str, str | None] = {"address": "10.0.0.1", **more}
    return await sign_in(
        engine,
        Turns(),
        name=name,
        password=password,
        address=arguments["address"],
        user_agent=arguments.get("user_agent"),
        replacing=arguments.get("replacing"),
        device=arguments.get("device"),
    )


async def enter(engine: AsyncEngine, name: str = "ada", password: str = PASSWORD, **more: str | None) -> str:
    return (await enter_known(engine, name, password, **more)).session_id


async def run(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement))


async def entries(engine: AsyncEngine) -> list[tuple[str, str, str]]:
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT actor, action, object FROM audit_entry ORDER BY id"))
        return [(row.actor, row.action, row.object) for row in rows]


async def test_a_session(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", clinic="operator", every="viewer")
    session_id = await enter(store, " Ada ", user_agent="a\0" + "b" * 1000)
    session = await find_session(store, session_id)
    assert session is not None
    assert session.principal.actor == "user:ada"
    assert session.principal.grants == {"clinic": "operator", "*": "viewer"}
    assert len(session_id) >= 43

    async with store.connect() as connection:
        stored = (await connection.execute(text("SELECT * FROM session"))).one()
    assert session_id not in repr(stored)
    assert len(stored.user_agent) == 300
    assert await find_session(store, session.digest) is None
    assert await find_session(store, "") is None
    assert await find_session(store, "\ud800\0") is None


async def test_every_mistake_has_one_answer(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", clinic="viewer")
    await user("bob", clinic="viewer")
    async with store.begin() as connection:
        await grant_role(connection, actor="local:test", name="ada", project="*", role="admin")
        await disable_user(connection, actor="local:test", name="bob")
    messages = set()
    for name, password in (
        ("ada", "wrong"),
        ("eve", PASSWORD),
        ("bob", PASSWORD),
        ("ada", "x" * 2000),
        ("\0", ""),
    ):
        with pytest.raises(NotSignedIn) as caught:
            await enter(store, name, password)
        messages.add(str(caught.value))
    assert messages == {"The name or the password is wrong."}


async def test_rotation_at_sign_in(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")
    planted = "chosen-by-an-attacker"
    first = await enter(store, replacing=planted)
    assert first != planted
    assert await find_session(store, planted) is None
    second = await enter(store, replacing=first)
    assert await find_session(store, first) is None
    assert await find_session(store, second) is not None


async def test_a_session_of_another_browser_stays(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")
    first, second = await enter(store), await enter(store)
    assert await find_session(store, first) is not None
    await sign_out(store, second)
    assert await find_session(store, second) is None
    assert await find_session(store, first) is not None
    await sign_out(store, second)


async def test_idle_and_absolute_ends(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")
    session_id = await enter(store)
    await run(store, "UPDATE session SET last_seen_at = now() - interval '11 hours 59 minutes'")
    assert await find_session(store, session_id) is not None
    async with store.connect() as connection:
        seen = await connection.scalar(text("SELECT now() - last_seen_at < interval '1 minute' FROM session"))
    assert seen
    await run(store, "UPDATE session SET last_seen_at = now() - interval '12 hours 1 second'")
    assert await find_session(store, session_id) is None

    session_id = await enter(store)
    await run(store, "UPDATE session SET expires_at = now()")
    assert await find_session(store, session_id) is None
    await enter(store)
    async with store.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM session")) == 1


async def test_what_ends_a_stream(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")
    await user("bob", clinic="viewer")

    async def bobs() -> tuple[str, bool]:
        session_id = await enter(store, "bob")
        session = await find_session(store, session_id)
        assert session is not None
        return session_id, await still_may(store, session.principal, "view", "clinic")

    async def check(session_id: str) -> bool:
        session = await find_session(store, session_id)
        return session is not None and await still_may(store, session.principal, "view", "clinic")

    session_id, allowed = await bobs()
    session = await find_session(store, session_id)
    assert allowed
    assert session is not None
    assert not await still_may(store, session.principal, "view", "shop")

    async with store.begin() as connection:
        await grant_role(connection, actor="user:ada", name="bob", project="clinic", role=None)
    assert not await still_may(store, session.principal, "view", "clinic")
    async with store.begin() as connection:
        await grant_role(connection, actor="user:ada", name="bob", project="clinic", role="operator")
    assert await still_may(store, session.principal, "migrate", "clinic")

    await sign_out(store, session_id)
    assert not await still_may(store, session.principal, "view", "clinic")

    session_id, _ = await bobs()
    async with store.begin() as connection:
        await set_password(connection, actor="user:ada", name="bob", password="another long password")
    assert not await check(session_id)
    async with store.begin() as connection:
        await set_password(connection, actor="user:ada", name="bob", password=PASSWORD)

    session_id, _ = await bobs()
    async with store.begin() as connection:
        await disable_user(connection, actor="user:ada", name="bob")
    assert not await check(session_id)
    async with store.begin() as connection:
        await enable_user(connection, actor="user:ada", name="bob")
    assert not await check(session_id)
    _, allowed = await bobs()
    assert allowed


async def fail(engine: AsyncEngine, name: str, times: int, address: str = "10.0.0.1") -> None:
    """Fail so many times, as fast as it is allowed, and leave every last failure fresh."""
    for _ in range(times):
        await run(engine, "UPDATE sign_in_failure SET at = at - interval '15 minutes'")
        await begin_attempt(engine, name, address)
    await run(engine, "UPDATE sign_in_failure SET at = clock_timestamp()")


async def test_the_limiter_stands_before_the_password(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")
    await fail(store, "ada", 14)
    with pytest.raises(TooManyAttempts):
        await enter(store)
    await run(store, "UPDATE sign_in_failure SET at = at - interval '15 minutes'")
    await enter(store)


async def test_a_wrong_password_counts_as_a_failure(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")

    async def failures() -> int:
        async with store.connect() as connection:
            return int(await connection.scalar(text("SELECT sum(failures) FROM sign_in_failure")) or 0)

    with pytest.raises(NotSignedIn):
        await enter(store, password="wrong")
    # Under the name at the address, and under the name.
    assert await failures() == 2
    await enter(store)
    assert await failures() == 1


async def test_one_stranger_keeps_nobody_from_signing_in(store: AsyncEngine, user: CreateUser) -> None:
    """From the address that all share behind a proxy, under names that exist and names that do not."""
    await user("ada", every="admin")
    await user("bob", clinic="viewer")
    known = (await enter_known(store)).device
    await fail(store, "ada", 20)
    await fail(store, "nobody", 20)
    await fail(store, "bob", 20, "10.0.0.9")
    waits = set()
    for name in ("ada", "nobody"):
        with pytest.raises(TooManyAttempts) as caught:
            await enter(store, name)
        waits.add((str(caught.value), caught.value.hint))
    assert len(waits) == 1, "a name that exists is slowed as one that does not"
    await enter(store, device=known)
    await enter(store, "bob")


async def test_a_device_cookie_is_worth_something_under_its_own_name_only(
    store: AsyncEngine, user: CreateUser
) -> None:
    await user("ada", every="admin")
    await user("eve", clinic="viewer")
    eves, adas = (await enter_known(store, "eve")).device, (await enter_known(store)).device
    await fail(store, "ada", 20)
    for device in (eves, adas[:-1], adas + "x", "", "\ud800\0", None):
        with pytest.raises(TooManyAttempts):
            await enter(store, device=device)
    again = (await enter_known(store, device=adas)).device
    assert again != adas, "each sign-in gives a new one"
    await enter(store, device=again)


async def test_who_has_the_cookie_is_slowed_by_it(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")
    device = (await enter_known(store)).device
    for _ in range(BY_DEVICE.free + 1):
        with pytest.raises(NotSignedIn):
            await enter(store, password="wrong", device=device)
        await run(store, "UPDATE sign_in_failure SET at = at - interval '1 second'")
    await run(store, "UPDATE sign_in_failure SET failures = 20, at = clock_timestamp()")
    with pytest.raises(TooManyAttempts):
        await enter(store, device=device, address="10.9.9.9")
    await enter(store)


@pytest.mark.parametrize("act", [forget_devices, disable_user, set_password])
async def test_devices_are_forgotten(
    store: AsyncEngine, user: CreateUser, act: Callable[..., Awaitable[None]]
) -> None:
    await user("root", every="admin")
    await user("ada", clinic="viewer")
    device = (await enter_known(store)).device
    await fail(store, "ada", 20)
    await enter(store, device=device)
    async with store.begin() as connection:
        more = {"password": PASSWORD} if act is set_password else {}
        await act(connection, actor="local:test", name="ada", **more)
        await enable_user(connection, actor="local:test", name="ada")
    with pytest.raises(TooManyAttempts):
        await enter(store, device=device)


async def test_an_old_device_cookie_is_not_known(
    store: AsyncEngine, user: CreateUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await user("ada", every="admin")
    device = (await enter_known(store)).device
    await fail(store, "ada", 20)
    monkeypatch.setattr(devices, "LIFETIME", timedelta(seconds=-1))
    with pytest.raises(TooManyAttempts):
        await enter(store, device=device)


async def test_how_long_a_mistake_takes_does_not_tell_which(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")
    for name, password in (("ada", "wrong"), ("nobody", "wrong"), ("ada", "x" * 2000), ("\0", "wrong")):
        begun = monotonic()
        with pytest.raises(NotSignedIn):
            await enter(store, name, password)
        assert monotonic() - begun >= FAILURE_TAKES


async def test_where_too_many_wait_nothing_is_counted(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")
    full = Turns(free=0)
    full.strangers["10.0.0.1"] = deque(asyncio.get_running_loop().create_future() for _ in range(EACH))
    with pytest.raises(TooManyAttempts, match="being checked"):
        await sign_in(store, full, name="ada", password=PASSWORD, address="10.0.0.1")
    async with store.connect() as connection:
        assert await connection.scalar(text("SELECT sum(failures) FROM sign_in_failure")) == 0


async def test_made_up_names_do_not_fill_the_trail(
    store: AsyncEngine, user: CreateUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "UNKNOWN_NAMES", 2)
    monkeypatch.setattr(sessions, "FAILURE_TAKES", 0.0)
    await user("ada", every="admin")
    for name in ("a", "b", "c", "d", "e", "ada"):
        with pytest.raises(NotSignedIn):
            await enter(store, name, "wrong")
    assert await entries(store) == [
        ("local:test", "create user", "user ada"),
        ("nobody", "failed sign-in", "an unknown name"),
        ("nobody", "failed sign-in", "an unknown name"),
        ("nobody", "failed sign-ins", "unknown names; no more are written down within this hour"),
        ("user:ada", "failed sign-in", "user ada"),
    ]


async def test_the_trail(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")
    with pytest.raises(NotSignedIn):
        await enter(store, "my password is hunter2")
    with pytest.raises(NotSignedIn):
        await enter(store, password="wrong")
    await sign_out(store, await enter(store))
    assert await entries(store) == [
        ("local:test", "create user", "user ada"),
        ("nobody", "failed sign-in", "an unknown name"),
        ("user:ada", "failed sign-in", "user ada"),
        ("user:ada", "sign in", "user ada"),
        ("user:ada", "sign out", "user ada"),
    ]
    assert (await audit.verify_chain(store)).problem is None


async def test_sign_in_and_disabling_at_once(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")
    await user("bob", clinic="viewer")

    async def disable() -> None:
        async with store.begin() as connection:
            await disable_user(connection, actor="user:ada", name="bob")

    results = await asyncio.gather(
        *(enter(store, "bob") for _ in range(4)), disable(), return_exceptions=True
    )
    assert all(result is None or isinstance(result, str | NotSignedIn) for result in results), results
    for session_id in results:
        if isinstance(session_id, str):
            assert await find_session(store, session_id) is None


async def test_passwords() -> None:
    stored = await hash_password(PASSWORD)
    assert stored.startswith("$argon2id$")
    assert await check_password(PASSWORD, stored) == (True, None)
    assert await check_password(PASSWORD + " ", stored) == (False, None)
    assert await check_password(PASSWORD, "not a hash") == (False, None)
    assert await check_password(PASSWORD, None) == (False, None)
    weak = "$argon2id$v=19$m=8,t=1,p=1$MTIzNDU2Nzg$" + "A" * 43
    assert await check_password(PASSWORD, weak) == (False, None)
    for bad in ("short", "x" * 1025):
        with pytest.raises(Invalid, match="12 to 1024 characters"):
            await hash_password(bad)


async def test_nobodys_hash_costs_what_a_real_one_costs() -> None:
    assert NOBODY.rsplit("$", 2)[0] == (await hash_password(PASSWORD)).rsplit("$", 2)[0]


async def test_a_weaker_hash_is_replaced(store: AsyncEngine, user: CreateUser) -> None:
    from pwdlib import PasswordHash
    from pwdlib.hashers.argon2 import Argon2Hasher

    await user("ada", every="admin")
    weak = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)).hash(PASSWORD)
    await run(store, f"UPDATE user_account SET password_hash = '{weak}'")
    await enter(store)
    async with store.connect() as connection:
        stored = await connection.scalar(text("SELECT password_hash FROM user_account"))
    assert stored is not None
    assert "m=65536" in stored
    await enter(store)
