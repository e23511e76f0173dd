"""Streams over a real server: nothing lost, nothing twice, only what may be seen, and an end when there must be one."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.pages.test_templates import Markup, require_strict
from tests.web.people import PEOPLE, TOKEN
from tests.web.site import Site, until
from tests.web.stored_jobs import JOBS, LEDGER_JOB
from web.access.sessions import digest_of
from web.jobs.events import Event, announce_change, append_events, state_event
from web.jobs.start import environment_row
from web.pages import job_live, job_parts, parts
from web.pages.render import swapped
from web.store.tables import (
    ApiTokenRow,
    EnvironmentRow,
    EnvironmentStateRow,
    JobEventRow,
    JobRow,
    ObservationRow,
    RoleGrantRow,
    SessionRow,
    UserRow,
)

RUNNING = JOBS["running"]


@dataclass(frozen=True)
class Sent:
    """One event of a stream."""

    id: int | None
    event: str | None
    data: str

    @property
    def lines(self) -> list[int]:
        """The numbers of the log's lines in it."""
        return [int(number) for number in re.findall(r'data-seq="(\d+)"', self.data)]


@dataclass
class Streams:
    """The site behind a real server."""

    site: Site
    origin: str

    @asynccontextmanager
    async def open(self, path: str, who: str, last: int | None = None) -> AsyncIterator[AsyncGenerator[Sent]]:
        """Open a stream as a person's browser, or as the pipeline with its token."""
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        if who == "token":
            headers["Authorization"] = f"Bearer {TOKEN}"
        cookies = {"cleanstart-session": f"session-{who}"} if who in PEOPLE else None
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(base_url=self.origin, cookies=cookies, limits=limits, timeout=60) as client,
            client.stream("GET", path, headers=headers) as response,
        ):
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            async with aclosing(self._events(response)) as events:
                yield events

    async def _events(self, response: httpx.Response) -> AsyncGenerator[Sent]:
        number: int | None = None
        event: str | None = None
        data: list[str] = []
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if line == "" and (data or event):
                yield Sent(number, event, "\n".join(data))
                number, event, data = None, None, []
            elif name == "id":
                number = int(value)
            elif name == "event":
                event = value
            elif line.startswith("data:"):
                data.append(value)


