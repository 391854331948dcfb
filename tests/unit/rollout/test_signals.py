"""What counts as harm in an endpoint's own numbers, and what is only a busy moment or an older agent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from brakeline.fleet.model import READING_MAX, Presence, Readings
from brakeline.protocol.messages import Health
from brakeline.rollout import alpha, evidence, signals
from brakeline.rollout.model import Arm, Policy, Ring, Subject
from brakeline.rollout.presets import policy_for
from brakeline.rollout.signals import ACTIONS, BLOCKS, DELETIONS, ERRORS, PATCHES, RESOURCES, STARTS
from brakeline.rollout.situation import with_presence
from brakeline.rollout.store.arms import SubjectRow

GIB, MIB = 1024**3, 1024**2
WELL = Readings(4 * GIB, 8 * GIB, 50 * GIB, 100 * GIB, 0.5, 4, 15 * MIB, 0, 7)
POLICY = Policy((Ring("all", 60, share=1.0),))
READY_MS = 1_000_000_000


def now(**fields: Any) -> Readings:
    return replace(WELL, **fields)


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (now(), ()),
        (now(memory_available=4 * GIB - 8 * MIB), ()),  # a thousandth of all memory more: nobody's harm
        (now(memory_available=2 * GIB - 1), ("memory",)),
        (now(memory_available=7 * GIB), ()),
        (now(load_1m=4.4), ()),
        (now(load_1m=4.6), ("busy",)),
        (now(disk_free=41 * GIB), ()),
        (now(disk_free=39 * GIB), ("disk",)),
        (now(agent_memory=79 * MIB), ()),
        (now(agent_memory=80 * MIB), ("agent's memory",)),
        (now(agent_permille=101), ("agent's processor time",)),
        (now(memory_available=0, disk_free=0), ("memory", "disk")),
    ],
)
def test_a_change_that_people_would_call_trouble(after: Readings, found: tuple[str, ...]) -> None:
    assert signals.troubles(WELL, after) == found


def test_little_memory_counts_only_if_there_was_more_at_ready() -> None:
    short = now(memory_available=GIB // 2)
    assert signals.troubles(now(memory_available=2 * GIB), short) == ("memory",)
    assert signals.troubles(now(memory_available=GIB // 2 + MIB), short) == ()


@pytest.mark.parametrize("told", [(None, WELL), (WELL, None), (None, None)])
def test_an_agent_that_tells_nothing_at_ready_is_never_bad(told: tuple[Readings | None, Readings | None]) -> None:
    assert signals.troubles(*told) == ()
    assert not signals.removals(*told)


def test_three_packages_that_go_away_are_harm_and_two_are_not() -> None:
    assert not signals.removals(WELL, now(packages_removed=9))
    assert signals.removals(WELL, now(packages_removed=10))
    assert not signals.removals(WELL, now(packages_removed=0))  # a new agent counts from the beginning


@pytest.mark.parametrize(("starts", "checkpoint", "bad"), [(1, 0, False), (2, 0, True), (2, 1, False), (4, 3, False),
                                                           (5, 3, True)])  # fmt: skip
def test_one_start_an_interval_is_ordinary(starts: int, checkpoint: int, bad: bool) -> None:
    assert signals.starts_too_often(starts, checkpoint) is bad


def test_what_agents_before_told_is_no_reading_and_numbers_are_bounded() -> None:
    assert Readings.of(Health((), True, 5, 0.1, 5)) is None
    wild = Readings.of(Health((), True, -5, 1e300, 1 << 80, 8, 8, 4))
    assert wild is not None
    assert (wild.disk_free, wild.memory_available, wild.load_1m) == (0, READING_MAX, READING_MAX)
    assert Readings.read(wild.text()) is not None
    assert Readings.read(WELL.text()) == WELL
    assert Readings.read("") is None


# --- a check-in becomes evidence --------------------------------------------------------------------------------------


def subject(**fields: Any) -> SubjectRow:
    s = Subject("ep_1", Arm.CONTROL, 0, 1, "eu", "server", 1, READY_MS, 1)
    return SubjectRow(replace(s, **fields), frozenset(), 0, WELL)


def seen(age_s: int, boot: str = "a", readings: Readings | None = WELL) -> Presence:
    return Presence(READY_MS + age_s * 1000, boot, readings=readings)


def after(row: SubjectRow, *presences: Presence) -> Subject:
    for p in presences:
        row = replace(row, subject=with_presence(POLICY, row, p, p.last_check_in_ms))
    return row.subject


def test_trouble_counts_at_the_checkpoint_at_which_it_lasts() -> None:
    short = now(memory_available=0)
    assert after(subject(), seen(1700, readings=short), seen(1799, readings=short)).resources == 0
    lasting = after(subject(), seen(1100, readings=short), seen(1799, readings=short))
    assert (lasting.resources, lasting.troubles) == (1, ("memory",))
    broken = after(subject(), seen(1100, readings=short), seen(1200), seen(1799, readings=short))
    assert broken.resources == 0


def test_starts_and_removals_are_counted_since_ready() -> None:
    loop = after(subject(), seen(10, "a"), seen(60, "b"), seen(120, "c"), seen(1790, "c"))
    assert (loop.starts, loop.often) == (2, 1)
    once = after(subject(), seen(10, "a"), seen(60, "b"), seen(1790, "b"))
    assert (once.starts, once.often) == (1, 0)
    assert after(subject(), seen(1790, readings=now(packages_removed=20))).actions == 1


def test_before_ready_nothing_counts() -> None:
    early = after(subject(), Presence(READY_MS - 1, "z", readings=now(memory_available=0)))
    assert (early.resources, early.starts, early.last_boot) == (0, 0, "")


# --- the alpha table --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attributes", [(), ("os:debian-12",), tuple(f"a:{i}" for i in range(200))])
def test_every_signal_is_asked_in_every_class_and_attribute_and_the_sum_stays(attributes: tuple[str, ...]) -> None:
    policy = policy_for(8_500_000)
    rows = alpha.alpha_table(policy, attributes)
    assert alpha.alpha_sum(rows) <= policy.guard.alpha * (1 + 1e-9)
    groups = {"all", "class:server", "class:desktop", "class:laptop", evidence.STATIONARY, *attributes}
    for signal in (RESOURCES, ACTIONS, STARTS, PATCHES, BLOCKS, DELETIONS, ERRORS, evidence.UNHEALTHY, evidence.SILENT):
        assert {(r.group, r.checkpoint) for r in rows if r.signal == signal} == {
            (g, j)
            for g in groups
            for j in range(0 if signal is evidence.SILENT else policy.early, len(policy.checkpoints_s))
        }
    assert set(alpha.MARGINS) == set(evidence.SIGNALS)
