"""What every request works with, pages and API alike: configuration, store, job kinds, feed, signing key."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.access.approval_requests import Request as ApprovalRequest
from web.access.approval_requests import read_request
from web.access.permissions import Principal, may
from web.access.requests import permission, principal
from web.answers.recent import RecentOverview
from web.config import Configuration, Environment, Project
from web.errors import NotFound
from web.jobs.feed import Feed
from web.jobs.reading import JobRecord, read_job
from web.observation.history_cache import Histories
from web.starting.operation import Operations
from web.starting.start import kind_for

T = TypeVar("T")

#: An id of the store's, as addresses and queries carry it: PostgreSQL's bigint.
LARGEST = 2**63 - 1
Id = Annotated[int, Query(gt=0, le=LARGEST)]


def _storable(text: str) -> str:
    """PostgreSQL has no NUL in texts."""
    if "\0" in text:
        raise PydanticCustomError("unstorable", "It holds a character that cannot be stored.")
    return text


#: Text that is compared with the store's.
Text = Annotated[str, Query(max_length=500), AfterValidator(_storable)]
Name = Annotated[str, Path(max_length=500), AfterValidator(_storable)]


class Shared:
    """Things that many streams need at the same moment, made once: the last hundred of them are kept."""

    def __init__(self, kept: int = 100) -> None:
        self._kept = kept
        self._made: dict[Hashable, asyncio.Task[Any]] = {}

    async def once(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `make` gives for this key, made by whoever asks first. A failure is everybody's and is not kept."""
        task = self._made.get(key)
        if task is None:
            task = self._made[key] = asyncio.create_task(make())
            while len(self._made) > self._kept:
                del self._made[next(iter(self._made))]
        try:
            # Shielded: a reader that goes away must not take the answer from the others.
            result: T = await asyncio.shield(task)
        except BaseException:
            if task.done():
                self._made.pop(key, None)
            raise
        return result


@dataclass(slots=True)
class Dashboard:
    """One web process's things with a lifetime, and the values that it was started with."""

    configuration: Configuration
    store: AsyncEngine
    kinds: Operations
    feed: Feed
    #: Signs confirmations; one per store.
    key: bytes
    shared: Shared = field(default_factory=Shared)
    histories: Histories = field(default_factory=Histories)
    overviews: RecentOverview = field(init=False)

    def __post_init__(self) -> None:
        self.overviews = RecentOverview(self.store, self.configuration, self.histories, self.kinds.noun)


async def dashboard(request: Request) -> Dashboard:
    """The application's dashboard, as the composition root put it there."""
    return cast(Dashboard, request.app.state.dashboard)


async def connection(request: Request) -> AsyncIterator[AsyncConnection]:
    """A store connection for reading, held as long as the handler runs. Streams do not use this."""
    async with cast(Dashboard, request.app.state.dashboard).store.connect() as opened:
        yield opened


async def project_in_path(
    request: Request, project: str, who: Annotated[Principal, Depends(principal)]
) -> Project:
    """The project that the path names; one that the person may not see is not there."""
    _require_visible(who, project)
    return cast(Dashboard, request.app.state.dashboard).configuration.project(project)


async def environment_in_path(
    request: Request, environment: str, project: Annotated[Project, Depends(project_in_path)]
) -> Environment:
    """The environment that the path names."""
    return cast(Dashboard, request.app.state.dashboard).configuration.environment(project.name, environment)


def number_of(what: str, written: str, hint: str = "") -> int:
    """The number of something of the store's, in the one way in which it is written. `NotFound`: nothing has it."""
    if not re.fullmatch("[1-9][0-9]{0,18}", written) or int(written) > LARGEST:
        raise NotFound(f"There is no {what}{written[:50]}{hint}.")
    return int(written)


def build_number(written: str) -> int:
    """The number of a build. Whether there is one, the store knows."""
    return number_of("build #", written, f": numbers begin at 1 and end at {LARGEST}")


async def build_in_path(number: str) -> int:
    """The number of the build that the path names."""
    return build_number(number)


async def rule_in_path(number: str) -> int:
    """The number of the ignore rule that the path names; whether it is there, who ends it finds out."""
    return number_of("rule ", number)


async def job_in_path(request: Request) -> JobRecord:
    """The job that the path names, as the route's policy (`on_job`) found it; it holds no store connection."""
    return cast(JobRecord, request.state.job)


def in_project(name: str | Callable[[Request], Coroutine[Any, Any, str]]) -> Any:
    """A route that takes this permission on the project in its path, which is not there for who may not see it."""
    return permission(name, project=_visible_project)


def on_job(name: str) -> Any:
    """A route that takes this permission on the project of the job in its path, which handlers get as `OneJob`."""
    return permission(name, project=_project_of_job)


async def permission_of_kind(request: Request) -> str:
    """The permission of the kind of job in the path. One that is not there takes none: the handler says so."""
    board = cast(Dashboard, request.app.state.dashboard)
    names = request.path_params
    configuration = board.configuration
    try:
        where = (
            configuration.environment(names["project"], names["environment"])
            if "environment" in names
            else configuration.project(names["project"])
        )
        return kind_for(board.kinds, where, names["kind"]).permission
    except NotFound:
        return "view"


async def permission_of_check(request: Request) -> str:
    """The permission that a look takes."""
    return cast(Dashboard, request.app.state.dashboard).kinds.check.permission


def on_request(name: str) -> Any:
    """A route that takes this permission on the project of the request for approval in its path (`OneRequest`)."""
    return permission(name, project=_project_of_request)


async def request_in_path(request: Request) -> ApprovalRequest:
    """The request for approval that the path names, as the route's policy (`on_request`) found it."""
    return cast(ApprovalRequest, request.state.approval_request)


async def _project_of_request(request: Request) -> str:
    number = number_of("request ", request.path_params["request_number"])
    who = await principal(request)
    async with cast(Dashboard, request.app.state.dashboard).store.connect() as opened:
        found = await read_request(opened, number)
    if not may(who, "view", found.project):
        raise NotFound(f"There is no request {found.id}.")
    request.state.approval_request = found
    return found.project


async def _visible_project(request: Request) -> str:
    project: str = request.path_params["project"]
    _require_visible(await principal(request), project)
    return project


async def _project_of_job(request: Request) -> str:
    number = number_of("job ", request.path_params["job"])
    who = await principal(request)
    async with cast(Dashboard, request.app.state.dashboard).store.connect() as opened:
        found = await read_job(opened, number)
    if not may(who, "view", found.project):
        raise NotFound(f"There is no job {found.id}.")
    request.state.job = found
    return found.project


def _require_visible(who: Principal, project: str) -> None:
    if not may(who, "view", project):
        raise NotFound(f"There is no project “{project}”.")


Board = Annotated[Dashboard, Depends(dashboard)]
#: Closed before the response is sent, so that nothing slow holds a store connection.
Store = Annotated[AsyncConnection, Depends(connection, scope="function")]
Who = Annotated[Principal, Depends(principal)]
InProject = Annotated[Project, Depends(project_in_path)]
InEnvironment = Annotated[Environment, Depends(environment_in_path)]
OneRequest = Annotated[ApprovalRequest, Depends(request_in_path)]
OneJob = Annotated[JobRecord, Depends(job_in_path)]
Number = Annotated[int, Depends(build_in_path)]
RuleNumber = Annotated[int, Depends(rule_in_path)]
