"""How times, sizes and counts are written on pages. Pure functions; `static/app.js` counts the same ages on."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def ago(moment: datetime, now: datetime) -> str:
    """How long ago, as people say it; a date once it is two weeks back."""
    seconds = (now - moment).total_seconds()
    if seconds < -9:
        return f"in {_span(-seconds)}"
    if seconds < 10:
        return "just now"
    if seconds >= 14 * _DAY:
        return day(moment)
    return f"{_span(seconds)} ago"


def age(moment: datetime, now: datetime) -> str:
    """The same as a bare span: `2 h`."""
    return span(now - moment)


def span(length: timedelta) -> str:
    """A span of time, rounded down: `90 min`, `24 h`, `3 d`."""
    return _span(max(0.0, length.total_seconds()))


def _span(seconds: float) -> str:
    whole = int(seconds)
    if whole < 2 * _MINUTE:
        return f"{whole} s"
    if whole < 2 * _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h"
    return f"{whole // _DAY} d"


def exact(moment: datetime) -> str:
    """The moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def written(text: str) -> str:
    """A time that a file carries, as all others are shown; one without a zone says so, what is no time stays."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return text
    return exact(moment) if moment.tzinfo else f"{moment:%Y-%m-%d %H:%M:%S}, no zone given"


def day(moment: datetime) -> str:
    """The date: `9 Nov 2026`."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y}"


def clock(moment: datetime) -> str:
    """The time of day in UTC with milliseconds, for log lines."""
    utc = moment.astimezone(UTC)
    return f"{utc:%H:%M:%S}.{utc.microsecond // 1000:03d}"


def iso(moment: datetime) -> str:
    """The moment for a `datetime` attribute."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(seconds: float) -> str:
    """How long something took."""
    if seconds < 0.0095:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def size(amount: int | None) -> str:
    """Bytes as PostgreSQL's pg_size_pretty counts them (1 kB is 1024 bytes), with three figures."""
    if amount is None:
        return "not known"
    value = float(amount)
    if value < 1024:
        return f"{amount} bytes"
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1024
        if value < 999.5 or unit == "TB":
            return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
    raise AssertionError("the loop ends at TB")


def count(number: int | None) -> str:
    """A number with thousands apart: `12,345`."""
    return "not known" if number is None else f"{number:,}"


def estimate(number: float | None) -> str:
    """A large number that is only roughly known: `1.2M`; the planner's -1 means that nobody has counted yet."""
    if number is None or number < 0:
        return "not known"
    if number < 10_000:
        return f"{number:,.0f}"
    for limit, unit in ((1e6, "k"), (1e9, "M"), (1e12, "G")):
        if number < limit:
            value = number / (limit / 1000)
            return f"{value:.1f}{unit}" if value < 100 else f"{value:.0f}{unit}"
    return f"{number:.1e}"


def percent(done: float, total: float) -> int:
    """Work done, rounded down: 100 is only said when all of it is."""
    return max(0, min(100, int(done * 100 / total))) if total > 0 else 0


def plural(number: int, one: str, many: str | None = None) -> str:
    """`1 table`, `14 tables`, `3 policies`, `2 indexes`, `2 tables with row security`."""
    return f"{number:,} {one if number == 1 else many or _many(one)}"


def _many(one: str) -> str:
    noun, separator, rest = one.partition(" with ")
    if re.search("[^aeiou]y$", noun):
        noun = f"{noun[:-1]}ies"
    else:
        noun += "es" if noun.endswith(("x", "s", "ch", "sh")) else "s"
    return f"{noun}{separator}{rest}"


def short(revision: str) -> str:
    """A revision as it is shown: long ids are cut to 12 characters, words that people chose stay whole."""
    return revision if len(revision) <= 16 else revision[:12] + "…"
