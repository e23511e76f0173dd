"""An Alembic history read with `ast`: the project is never imported, nothing of it runs.

What is computed rather than written down is left to the runner (`Alembic.ask_history`).
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from web.config import AlembicSettings
from web.errors import SourceInvalid
from web.tools.alembic_tool.archive import archives
from web.tools.alembic_tool.locations import read_locations
from web.tools.history import History, Migration, make_history
from web.tools.quiet import quiet

#: A value that a migration file may give: a string, nothing, or several strings.
Value = str | tuple["Value", ...] | None

#: The names that make a file a migration.
_NAMES = ("revision", "down_revision", "depends_on", "branch_labels")
_MIGRATION_FILE = re.compile(r"(?!\.\#|__init__)(.*\.py)$")
_COMPILED_FILE = re.compile(r"(?!\.\#|__init__)(.*\.py)(c|o)$")
_LEGACY_REVISION = re.compile(r"([a-f0-9]+)\.py$")
_CREATE_DATE = re.compile(r"^Create Date:\s*(.+?)\s*$", re.MULTILINE)
_BOILERPLATE = re.compile(r"^(Revision ID|Revises|Create Date):", re.MULTILINE)
#: Characters that Alembic refuses in a revision id.
_ILLEGAL = frozenset("@-+:")


def read_history(source: Path, tool: AlembicSettings) -> History:
    """Read a project's history from its files.

    Problems of single files are told in `History.problems`. Raises `SourceInvalid` where there is no history
    at all. Blocking: meant for `asyncio.to_thread`.
    """
    locations = read_locations(source, tool)
    problems = [*locations.unresolved]
    migrations: list[Migration] = []
    complete = not locations.unresolved
    seen: set[Path] = set()
    with quiet():
        for folder in locations.folders:
            for file in _files(folder, recursive=locations.recursive):
                if locations.sourceless and _COMPILED_FILE.match(file.name):
                    complete = False
                    problems.append(f"{file.name} is a compiled migration; only the runner can read it.")
                if not _MIGRATION_FILE.match(file.name) or file.resolve() in seen:
                    continue
                seen.add(file.resolve())
                found = _read_migration(file, source)
                problems += found.problems
                complete = complete and found.complete
                if found.migration is not None:
                    migrations.append(found.migration)
    if complete and not migrations:
        where = ", ".join(str(folder) for folder in locations.folders)
        reason = f" ({problems[0]})" if problems else ""
        raise SourceInvalid(
            f"There are no migrations in {where}{reason}.",
            hint=f"Check script_location and version_locations in {tool.config_file(source).name}.",
        )
    history = make_history(migrations, problems=problems, complete=complete)
    return replace(history, archives=archives(source, locations))


def _files(folder: Path, *, recursive: bool) -> Iterator[Path]:
    """The folder's files in the order in which Alembic reads them."""
    if not folder.is_dir():
        return
    entries = sorted(folder.iterdir())
    yield from (entry for entry in entries if entry.is_file())
    if recursive:
        for entry in entries:
            # Into a linked folder Alembic does not go.
            if entry.is_dir() and not entry.is_symlink() and not entry.name.endswith("__pycache__"):
                yield from _files(entry, recursive=True)


@dataclass(slots=True)
class _Found:
    """What one file gave."""

    migration: Migration | None = None
    problems: list[str] = field(default_factory=list)
    complete: bool = True


def _read_migration(file: Path, source: Path) -> _Found:
    found = _Found()
    path = _shown_path(file, source)
    try:
        content = file.read_bytes()
        tree = ast.parse(content, filename=file.name)
    except OSError as error:
        found.problems.append(f"{path} cannot be read: {error.strerror}.")
        return found
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        found.problems.append(f"{path} is not valid Python{line}: {_reason(error)}.")
        return found
    names = _module_names(tree)
    computed = [name for name in _NAMES if isinstance(names.get(name), _Computed)]
    if computed:
        found.complete = False
        found.problems.append(
            f"{path} computes its {' and '.join(computed)}; the project's own interpreter has to be asked."
        )
    revision = _revision(file, path, names, found)
    if revision is None:
        return found
    if "down_revision" not in names:
        found.problems.append(f"{path} says nothing about its down_revision; Alembic will refuse it.")
    docstring = ast.get_docstring(tree, clean=False) or ""
    found.migration = Migration(
        revision=revision,
        down=_several(names.get("down_revision"), "down_revision", path, found),
        depends_on=_several(names.get("depends_on"), "depends_on", path, found),
        labels=_several(names.get("branch_labels"), "branch_labels", path, found),
        message=_message(docstring, file, revision),
        path=path,
        digest=hashlib.sha256(content).hexdigest(),
        created=_created(docstring),
        literal=not computed,
    )
    return found


