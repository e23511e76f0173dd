"""Who detects what: the change cases of the tests given to Clean Start, to Alembic's autogenerate, to schemainspect and
to migra. Writes docs/drift-matrix.md.

Each tool remembers an empty database with a case's beginning in it, the change is made, and the tool is asked what
differs. What it reported before the change already does not count.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from bench.contest import say
from bench.servers import benching, programs
from tests.schema.case import ROLES, Case
from tests.schema.cases import CASES
from tests.schema.conftest import EMPTY
from tests.tools.foreign import foreign
from web.schema.difference import difference
from web.schema.snapshot import read_schema
from web.words import plural

PAGE = Path(__file__).parent.parent / "docs" / "drift-matrix.md"
PEER = Path(__file__).with_name("drift_peer.py")
#: Tools by the environment of tests/tools/foreign.toml that they are in.
PEERS = {"autogenerate": "autogenerate", "schemainspect": "migra", "migra": "migra"}
TITLES = {
    "clean start": "Clean Start",
    "autogenerate": "Alembic",
    "schemainspect": "schemainspect",
    "migra": "migra",
}
HEAD = """\
# Who detects what

Written by `make bench ARGS=drift_matrix`. The change cases of `tests/schema/cases_*.py`, each a beginning and one
change, given to four tools: PostgreSQL {server},
{versions}.

- **Clean Start**: `difference` of two snapshots.
- **Alembic**: `compare_metadata` of a MetaData that was reflected before the change with the database after it, with
  `include_schemas`, `compare_type` and `compare_server_default`. Reflection gives it what models seldom say in full.
  Autogenerate was made to write migrations for models and promises no more than that.
- **schemainspect**: whatever is not equal to what it read before, in any of its collections.
- **migra**: the statements that it writes to get back, as with `--unsafe` and `--with-privileges`.

A tool has detected a change when it reports anything that it did not report before the change; whether it names the
right thing, or could repair it, is not asked. `error`: an exception ended its comparison. The cases were written for
Clean Start and its tests demand all of them, so its own column proves nothing; the others say what each tool looks at.
"""

#: As a case's expected differences begin.
_KIND = re.compile(
    r"\w+ (materialized view|event trigger|composite type|range type|default privileges|text search \w+|"
    r"user mapping|\w+)"
)


@dataclass(slots=True)
class Peer:
    """A tool in a process of its own."""

    name: str
    process: asyncio.subprocess.Process
    versions: Mapping[str, str] = field(default_factory=dict)

    async def hear(self) -> dict[str, object]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended.")
        answer: dict[str, object] = json.loads(line)
        return answer

    async def ask(self, word: str) -> dict[str, object]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())
        return await self.hear()


@dataclass(frozen=True, slots=True)
class Row:
    """What each tool made of a case: `yes`, `no` or `error`."""

    case: Case
    kind: str
    answers: Mapping[str, str]


async def main() -> None:
    """Ask them all and write the page."""
    async with benching() as bench:
        for role in ROLES:
            with psycopg.connect(bench.server.url(), autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        url = bench.database("cases")
        async with AsyncExitStack() as stack:
            peers = [await stack.enter_async_context(_started(name, url)) for name in PEERS]
            rows = [await _try(case, url, peers) for case in CASES if case.since <= 17]
        versions = {peer.name: peer.versions for peer in peers}
    PAGE.write_text(_page(rows, versions), encoding="utf-8")
    for name in TITLES:
        detected = sum(row.answers[name] == "yes" for row in rows if row.case.expected)
        say(f"  {name}: {detected} of {sum(bool(row.case.expected) for row in rows)}")
    say(f"  written to {PAGE.name}")


@asynccontextmanager
async def _started(name: str, url: str) -> AsyncIterator[Peer]:
    python = (await asyncio.to_thread(foreign, PEERS[name])).python
    process = await asyncio.create_subprocess_exec(
        python, "-W", "ignore", str(PEER), name, url,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=64 << 20,
    )  # fmt: skip
    peer = Peer(name, process)
    try:
        versions = (await peer.hear())["versions"]
        assert isinstance(versions, dict)
        peer.versions = versions
        yield peer
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _try(case: Case, url: str, peers: Sequence[Peer]) -> Row:
    # Of its own for each case: a connection that made functions remembers more than its catalogs.
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(("set client_min_messages = error;" + EMPTY).encode())
        await connection.execute((case.before or "select 1").encode())
        ours = await read_schema(connection)
        before = await asyncio.gather(*(peer.ask("before") for peer in peers))
        await connection.execute(case.change.encode())
        after = await asyncio.gather(*(peer.ask("after") for peer in peers))
        found = difference(ours, await read_schema(connection))
    answers = {"clean start": "yes" if found else "no"}
    for peer, old, new in zip(peers, before, after, strict=True):
        answers[peer.name] = _answer(old, new)
    return Row(case, _kind(case), answers)


def _answer(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    if "error" in before or "error" in after:
        return "error"
    return "no" if before["found"] == after["found"] else "yes"


def _kind(case: Case) -> str:
    match = _KIND.match(case.expected[0]) if case.expected else None
    return match[1] if match else "nothing"


def _page(rows: Sequence[Row], versions: Mapping[str, Mapping[str, str]]) -> str:
    changes = [row for row in rows if row.case.expected]
    silent = [row for row in rows if not row.case.expected]
    named = ",\n".join(_versions(versions[name]) for name in PEERS)
    return "\n".join(
        [
            HEAD.format(server=programs()[0].version, versions=named),
            "## By kind of object\n",
            *_summary(changes),
            "\n## Changes of nothing\n",
            "What is the same afterwards: here a tool should say nothing.\n",
            *_table(silent),
            "\n## Every change\n",
            *_table(sorted(changes, key=lambda row: row.kind)),
            "",
        ]
    )


def _versions(libraries: Mapping[str, str]) -> str:
    first, *others = (f"{library} {version}" for library, version in libraries.items())
    return f"{first} ({', '.join(others)})"


def _summary(rows: Sequence[Row]) -> list[str]:
    kinds = Counter(row.kind for row in rows)
    lines = [f"| kind | cases | {' | '.join(TITLES.values())} |", "|---|---:|" + "---:|" * len(TITLES)]
    for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])):
        mine = [row for row in rows if row.kind == kind]
        lines.append(f"| {kind} | {count} | {' | '.join(_counts(mine))} |")
    return [*lines, f"| **all** | **{len(rows)}** | {' | '.join(f'**{each}**' for each in _counts(rows))} |"]


def _counts(rows: Sequence[Row]) -> list[str]:
    counts = []
    for name in TITLES:
        answers = Counter(row.answers[name] for row in rows)
        errors = f" (and {plural(answers['error'], 'error')})" if answers["error"] else ""
        counts.append(f"{answers['yes']}{errors}")
    return counts


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [f"| kind | case | {' | '.join(TITLES.values())} |", "|---|---|" + "---|" * len(TITLES)]
    for row in rows:
        cells = " | ".join("–" if row.answers[name] == "no" else row.answers[name] for name in TITLES)
        lines.append(f"| {row.kind} | {row.case.name} | {cells} |")
    return lines
