"""`diff`: two schemas side by side, wherever they come from, and the proven way from the second to the first.

It reads databases itself, so it runs where the configuration is; two URLs need neither configuration nor store.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncEngine

from web import words
from web.cli import exits
from web.cli.invocation import Invocation, add
from web.cli.writing import Writer, plain
from web.comparison.side_by_side import Comparison, NotProven, compare_sources, prove_repair
from web.comparison.sources import Reader, Source, parse_source
from web.comparison.unmodelled import can_be_modelled
from web.config import Configuration
from web.errors import Invalid, StoreNotReady
from web.postgres.programs import find_programs
from web.postgres.scratch import ScratchServers
from web.schema.ddl.statement import transactions
from web.schema.difference import Difference
from web.schema.proof import Proof
from web.schema.severity import Severity
from web.schema.snapshot import PINS

#: What `--without` knows beside severities.
UNMODELLED = "unmodelled"
#: How much of one side of a difference is shown in a line.
SHOWN = 100
_MARKS = {"added": "+", "removed": "-", "changed": "~", "renamed": ">"}
_STYLES = {"+": "green", "-": "red", "~": "yellow", ">": "cyan"}

ASource = Annotated[
    str,
    typer.Argument(
        help="PROJECT/ENVIRONMENT, PROJECT@head, PROJECT@REVISION, PROJECT:models, backup:ID, snapshot:ID or "
        "env:VARIABLE (a URL)."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "diff", panel="Questions", formats=Literal["text", "json", "sql"])(diff)


def diff(
    call: Invocation,
    a: ASource,
    b: ASource,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            metavar="SEVERITY",
            help="Leave out structure, behaviour, access or cosmetic; or unmodelled: what models cannot say.",
        ),
    ] = None,
    destructive: Annotated[
        bool,
        typer.Option("--destructive", help="With --format sql: statements that lose rows or values too."),
    ] = False,
) -> int:
    """Tell what B has differently from A; with --format sql, print the statements that make B like A.

    The statements were run on a scratch copy of B, and nothing differed afterwards but what they say they leave.
    Exits 0: equal, 1: different, 3: could not be compared.
    """
    left_out = _left_out(without or [])
    sources = parse_source(a), parse_source(b)

    async def compare() -> tuple[Comparison, Proof | None]:
        async with _reader(call, sources) as reader:
            found = await compare_sources(reader, *sources)
            if call.format != "sql":
                return found, None
            return found, await prove_repair(reader, found, destructive=destructive)

    found, proof = asyncio.run(compare())
    differences = [each for each in found.differences if not _is_left_out(each, left_out)]
    if proof is not None:
        if not proof.holds:
            raise NotProven(proof)
        _write_sql(call.writer, found, proof)
    elif call.as_json:
        call.writer.document({**found.to_json(), "differences": [each.to_json() for each in differences]})
    else:
        _write(call.writer, found, differences)
    if found.unknown and not differences:
        return exits.CANNOT_TELL
    return exits.NO if differences else exits.YES


def _left_out(names: Sequence[str]) -> frozenset[str]:
    known = (*get_args(Severity), UNMODELLED)
    for name in names:
        if name not in known:
            raise Invalid(f"“{name}” is no severity.", hint=f"There are {', '.join(known)}.")
    return frozenset(names)


def _is_left_out(each: Difference, left_out: frozenset[str]) -> bool:
    return each.severity in left_out or (UNMODELLED in left_out and not can_be_modelled(each))


@asynccontextmanager
async def _reader(call: Invocation, sources: Sequence[Source]) -> AsyncIterator[Reader]:
    """What reads the sources; scratch servers are started only where something is replayed or proven."""
    configuration = call.configuration() if any(each.kind != "url" for each in sources) else None
    programs = await asyncio.to_thread(find_programs, configuration.programs if configuration else ())
    store = await _store(configuration, sources)
    with tempfile.TemporaryDirectory(prefix="cleanstart-diff-") as folder:
        configured = configuration.scratch if configuration else {}
        scratch = ScratchServers(
            configuration.data_directory / "scratch" if configuration else Path(folder),
            {major: place if place == "embedded" else place.read() for major, place in configured.items()},
            programs,
            shared=configuration is not None
            and any(project.without_wall for project in configuration.projects.values()),
            spare=False,
        )
        try:
            yield Reader(configuration, store, scratch, programs)
        finally:
            await scratch.stop()
            if store is not None:
                await store.dispose()


async def _store(configuration: Configuration | None, sources: Sequence[Source]) -> AsyncEngine | None:
    """The store, where one of the sources is in it; else only if it happens to run, for what it has cached."""
    # Only here: comparing two URLs does without loading the store.
    from web.cli.store_place import running_url
    from web.store.database import open_store, require_upgraded

    if configuration is None or all(each.kind in ("url", "live") for each in sources):
        return None
    engine = None
    try:
        engine = open_store(running_url(configuration), pool_size=2)
        await require_upgraded(engine)
    except StoreNotReady:
        if engine is not None:
            await engine.dispose()
        if any(each.kind in ("backup", "snapshot") for each in sources):
            raise
        return None
    return engine


def _write(writer: Writer, found: Comparison, differences: Sequence[Difference]) -> None:
    group = None
    for each in differences:
        if each.group != group:
            group = each.group
            writer.say(f"\n{group}", style="bold")
        writer.out.print(_line(each), soft_wrap=True)
        for side, text in ((found.a.source.text, each.a), (found.b.source.text, each.b)):
            if text is not None and each.change != "renamed":
                writer.say(f"      {side}: {_one_line(text)}", style="dim")
    for part in found.unknown:
        writer.note(f"Not compared: the role may not read {part}.")
    beyond = sum(not can_be_modelled(each) for each in differences)
    if beyond and "models" in (found.a.source.kind, found.b.source.kind):
        writer.note(
            f"{words.plural(beyond, 'difference')} of these no model can say; `--without {UNMODELLED}` leaves them out."
        )
    left_out = len(found.differences) - len(differences)
    said = words.plural(len(differences), "difference") if differences else "No difference"
    if left_out:
        said += f", {left_out} left out"
    writer.say(
        f"{chr(10) if differences else ''}{said} between {found.a.source.text} and {found.b.source.text}."
    )


def _line(each: Difference) -> Text:
    mark = _MARKS[each.change]
    what = f"{each.object}, {each.attribute}" if each.attribute and each.change != "renamed" else each.object
    was = f", was {each.a}" if each.change == "renamed" else ""
    text = Text(f"  {mark} ", style=_STYLES[mark])
    text.append(plain(f"{each.kind} {what} {each.change}{was}"), style="default")
    return text.append(f"  {each.severity}", style="dim")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def _write_sql(writer: Writer, found: Comparison, proof: Proof) -> None:
    """Statements for psql: transactions as they were run, what is left as comments."""
    names = f"{found.b.source.text} like {found.a.source.text}"
    lines = [f"-- Makes {names}. Run on a scratch copy of it, after which nothing else differed."]
    # Nothing is lost where psql goes on, but what follows starts from something else.
    lines += ["-- Let psql stop at the first error: psql -v ON_ERROR_STOP=1 -f FILE"]
    for left in proof.left:
        named = f"{left.difference.kind} {left.difference.object} {left.difference.change}"
        lines.append(f"-- Left: {' '.join(named.split())}. {left.reason}")
    for each in proof.demands:
        lines.append(f"-- Rows can refuse it: {' '.join(f'{each.object}, {each.words}'.split())}")
        if each.query is not None:
            lines.append(f"--   {' '.join(each.query.split())};")
    if proof.statements:
        lines.append(f"SET search_path = {PINS['search_path']};")
    for group in transactions(proof.statements):
        notes = [f"-- {each.note}" for each in group if each.note]
        notes += [
            f"-- Loses rows or values: {each.sql.partition(chr(10))[0]}" for each in group if each.destructive
        ]
        body = [f"{each.sql};" for each in group]
        lines += [*notes, *(["BEGIN;", *body, "COMMIT;"] if len(group) > 1 else body)]
    for line in lines:
        print(line, file=writer.out.file)