def read_asked(record: Mapping[str, object], source: Path) -> Migration:
    """A migration as the project's interpreter loaded it; `literal` where its file says the same."""

    def several(name: str) -> tuple[str, ...]:
        value = record.get(name)
        return tuple(str(item) for item in value) if isinstance(value, list) else ()

    file, revision, docstring = (
        Path(str(record["path"])),
        str(record["revision"]),
        str(record.get("doc") or ""),
    )
    asked = Migration(
        revision=revision,
        down=several("down"),
        depends_on=several("depends_on"),
        labels=several("labels"),
        message=_message(docstring, file, revision),
        path=_shown_path(file, source),
        digest=hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "",
        created=_created(docstring),
    )
    with quiet():
        written = _read_migration(file, source).migration
    return asked if written == asked else replace(asked, literal=False)


def _reason(error: Exception) -> str:
    return (error.msg if isinstance(error, SyntaxError) else str(error)) or type(error).__name__


def _shown_path(file: Path, source: Path) -> str:
    absolute, root = file.resolve(), source.resolve()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else absolute.as_posix()


def _revision(file: Path, path: str, names: dict[str, Value | _Computed], found: _Found) -> str | None:
    """The file's revision id; None where it has none or only the runner can say it."""
    if "revision" not in names:
        # Alembic 0.1 kept the id in the file's name only.
        legacy = _LEGACY_REVISION.match(file.name)
        if legacy:
            return legacy.group(1)
        found.problems.append(f"{path} has no revision id; Alembic will refuse to read its folder.")
        return None
    value = names["revision"]
    if isinstance(value, _Computed):
        return None
    if not isinstance(value, str) or not value:
        found.problems.append(f"{path} has a revision id that is not text; Alembic will refuse it.")
        return None
    illegal = sorted(_ILLEGAL & set(value))
    if illegal:
        found.problems.append(
            f"{path}: the revision id {value} holds “{''.join(illegal)}”; Alembic will refuse it."
        )
    return value


def _several(value: Value | _Computed, name: str, path: str, found: _Found) -> tuple[str, ...]:
    """A value that may be missing, one string or several strings, always as a tuple."""
    if value is None or isinstance(value, _Computed):
        return ()
    items = (value,) if isinstance(value, str) else value
    if not all(isinstance(item, str) for item in items):
        found.problems.append(f"{path}: {name} is neither a revision id nor a tuple of them.")
    return tuple(item for item in items if isinstance(item, str))


def _created(docstring: str) -> str | None:
    found = _CREATE_DATE.search(docstring)
    return found.group(1) if found else None


def _message(docstring: str, file: Path, revision: str) -> str:
    """The first paragraph of the docstring, else the words of the file's name."""
    text = inspect.cleandoc(docstring).strip()
    boilerplate = _BOILERPLATE.search(text)
    if boilerplate:
        text = text[: boilerplate.start()]
    message = " ".join(text.strip().split("\n\n")[0].split())
    return message or file.stem.replace(revision, " ").replace("_", " ").replace("-", " ").strip()


@dataclass(frozen=True, slots=True)
class _Computed:
    """Stands for a value that is not written down in the file."""


def _module_names(tree: ast.Module) -> dict[str, Value | _Computed]:
    """The module's plain assignments, evaluated as far as they are literal."""
    names: dict[str, Value | _Computed] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                _assign(target, node.value, names)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                _assign(node.target, node.value, names)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            # Imports, conditions, loops, `+=`: whatever they bind is known only when they run.
            for name in _bound(node):
                names[name] = _Computed()
    return names


def _assign(target: ast.expr, value: ast.expr, names: dict[str, Value | _Computed]) -> None:
    if isinstance(target, ast.Name):
        names[target.id] = _evaluate(value, names)
    elif isinstance(target, ast.Tuple | ast.List):
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
            for one, its in zip(target.elts, value.elts, strict=True):
                _assign(one, its, names)
        else:
            for name in _bound(target):
                names[name] = _Computed()


def _bound(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id
        elif isinstance(part, ast.alias):
            yield part.asname or part.name.partition(".")[0]


def _evaluate(node: ast.expr, names: dict[str, Value | _Computed]) -> Value | _Computed:
    """Fold literals, the module's own constants, f-strings and `+` of them; everything else is computed."""
    if isinstance(node, ast.Constant):
        return node.value if node.value is None or isinstance(node.value, str) else _Computed()
    if isinstance(node, ast.Name):
        return names.get(node.id, _Computed())
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        items = [_evaluate(item, names) for item in node.elts]
        return _Computed() if _any_computed(items) else tuple(cast("list[Value]", items))
    if isinstance(node, ast.FormattedValue) and node.format_spec is None and node.conversion == -1:
        value = _evaluate(node.value, names)
        return value if isinstance(value, str) else _Computed()
    if isinstance(node, ast.JoinedStr):
        parts = [_evaluate(part, names) for part in node.values]
        return "".join(str(part) for part in parts) if not _any_computed(parts) else _Computed()
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _evaluate(node.left, names), _evaluate(node.right, names)
        if isinstance(left, str) and isinstance(right, str):
            return left + right
        if isinstance(left, tuple) and isinstance(right, tuple):
            return left + right
    return _Computed()


def _any_computed(values: list[Value | _Computed]) -> bool:
    return any(isinstance(value, _Computed) for value in values)