@pytest.fixture
async def streams(site: Site) -> AsyncIterator[Streams]:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(site.app, lifespan="off", log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    await until(lambda: server.started)
    yield Streams(site, f"http://127.0.0.1:{sock.getsockname()[1]}")
    site.feed.end_streams()
    server.should_exit = True
    await serving


async def write_lines(site: Site, job: int, count: int, *, at_once: int = 250) -> None:
    """Append lines to a job's log as a worker does."""
    async with site.store.connect() as store:
        last = await store.scalar(select(JobRow.last_seq).where(JobRow.id == job)) or 0
    for start in range(last + 1, last + count + 1, at_once):
        numbers = range(start, min(start + at_once, last + count + 1))
        now = datetime.now(UTC)
        async with site.store.begin() as store:
            await append_events(
                store, job, [Event(seq, now, "log", "info", f"line {seq}") for seq in numbers]
            )


async def finish(site: Site, job: int) -> int:
    """End a job as a worker does; returns its last event's number."""
    async with site.store.begin() as store:
        last = await store.scalar(select(JobRow.last_seq).where(JobRow.id == job)) or 0
        await store.execute(
            update(JobRow)
            .where(JobRow.id == job)
            .values(state="succeeded", finished_at=datetime.now(UTC), outcome={"title": "All done"})
        )
        await append_events(store, job, [state_event(last + 1, "succeeded")])
    return last + 1


async def test_nothing_is_lost_or_twice_over_many_disconnects(streams: Streams) -> None:
    """20,000 lines while the reader is cut off 50 times, and once more after the job has ended."""
    site, lines, cuts, last = streams.site, 20_000, 0, 30
    got: list[int] = []
    ended = False
    writing = asyncio.create_task(write_lines(site, RUNNING, lines))

    async def end() -> None:
        await writing
        await finish(site, RUNNING)

    ending = asyncio.create_task(end())
    while not ended:
        async with streams.open(
            f"/jobs/{RUNNING}/stream?after=30", "viewer", last if cuts else None
        ) as events:
            async for sent in events:
                got += sent.lines
                if sent.event == "job-end":
                    ended = True
                    break
                if sent.id is None:
                    assert "#rail-running" in sent.data
                    continue
                assert sent.id > last
                last = sent.id
                if cuts < 50 and len(got) >= (cuts + 1) * lines // 60:
                    cuts += 1
                    break
    await ending
    assert cuts == 50
    assert got == list(range(31, lines + 31)) + got[lines:]
    assert len(got) <= lines + 1
    await until(lambda: site.feed.followers == 0)


async def test_who_missed_only_the_end_is_told(streams: Streams) -> None:
    last = await finish(streams.site, RUNNING)
    async with streams.open(f"/jobs/{RUNNING}/stream?after=30", "viewer", last) as events:
        marks, end = [sent async for sent in events]
    assert "#rail-running" in marks.data
    assert (marks.event, marks.id, end.event) == (None, None, "job-end")


async def test_at_the_end_come_the_outcome_and_the_navigation(streams: Streams) -> None:
    async with streams.open(f"/jobs/{RUNNING}/stream?after=30", "viewer") as events:
        await until(lambda: streams.site.feed.followers == 1)
        await finish(streams.site, RUNNING)
        sent = [each async for each in events]
    assert [each.event for each in sent] == [None, None, "job-end"]
    navigation = Markup(sent[1].data)
    require_strict(navigation)
    # The job that the page's first paint counted as running is not any more.
    assert "#rail-running" in {each["hx-target"] for each in navigation.all("hx-partial")}
    markup = Markup(sent[0].data)
    require_strict(markup)
    targets = {each["hx-target"] for each in markup.all("hx-partial")}
    assert {"#job-head", "#job-steps"} <= targets
    assert "All done" in sent[0].data


async def test_hostile_lines_stay_lines(streams: Streams) -> None:
    async with streams.open(f"/jobs/{JOBS['failed']}/stream?after=0", "viewer") as events:
        sent = [each async for each in events]
    assert {each.event for each in sent} == {None, "job-end"}
    for each in sent:
        require_strict(Markup(each.data))
        assert "<script>alert" not in each.data


async def test_two_hundred_readers_of_one_job(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    """What all of them get is rendered once, and none of them holds a store connection."""
    rendered = 0
    render = job_parts.log_swap

    def counted(lines: Any) -> str:
        nonlocal rendered
        rendered += 1
        return render(lines)

    monkeypatch.setattr(job_live, "log_swap", counted)
    results: list[list[int]] = []

    async def read() -> None:
        got: list[int] = []
        async with streams.open(f"/jobs/{RUNNING}/stream?after=30", "viewer") as events:
            async for sent in events:
                got += sent.lines
        results.append(got)

    readers = [asyncio.create_task(read()) for _ in range(200)]
    await until(lambda: streams.site.feed.followers == 200, 60)
    assert streams.site.store.pool.checkedout() <= 1  # type: ignore[attr-defined]
    for _ in range(20):
        await write_lines(streams.site, RUNNING, 10, at_once=10)
    await finish(streams.site, RUNNING)
    await asyncio.wait_for(asyncio.gather(*readers), 60)
    assert len(results) == 200
    assert all(got[:200] == list(range(31, 231)) for got in results)
    # Not all of them stand at the same line all the time; but it is nothing like once for each.
    assert rendered < 200


async def test_streams_end_with_what_they_stand_on(streams: Streams) -> None:
    """A session, a user, a token, a role: within five seconds of its end the stream has ended."""
    site = streams.site
    ended: dict[str, tuple[float, list[str | None]]] = {}
    paths = {
        "viewer": f"/jobs/{RUNNING}/stream?after=30",
        "operator": "/projects/clinic/environments/dev/stream",
        "clinic-admin": "/stream",
        "token": f"/jobs/{JOBS['cancelling']}/stream?after=30",
        "stranger": f"/jobs/{LEDGER_JOB}/stream?after=30",
    }
    open_now = asyncio.Barrier(len(paths) + 1)

    async def read(who: str, path: str) -> None:
        async with streams.open(path, who) as events:
            await open_now.wait()
            sent = [each.event async for each in events]
        ended[who] = monotonic(), sent

    async def act(store: AsyncConnection) -> None:
        await store.execute(delete(SessionRow).where(SessionRow.digest == digest_of("session-viewer")))
        disabled = update(UserRow).where(UserRow.name == "operator").values(disabled_at=func.now())
        await store.execute(disabled)
        admin = select(UserRow.id).where(UserRow.name == "clinic-admin").scalar_subquery()
        await store.execute(delete(RoleGrantRow).where(RoleGrantRow.user_id == admin))
        await store.execute(update(ApiTokenRow).values(revoked_at=func.now()))

    # The stranger's job has ended: its stream ends by itself.
    readers = [asyncio.create_task(read(who, path)) for who, path in paths.items()]
    await open_now.wait()
    async with site.store.begin() as store:
        await act(store)
    begun = monotonic()
    await asyncio.wait_for(asyncio.gather(*readers), 30)
    for who in ("viewer", "operator", "clinic-admin", "token"):
        at, sent = ended[who]
        assert sent[-1] == "signed-out", who
        assert at - begun < 5.5, f"{who}: {at - begun:.1f} s"
    assert ended["stranger"][1][-1] == "job-end"


async def test_a_role_that_changes_reconnects_the_overview(streams: Streams) -> None:
    """What was sent to a person before must not go on after their project was taken away."""
    site = streams.site
    async with site.store.begin() as store:
        viewer = await store.scalar(select(UserRow.id).where(UserRow.name == "viewer"))
        await store.execute(insert(RoleGrantRow).values(user_id=viewer, project="ledger", role="viewer"))
    async with streams.open("/stream", "viewer") as events:
        first = await anext(events)
        assert "ledger" in first.data
        async with site.store.begin() as store:
            await store.execute(delete(RoleGrantRow).where(RoleGrantRow.project == "ledger"))
        assert [each.event async for each in events] == []
    async with streams.open("/stream", "viewer") as events:
        assert "ledger" not in (await anext(events)).data


async def observe_again(site: Site, label: str) -> None:
    """A look that found the same, now."""
    where = site.environment(label)
    async with site.store.begin() as store:
        key, _ = await environment_row(store, where.project, where.name)
        now = datetime.now(UTC)
        await store.execute(
            update(EnvironmentStateRow)
            .where(EnvironmentStateRow.environment_id == key)
            .values(observed_at=now)
        )
        await announce_change(store, key)


async def next_swap(events: AsyncIterator[Sent]) -> Sent:
    """The next message that is swapped; words that only trigger are passed over."""
    while (sent := await anext(events)).event is not None:
        pass
    return sent


def cells(data: str) -> int:
    return len(re.findall(r'hx-target="#cell-', data))


async def stream_of(site: Site, page: str, who: str) -> str:
    """The address of the page's stream."""
    markup = Markup((await site.get(page, who)).text)
    return next(str(each["hx-sse:connect"]) for _, each in markup.elements if "hx-sse:connect" in each)


async def test_the_overview_sends_changed_cells_only(streams: Streams) -> None:
    site = streams.site
    address = await stream_of(site, "/", "viewer")
    # Between the page and its stream.
    await observe_again(site, "clinic/staging")
    async with streams.open(address, "viewer") as events:
        sent = await next_swap(events)
        assert cells(sent.data) == 1
        assert "staging" in sent.data
        require_strict(Markup(sent.data))
        # Another project's change is none of the viewer's.
        await observe_again(site, "ledger/dev")
        await observe_again(site, "clinic/dev")
        sent = await next_swap(events)
        assert cells(sent.data) == 1
        assert "/projects/clinic/environments/dev" in sent.data
        assert "ledger" not in sent.data
    # A page of another process, or of long ago: everything once.
    async with streams.open("/stream?seen=elsewhere", "viewer") as events:
        assert cells((await anext(events)).data) == len(site.configuration.project("clinic").environments)
    await until(lambda: site.feed.followers == 0)


async def test_the_overview_sends_its_answer_and_its_summary(streams: Streams) -> None:
    """As the page shows them, nothing is sent; after a look both are there, and who chose otherwise asks again."""
    site = streams.site
    address = await stream_of(site, "/", "viewer")
    about = Markup((await site.get("/", "viewer")).text).all("output")[0]["data-about"]
    async with streams.open(address, "viewer") as events:
        await until(lambda: site.feed.followers == 1)
        await observe_again(site, "clinic/production")
        sent, word = await anext(events), await anext(events)
    targets = {each["hx-target"] for each in Markup(sent.data).all("hx-partial")}
    assert f"#answer[data-about={about}]" in targets
    assert "#cell-" in sent.data
    assert word.event == "databases-changed"
    # Another question than the viewer's own may be followed, another project's may not.
    async with streams.open(f"{address}&about=ledger&on=dev", "viewer") as events:
        await observe_again(site, "clinic/production")
        assert "#answer" not in (await anext(events)).data
    for who in ("viewer", "admin"):
        async with streams.open("/stream?seen=elsewhere", who) as events:
            assert "#summary" in (await anext(events)).data


async def test_a_projects_page_hears_of_its_own_cells(streams: Streams) -> None:
    site = streams.site
    address = await stream_of(site, "/projects/clinic", "admin")
    async with streams.open(address, "admin") as events:
        await until(lambda: site.feed.followers == 1)
        await observe_again(site, "ledger/dev")
        await observe_again(site, "clinic/production")
        sent = await anext(events)
        assert cells(sent.data) == 1
        assert "production" in sent.data
    hidden = await site.get("/stream?project=ledger", "viewer")
    assert hidden.status_code == 404


async def test_an_environments_page_hears_of_itself(streams: Streams) -> None:
    site = streams.site
    address = await stream_of(site, "/projects/clinic/environments/dev", "viewer")
    async with site.store.begin() as store:
        await store.execute(
            update(ObservationRow)
            .where(
                ObservationRow.id
                == select(EnvironmentStateRow.observation_id)
                .join(EnvironmentRow, EnvironmentRow.id == EnvironmentStateRow.environment_id)
                .where(EnvironmentRow.project == "clinic", EnvironmentRow.name == "dev")
                .scalar_subquery()
            )
            .values(drift_state="drifted", drift_count=3)
        )
    async with streams.open(address, "viewer") as events:
        facts, word = await anext(events), await anext(events)
        assert "3 differences" in facts.data
        assert word.event == "page-changed"
        await observe_again(site, "clinic/staging")
        await observe_again(site, "clinic/dev")
        again = await anext(events)
        assert 'hx-target="#env-facts"' in again.data
        # Only an age has changed: the tab need not ask for itself.
        assert again.event is None


async def test_all_streams_end_at_once(streams: Streams) -> None:
    paths = ("/stream", f"/jobs/{RUNNING}/stream?after=30", "/projects/clinic/environments/dev/stream")
    ends: list[float] = []

    async def read(path: str) -> None:
        async with streams.open(path, "admin") as events:
            async for _ in events:
                pass
        ends.append(monotonic())

    readers = [asyncio.create_task(read(path)) for path in paths * 5]
    await until(lambda: streams.site.feed.followers == 15)
    begun = monotonic()
    streams.site.feed.end_streams()
    await asyncio.wait_for(asyncio.gather(*readers), 10)
    assert max(ends) - begun < 5
    assert streams.site.feed.followers == 0


async def test_overviews_are_read_once_for_all_streams(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = 0
    render = swapped

    def counted(*arguments: Any, **values: Any) -> str:
        nonlocal drawn
        drawn += 1
        return render(*arguments, **values)

    monkeypatch.setattr(parts, "swapped", counted)
    address = await stream_of(streams.site, "/", "viewer")

    async def read() -> str:
        async with streams.open(address, "viewer") as events:
            return (await anext(events)).data

    readers = [asyncio.create_task(read()) for _ in range(50)]
    await until(lambda: streams.site.feed.followers == 50, 60)
    async with streams.site.statements() as seen:
        await observe_again(streams.site, "clinic/dev")
        sent = await asyncio.wait_for(asyncio.gather(*readers), 30)
    assert len(set(sent)) == 1
    assert cells(sent[0]) == 1
    # The cell, the summary, and the answer of those who ask about this database.
    assert drawn <= 3
    assert sum("observation o" in statement for statement in seen) <= 2


async def test_a_log_is_downloaded_whole(site: Site) -> None:
    await write_lines(site, RUNNING, 2500)
    log = await site.get(f"/jobs/{RUNNING}/log", "viewer")
    assert "attachment" in log.headers["content-disposition"]
    assert [int(number) for number in re.findall(r"line (\d+)$", log.text, re.MULTILINE)] == list(
        range(31, 2531)
    )
    async with site.store.connect() as store:
        assert await store.scalar(select(func.count()).where(JobEventRow.job_id == RUNNING)) == 2530
