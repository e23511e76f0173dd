"""Two texts side by side, line by line: what a difference shows. Of long ones the part where they begin to differ."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

#: Of a longer text a part of this many characters and lines is shown: a function of megabytes is no page, and
#: finding what two of many lines have in common takes the square of their number.
CHARACTERS = 20_000
LINES = 400
#: Characters of what is alike that stay before the first difference; fewer than LINES, so that it is shown.
BEFORE = 300
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one side; `gap` stands where only the other side has a line, `cut` says what is left out."""

    kind: Literal["same", "removed", "added", "gap", "cut"]
    text: str


@lru_cache(maxsize=1024)
def side_by_side(expected: str | None, actual: str | None) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Both sides, line by line, padded to one height. None: that side has no such object."""
    texts = (expected or "", actual or "")
    start = _start(*texts) if any(map(_long, texts)) else 0
    (left, left_rest), (right, right_rest) = (_part(text, start) for text in texts)
    shown_left: list[Line] = []
    shown_right: list[Line] = []
    for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            shown_left += [Line("same", text) for text in left[a:b]]
            shown_right += [Line("same", text) for text in right[c:d]]
            continue
        shown_left += [Line("removed", text) for text in left[a:b]]
        shown_right += [Line("added", text) for text in right[c:d]]
        missing = len(shown_left) - len(shown_right)
        shown_right += [Line("gap", "")] * missing
        shown_left += [Line("gap", "")] * -missing
    if start:
        before = Line("cut", f"{start:,} characters before this are the same")
        shown_left, shown_right = [before, *shown_left], [before, *shown_right]
    if left_rest or right_rest:
        shown_left.append(_after(left_rest))
        shown_right.append(_after(right_rest))
    return tuple(shown_left), tuple(shown_right)


def _long(text: str) -> bool:
    return len(text) > CHARACTERS or text.count("\n") > LINES


def _start(a: str, b: str) -> int:
    """Where to begin: at a line, or within one, a little before the first character that differs."""
    at = 0
    while at < min(len(a), len(b)) and a[at : at + _CHUNK] == b[at : at + _CHUNK]:
        at += _CHUNK
    # Where one is the other's beginning, they differ at its end.
    pairs = enumerate(zip(a[at : at + _CHUNK], b[at : at + _CHUNK], strict=False), at)
    at = next((place for place, (x, y) in pairs if x != y), min(len(a), len(b)))
    earliest = max(0, at - BEFORE)
    if not earliest:
        return 0
    line = a.find("\n", earliest, at)
    return line + 1 if line >= 0 else earliest


def _part(text: str, start: int) -> tuple[list[str], int]:
    """Lines from there on, and how many characters are left out after them."""
    shown = text[start : start + CHARACTERS]
    lines = shown.splitlines(keepends=True)[:LINES]
    return [line.rstrip("\r\n") for line in lines], len(text) - start - sum(map(len, lines))


def _after(rest: int) -> Line:
    return Line("cut", f"{rest:,} characters more, not shown") if rest > 0 else Line("gap", "")
