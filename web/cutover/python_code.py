"""Python, read with `ast` and never imported: calls that migrate a database or make tables from models."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from web.cutover.commands import Shell
from web.tools.quiet import quiet

_UPGRADES: Mapping[str, str] = {
    "alembic.command.upgrade": "command.upgrade",
    "flask_migrate.upgrade": "flask_migrate.upgrade",
}
#: Alembic's own command line, called from code: with its arguments.
_COMMAND_LINES = frozenset({"alembic.config.main", "alembic.config.CommandLine.main"})
_PROGRAMS = frozenset(
    {
        *(
            f"subprocess.{name}"
            for name in ("run", "call", "check_call", "check_output", "Popen", "getoutput")
        ),
        *(
            f"os.{name}"
            for name in ("system", "popen", "execv", "execvp", "execl", "execlp", "execvpe", "spawnvp")
        ),
        "asyncio.create_subprocess_exec",
        "asyncio.create_subprocess_shell",
        "asyncio.subprocess.create_subprocess_exec",
        "asyncio.subprocess.create_subprocess_shell",
        "sh.alembic",
    }
)
#: Functions that are called as the application starts, by name or by what they are decorated with.
_AT_START = frozenset({
    "lifespan", "startup", "on_startup", "on_start", "create_app", "make_app", "build_app", "get_app",
    "init_app", "create_application", "app_factory", "entrypoint", "bootstrap", "before_start", "prestart",
})  # fmt: skip
_START_DECORATORS = frozenset({
    "on_event", "before_first_request", "before_serving", "before_server_start", "on_startup", "startup",
    "listener", "asynccontextmanager",
})  # fmt: skip
_COMMAND_DECORATORS = frozenset({"command", "cli", "task", "group"})

#: Who calls it, as far as the file says: `start` when it is imported or the application starts, `program` where the
#: file is run itself, `command` one of the project's own command line, `unknown` nobody here.
Reach = Literal["start", "program", "command", "unknown"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call that migrates."""

    line: int
    what: str
    reach: Reach


def is_migration(tree: ast.Module) -> bool:
    """Whether it is a migration itself."""
    assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    return {"revision", "down_revision"} <= assigned


def is_environment(tree: ast.Module) -> bool:
    """Whether it is the tool's env.py: it asks for `alembic.context`."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "alembic"
        and any(each.name == "context" for each in node.names)
        for node in ast.walk(tree)
    )


def parse(text: str) -> ast.Module | None:
    """The module; None where it is not valid Python, or too deep to be read."""
    with quiet():
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def migrating_calls(tree: ast.Module, shell: Shell) -> tuple[Call, ...]:
    """Every call in it that migrates, in the order of lines."""
    if is_migration(tree) or is_environment(tree):
        return ()
    reader = _Reader(tree, shell)
    return tuple(sorted(reader.calls(), key=lambda call: call.line))


@dataclass(slots=True)
class _Function:
    """What a function calls by a plain name, and what of it migrates."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | None
    calls: set[str] = field(default_factory=set)
    found: list[tuple[int, str]] = field(default_factory=list)


