"""The build's badge: a small SVG with words, in both its title and its picture. No network fonts, no script."""

from __future__ import annotations

from markupsafe import Markup, escape

#: Colours with at least 4.5:1 against white; what is not known is grey.
COLOURS = {
    "ok": "#1a6b3c",
    "pending": "#8a5a00",
    "queued": "#5a6b70",
    "ahead": "#2457a6",
    "warn": "#a04400",
    "drift": "#a04400",
    "blocked": "#b3261e",
    "unknown": "#5a6b70",
    "down": "#5a6b70",
}
_SVG = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{left}: {right}">'
    "<title>{left}: {right}</title>"
    '<rect width="{width}" height="20" rx="4" fill="#0d3b44"/>'
    '<path d="M{split} 0h{rest}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4h-{rest}z" fill="{colour}"/>'
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-rendering="geometricPrecision">'
    '<text x="8" y="14" textLength="{left_length}">{left}</text>'
    '<text x="{right_x}" y="14" textLength="{right_length}">{right}</text></g></svg>'
)
#: Width of a character at 11 px on average; `textLength` makes the font fit it exactly.
_CHARACTER = 6.4


def draw(left: str, right: str, status: str) -> str:
    """Draw a badge that says `left: right` in the colour of a status key."""
    left_length, right_length = (round(len(text) * _CHARACTER) for text in (left, right))
    split = left_length + 16
    return str(
        _SVG.format(
            width=split + right_length + 16,
            split=split,
            rest=right_length + 12,
            left=escape(left),
            right=escape(right),
            left_length=left_length,
            right_length=right_length,
            right_x=split + 8,
            colour=COLOURS.get(status, COLOURS["unknown"]),
        )
    )
