"""The real launcher killed, or refused, at its n-th system call; then started again. No hand is ever needed.

A recording run says which calls an update makes (`tools.crashtest.calls`); strace breaks one of them in each run, and a
run counts only if strace says that it did. The sample is in the required set; every call in the long one, as in
`./dev crash-test --real all`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import require
from tools.crashtest import block, calls, real, rig
from tools.crashtest.calls import KILL, Call, Fault

JOBS = 3  # most of the time is waiting
TOLD = ("write", "fdatasync", "rename", "execve", "connect")


@pytest.fixture(scope="module")
def place(release_user: str) -> Iterator[Path]:
    lacks = rig.lacks()
    require(not lacks, lacks)
    with rig.place() as made:
        yield made


@pytest.fixture(scope="module")
def good(place: Path, release_user: str) -> Iterator[rig.Rig]:
    yield from _rig(place, release_user, "good")


@pytest.fixture(scope="module")
def crash(place: Path, release_user: str) -> Iterator[rig.Rig]:
    yield from _rig(place, release_user, "crash")


@pytest.fixture(scope="module")
def destroys(place: Path, release_user: str) -> Iterator[rig.Rig]:
    yield from _rig(place, release_user, "destroys")


def _rig(place: Path, user: str, character: str) -> Iterator[rig.Rig]:
    made = rig.Rig(place, user, character)
    yield made
    made.close()


def assert_promises(tally: real.Tally, runs: int) -> None:
    assert tally.not_fired == [], "a fault that did not happen proves nothing"
    assert tally.needed_a_hand == []
    assert tally.bad_ran_more_than_three == []
    assert tally.good_lost == []
    assert tally.fired == tally.injected_runs == runs - tally.gone > 0
    assert tally.gone <= runs // 20, "most of what was recorded must be there in each run"


def told(faults: list[Fault], *processes: str) -> list[Fault]:
    return [f for f in faults if f.call.process in processes and f.call.name in TOLD]


@pytest.mark.long
def test_a_good_release_is_not_lost(good: rig.Rig) -> None:
    faults = told(calls.sample(calls.kills(real.record(good))), "launcher", "look", "release")
    assert {f.call.process for f in faults} == {"launcher", "look", "release"}
    assert_promises(real.run(good, faults, JOBS), len(faults))


def test_a_crashing_release_runs_three_times_at_most(crash: rig.Rig) -> None:
    faults = [f for f in calls.sample(calls.kills(real.record(crash))) if f.call.name == "fdatasync"]
    assert_promises(real.run(crash, faults, JOBS), len(faults))


def test_a_disk_that_refuses_stops_no_good_release(good: rig.Rig) -> None:
    faults = [f for f in told(calls.sample(calls.errors(real.record(good))), "launcher", "look") if not f.lasting]
    chosen = faults[::3]
    assert {f.how for f in chosen} <= set(calls.ERRORS)
    assert_promises(real.run(good, chosen), len(chosen))


def test_what_could_not_be_kept_is_not_risked(destroys: rig.Rig) -> None:
    """The release on probation destroyed the endpoint's key, and only then something was kept: what it had left."""
    once = [Fault(Call("keeper", "write", 1), KILL), Fault(Call("launcher", "fsync", 1), "EIO")]
    assert_promises(real.run(destroys, once), len(once))


def test_power_cuts_below_the_file_system(good: rig.Rig, place: Path) -> None:
    lacks = block.lacks(place)
    require(not lacks, lacks)
    cuts = block.points(good)
    chosen = [cuts[len(cuts) * n // 4] for n in (1, 2, 3)]
    assert_promises(block.run(good, chosen), len(chosen))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("character", ["good", "crash", "destroys"])
def test_every_call(character: str, request: pytest.FixtureRequest) -> None:
    made: rig.Rig = request.getfixturevalue(character)
    faults = real.everything(made)
    assert sum(f.how == KILL for f in faults) > 90
    assert_promises(real.run(made, faults), len(faults))


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("character", ["good", "crash"])
def test_power_cuts_at_every_write_and_sync(character: str, request: pytest.FixtureRequest, place: Path) -> None:
    lacks = block.lacks(place)
    require(not lacks, lacks)
    made: rig.Rig = request.getfixturevalue(character)
    cuts = block.points(made)
    assert_promises(block.run(made, cuts), len(cuts))


@pytest.mark.long
def test_power_cuts_would_show_syncs_that_do_nothing(crash: rig.Rig, place: Path) -> None:
    lacks = block.lacks(place)
    require(not lacks, lacks)
    assert block.unsynced(crash).bad_ran_more_than_three
