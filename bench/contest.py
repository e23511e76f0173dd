"""Contenders run alternately in one batch; minimum, median, maximum, CPU and ratio are printed, nothing is judged."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles


@dataclass(slots=True)
class Contender:
    """One way to get the same done. What `run` returns, in seconds, counts instead of the whole call's time."""

    name: str
    run: Callable[[], Awaitable[float | None]]
    seconds: list[float] = field(default_factory=list)
    #: Of this process alone; servers and programs have their own.
    cpu: list[float] = field(default_factory=list)


async def contest(contenders: Sequence[Contender], *, rounds: int, warm: int = 1) -> None:
    """Run all in turn, `rounds` times after `warm` rounds that do not count; the ratio is to the first one."""
    for number in range(-warm, rounds):
        for contender in contenders:
            cpu, began = time.process_time(), time.perf_counter()
            own = await contender.run()
            seconds, busy = time.perf_counter() - began, time.process_time() - cpu
            if number >= 0:
                contender.seconds.append(seconds if own is None else own)
                contender.cpu.append(busy)
    floor = median(contenders[0].seconds)
    width = max(len(each.name) for each in contenders)
    say(
        f"  {'ms':{width}}  {'min':>9} {'median':>9} {'max':>9} {'our CPU':>9} {'ratio':>7}   ({rounds} rounds)"
    )
    for each in contenders:
        middle = median(each.seconds)
        figures = (min(each.seconds), middle, max(each.seconds), median(each.cpu))
        row = " ".join(f"{1000 * figure:9.1f}" for figure in figures)
        say(f"  {each.name:{width}}  {row} {middle / floor:7.2f}")


def tell_latencies(samples: Sequence[tuple[str, Sequence[float]]]) -> None:
    """Print p50, p95, p99 and the maximum of latencies in seconds; the ratio is of p50 to the first one's."""
    width = max(len(name) for name, _ in samples)
    say(f"  {'ms':{width}}  {'p50':>8} {'p95':>8} {'p99':>8} {'max':>8} {'ratio':>7}")
    floor = median(samples[0][1])
    for name, seconds in samples:
        cut = quantiles(seconds, n=100)
        row = " ".join(f"{1000 * each:8.1f}" for each in (cut[49], cut[94], cut[98], max(seconds)))
        say(f"  {name:{width}}  {row} {cut[49] / floor:7.2f}   ({len(seconds)} events received)")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
