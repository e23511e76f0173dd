"""Retention, under a clock of ours."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as some

from web.backups.retention import Kept, State, expired
from web.config import Keep

START = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


def backup(hours: float, state: State = "unverified", number: int = 0) -> Kept:
    return Kept(uuid.UUID(int=number or int(hours * 60) + 1), START + timedelta(hours=hours), state)


def test_without_rules_everything_is_kept() -> None:
    assert expired([backup(hour) for hour in range(100)], Keep(), in_use=()) == ()


def test_the_newest_are_kept() -> None:
    backups = [backup(hour) for hour in range(10)]
    assert expired(backups, Keep(last=3), in_use=()) == tuple(one.id for one in backups[:7])


def test_one_a_day_and_one_a_month() -> None:
    backups = [backup(12 * half_day) for half_day in range(120)]
    gone = expired(backups, Keep(daily=5, monthly=2), in_use=())
    kept = [one for one in backups if one.id not in gone]
    # 120 half days from 31 January 23:30 end on 1 April 11:30.
    assert [one.created_at.strftime("%m-%d %H") for one in kept] == [
        *("03-28 23", "03-29 23", "03-30 23", "03-31 23", "04-01 11"),
    ]


def test_the_newest_proven_one_outlives_all_rules() -> None:
    backups = [backup(0, "verified"), backup(1, "verified"), backup(2), backup(3), backup(4)]
    assert expired(backups, Keep(last=1), in_use=()) == (backups[0].id, backups[2].id, backups[3].id)


def test_a_failed_one_does_not_push_out_a_good_one() -> None:
    backups = [backup(0), backup(1, "failed verification"), backup(2), backup(3, "failed verification")]
    assert expired(backups, Keep(last=2), in_use=()) == (backups[1].id,)


STATES: list[State] = ["unverified", "verified", "failed verification"]
MOMENTS = some.integers(0, 24 * 400)
RULE = some.one_of(some.none(), some.integers(0, 10))


@given(
    moments=some.lists(some.tuples(MOMENTS, some.sampled_from(STATES)), max_size=60),
    keep=some.builds(Keep, last=RULE, daily=RULE, monthly=RULE),
    used=some.sets(some.integers(1, 60), max_size=5),
)
def test_what_must_never_go(moments: list[tuple[int, State]], keep: Keep, used: set[int]) -> None:
    backups = [backup(hour, state, number) for number, (hour, state) in enumerate(moments, start=1)]
    in_use = {uuid.UUID(int=number) for number in used}
    gone = set(expired(backups, keep, in_use=in_use))
    kept = [one for one in backups if one.id not in gone]

    assert not gone & in_use
    verified = [one for one in backups if one.state == "verified"]
    if verified:
        newest = max(one.created_at for one in verified)
        assert any(one.created_at == newest and one.state == "verified" for one in kept)
    sound = [one for one in backups if one.state != "failed verification"]
    assert len([one for one in kept if one in sound]) >= min(len(sound), max(keep.last or 0, 1))
    # Applied again, nothing more goes.
    assert set(expired(kept, keep, in_use=in_use)) == set()
    # The order in which they are given does not matter.
    assert set(expired(backups[::-1], keep, in_use=in_use)) == gone


@given(days=some.integers(1, 300), keep=some.builds(Keep, last=RULE, daily=RULE, monthly=RULE))
def test_the_number_kept_is_bounded(days: int, keep: Keep) -> None:
    backups = [backup(24 * day, number=day + 1) for day in range(days)]
    kept = days - len(expired(backups, keep, in_use=()))
    rules = [rule for rule in (keep.last, keep.daily, keep.monthly) if rule is not None]
    assert kept <= (sum(rules) + 1 if rules else days)
