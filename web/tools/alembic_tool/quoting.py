"""Names and texts of PostgreSQL as Python writes them in a migration."""

from __future__ import annotations

import re

#: An identifier as PostgreSQL writes it.
ID = r'(?:"(?:[^"]|"")+"|[\w$]+)'
#: The end of a line inside of a string; no statement has this character.
INSIDE = "\0"


def names(quoted: str) -> list[str]:
    """Identifiers of a list."""
    return [name(each) for each in re.findall(ID, quoted)]


def given(quoted: str) -> str:
    """A name that the project's naming convention leaves alone."""
    return f"op.f({name(quoted)!r})"


def name(quoted: str) -> str:
    """An identifier without its quotes."""
    return quoted[1:-1].replace('""', '"') if quoted.startswith('"') else quoted


def text(expression: str) -> str:
    """A literal for `sa.text` and `op.execute`, in which `:name` is a parameter and `\\:` is a colon.

    Only where SQLAlchemy sees one or the other (BIND_PARAMS and BIND_PARAMS_ESC of its compiler): what is escaped
    elsewhere keeps its backslash.
    """
    kept = re.sub(r"\\(?=:\w*(?![:\w]))", r"\\\\", expression)
    return literal(re.sub(r"(?<![:\w\\]):(?=\w+(?![:\w]))", r"\\:", kept))


def literal(content: str) -> str:
    """A string in Python: in triple quotes where that is plain to read and nobody's editor changes it."""
    if "\n" not in content:
        return repr(content)
    *begun, last = content.split("\n")
    plain_lines = all(
        line.rstrip() == line and line.replace("\t", "").isprintable() for line in (*begun, last)
    )
    if plain_lines and '"""' not in content and not content.startswith('"') and not content.endswith('"'):
        escaped = content.replace("\\", "\\\\").replace("\n", INSIDE)
        return f'"""{escaped}"""'
    parts = [*(repr(f"{each}\n") for each in begun), *([repr(last)] if last else [])]
    return "(\n" + "".join(f"    {part}\n" for part in parts) + ")"