class _Reader:
    """One module."""

    def __init__(self, tree: ast.Module, shell: Shell) -> None:
        self._tree, self._shell = tree, shell
        self._names = _imported(tree)
        self._holders = _holders(tree)
        self._functions: dict[int, _Function] = {}
        self._by_name: dict[str, list[_Function]] = {}
        #: What is below `if __name__ == "__main__"`.
        self._program = _Function(None)

    def calls(self) -> Iterator[Call]:
        top = _Function(None)
        self._read(self._tree, top)
        functions = tuple(self._functions.values())
        start = self._reached([top, *(each for each in functions if _runs_at_start(each.node))])
        program = self._reached([self._program])
        for function in (top, self._program, *functions):
            reach: Reach = "unknown"
            if function.node is not None and _decorated(function.node, _COMMAND_DECORATORS):
                reach = "command"
            elif id(function) in start:
                reach = "start"
            elif id(function) in program:
                reach = "program"
            for line, what in function.found:
                yield Call(line, what, reach)

    def _read(self, node: ast.AST, inside: _Function) -> None:
        """Depth first without recursion: a hostile file may be nested deeply."""
        waiting: list[tuple[ast.AST, _Function]] = [(node, inside)]
        while waiting:
            each, owner = waiting.pop()
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                owner = _Function(each)
                self._functions[id(each)] = owner
                self._by_name.setdefault(each.name, []).append(owner)
            elif isinstance(each, ast.Call):
                self._call(each, owner)
            elif isinstance(each, ast.Attribute) and each.attr == "create_all" and self._makes_tables(each):
                owner.found.append((each.lineno, "create_all"))
            elif isinstance(each, ast.If) and (_never_runs(each.test) or _asks_for_main(each.test)):
                waiting.extend((inner, owner) for inner in each.orelse)
                if _asks_for_main(each.test):
                    waiting.extend((inner, self._program) for inner in each.body)
                continue
            waiting.extend((inner, owner) for inner in ast.iter_child_nodes(each))

    def _call(self, call: ast.Call, owner: _Function) -> None:
        name = self._dotted(call.func)
        if name is None:
            return
        owner.calls.add(name.rpartition(".")[2])
        # `asyncio.to_thread(command.upgrade, config, "head")`, `FastAPI(on_startup=[make_tables])`
        for argument in _handed(call):
            if (handed := self._dotted(argument)) is not None:
                owner.calls.add(handed.rpartition(".")[2])
                if (what := _UPGRADES.get(handed)) is not None and not _offline(call):
                    owner.found.append((call.lineno, what))
        if (what := _UPGRADES.get(name)) is not None and not _offline(call):
            owner.found.append((call.lineno, what))
        elif name in _COMMAND_LINES:
            words = ["alembic", *_texts(call)]
            if (what := self._shell.what(words)) is not None:
                owner.found.append((call.lineno, what))
        elif name in _PROGRAMS:
            found = _texts(call)
            what = self._shell.what(found) or next(
                (each.what for text in found for each in self._shell.migrating(text)), None
            )
            if what is not None:
                owner.found.append((call.lineno, what))

    def _dotted(self, node: ast.AST) -> str | None:
        """The full name of what is called, by the module's imports."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Call):
            # `CommandLine().main(…)`
            inner = node.func
            name = self._names.get(inner.id) if isinstance(inner, ast.Name) else None
            if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
                name = f"{self._names.get(inner.value.id, inner.value.id)}.{inner.attr}"
            return ".".join([name, *reversed(parts)]) if name else None
        if not isinstance(node, ast.Name):
            return ".".join(["?", *reversed(parts)]) if parts else None
        return ".".join([self._names.get(node.id, node.id), *reversed(parts)])

    def _makes_tables(self, node: ast.Attribute) -> bool:
        """Whether the receiver holds tables: a MetaData, or Flask-SQLAlchemy's object."""
        owner = node.value
        name = (
            owner.attr
            if isinstance(owner, ast.Attribute)
            else owner.id
            if isinstance(owner, ast.Name)
            else ""
        )
        return name.lower().endswith("metadata") or name in ("db", "meta") or name in self._holders

    def _reached(self, from_these: list[_Function]) -> set[int]:
        """What these run, followed through calls within the file."""
        waiting, seen, followed = from_these, set[int](), set[str]()
        while waiting:
            function = waiting.pop()
            seen.add(id(function))
            for name in function.calls - followed:
                followed.add(name)
                waiting.extend(self._by_name.get(name, ()))
        return seen


def _imported(tree: ast.Module) -> dict[str, str]:
    """What names mean, by every import of the file, also those within functions."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                names[each.asname or each.name.partition(".")[0]] = (
                    each.name if each.asname else each.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for each in node.names:
                names[each.asname or each.name] = f"{node.module}.{each.name}"
    return names


def _holders(tree: ast.Module) -> frozenset[str]:
    """Names that are given a MetaData or Flask-SQLAlchemy's object."""
    return frozenset(
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _makes_holder(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    )


def _makes_holder(value: ast.expr) -> bool:
    if not isinstance(value, ast.Call):
        return False
    called = value.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name in ("MetaData", "SQLAlchemy")


def _handed(call: ast.Call) -> Iterator[ast.expr]:
    """What the call is given that it may call itself."""
    for each in (*call.args, *(keyword.value for keyword in call.keywords)):
        yield from each.elts if isinstance(each, ast.List | ast.Tuple) else (each,)


def _texts(call: ast.Call) -> list[str]:
    """Its arguments as words, flattened: what is written as text, and `…` for what is not."""
    waiting = deque(
        [*call.args, *(each.value for each in call.keywords if each.arg in ("args", "argv", "cmd"))]
    )
    found: list[str] = []
    while waiting:
        node = waiting.popleft()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        elif isinstance(node, ast.List | ast.Tuple):
            waiting.extendleft(reversed(node.elts))
        elif isinstance(node, ast.JoinedStr):
            found.append(
                "".join(str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values)
            )
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split"
        ):
            # `shlex.split("…")`, `"…".split()`
            inner = [node.func.value, *node.args]
            found += [
                word
                for each in inner
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
                for word in each.value.split()
            ]
        else:
            found.append("…")
    return found


def _offline(call: ast.Call) -> bool:
    """Whether it only writes SQL: `sql=True`."""
    return any(
        each.arg == "sql" and isinstance(each.value, ast.Constant) and bool(each.value.value)
        for each in call.keywords
    )


def _never_runs(test: ast.expr) -> bool:
    """`if TYPE_CHECKING:` and `if False:`."""
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Constant) and not test.value
    )


def _asks_for_main(test: ast.expr) -> bool:
    """`if __name__ == "__main__":`"""
    return isinstance(test, ast.Compare) and any(
        isinstance(each, ast.Constant) and each.value == "__main__" for each in (test.left, *test.comparators)
    )


def _runs_at_start(node: ast.FunctionDef | ast.AsyncFunctionDef | None) -> bool:
    return node is not None and (node.name in _AT_START or _decorated(node, _START_DECORATORS))


def _decorated(node: ast.FunctionDef | ast.AsyncFunctionDef, names: frozenset[str]) -> bool:
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        last = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if last in names:
            return True
    return False
