"""Smoke check: does the application answer as configured? Asked until it does, for a bounded time.

Only the status counts. No body is read, no redirect is followed, and nothing that could be a credential is sent.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
from pydantic import Field

from web import words
from web.config import Environment, SmokePolicy
from web.errors import OperationFailed, OperationNotAllowed
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters
from web.starting.operation import Offer, Operation

#: Seconds: between two tries, and that one of them may take.
EVERY, PATIENCE = 2.0, 10.0
#: Characters that are told of where a redirect leads.
SHOWN = 200


class SmokeCheckParameters(Parameters):
    """What a smoke check takes."""

    seconds: int = Field(
        default=60,
        ge=1,
        le=600,
        title="Seconds",
        description="For how long it is asked again while it does not answer as expected.",
    )


class SmokeCheckFailed(OperationFailed):
    """The application did not answer as expected."""

    title = "The smoke check failed"
    hint = "See what the application's own log says of it; put that right, then check again."


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one try."""

    #: None: there was no answer.
    status: int | None
    #: What it was, to be read after the address: "answered 503".
    words: str


@dataclass(frozen=True, slots=True)
class Asked:
    """How asking ended: the last answer, after how many tries and how many seconds."""

    last: Answer
    tries: int
    seconds: float


async def run(work: Work[SmokeCheckParameters]) -> Outcome:
    """Ask. The database is left alone."""
    policy = work.job.environment.smoke
    if policy is None:
        raise OperationNotAllowed(available(work.job.environment) or "")
    async with work.progress.step("ask"):
        asked = await ask(policy, work.job.parameters.seconds, tell=work.progress.log)
        took = f"{words.plural(asked.tries, 'try', 'tries')} in {words.duration(asked.seconds)}"
        if asked.last.status != policy.expect:
            raise SmokeCheckFailed(
                f"{policy.url} {asked.last.words}, and {policy.expect} was expected: {took}."
            )
    return Outcome(
        f"Answered {policy.expect}",
        f"{policy.url} {asked.last.words}, as expected: {took}.",
        data={
            "url": policy.url,
            "status": asked.last.status,
            "seconds": round(asked.seconds, 3),
            "tries": asked.tries,
        },
    )


async def ask(policy: SmokePolicy, seconds: float, *, tell: Callable[[str], Awaitable[None]]) -> Asked:
    """Ask until the expected status comes, for so many seconds at most; an answer unlike the one before is told."""
    loop = asyncio.get_running_loop()
    begun, tries, last = loop.time(), 0, None
    # Neither a proxy nor a .netrc out of the worker's environment; certificates as the system has them.
    async with httpx.AsyncClient(
        headers={"User-Agent": "cleanstart"},
        timeout=PATIENCE,
        verify=ssl.create_default_context(),
        trust_env=False,
    ) as client:
        while True:
            tries += 1
            answer = await _ask_once(client, policy.url, within=min(PATIENCE, begun + seconds - loop.time()))
            if answer != last:
                await tell(f"Try {tries}: {policy.url} {answer.words}")
            last = answer
            taken = loop.time() - begun
            # A last try that is cut short would say less than the one before it.
            if answer.status == policy.expect or taken + 2 * EVERY > seconds:
                return Asked(answer, tries, taken)
            await asyncio.sleep(EVERY)


async def _ask_once(client: httpx.AsyncClient, url: str, *, within: float) -> Answer:
    try:
        # A server that sends its answer byte by byte is within every timeout of the client's.
        async with asyncio.timeout(within), client.stream("GET", url) as response:
            return Answer(response.status_code, f"answered {response.status_code}{_leads(response)}")
    except (TimeoutError, httpx.TimeoutException):
        return Answer(None, f"did not answer within {words.duration(within)}")
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        # UnicodeError: a host name that is none.
        return Answer(None, f"did not answer ({str(error) or type(error).__name__})")


def _leads(response: httpx.Response) -> str:
    """Where a redirect leads, without what could be secret in it."""
    if response.next_request is None:
        return ""
    place = response.next_request.url.copy_with(userinfo=b"", query=None, fragment=None)
    return f", which leads to {str(place)[:SHOWN]}"


async def reconcile(evidence: Evidence[SmokeCheckParameters]) -> Reconciled:
    """A smoke check changes nothing."""
    return Reconciled(
        "not done",
        f"The application of {evidence.job.environment.label} was not asked to the end.",
        next_step="Check again.",
    )


def available(environment: Environment) -> str | None:
    """It exists only where it is configured."""
    return None if environment.smoke is not None else f"{environment.label} has no `smoke` configured."


SMOKE_CHECK = Operation(
    name="smoke-check",
    title="Smoke check",
    verb="Smoke-check",
    parameters=SmokeCheckParameters,
    permission="observe",
    mutating=False,
    destructive=False,
    steps=(StepTitle("ask", "Ask the application"),),
    available=available,
    run=run,
    reconcile=reconcile,
    noun="smoke check",
    icon="activity",
    help="Ask the application of an environment whether it answers as configured.",
    lead="The application is asked until it answers as configured; no database is touched.",
    button="Smoke check",
    offers=(Offer("environment", hidden=True),),
    at_once=True,
    connects=False,
    joins=True,
)
