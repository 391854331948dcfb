"""kill -9 at every flush, rename and removal: nothing acknowledged is lost, no number and no offer comes twice.

`strace` kills the program in `crashing.py` at its Nth fsync, rename or unlink; then it runs again on what is left,
to its end, and what both runs said is compared with what is on disk.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import require

from brakeline.agent.limits import DiskReserve
from brakeline.agent.memory import Memory
from brakeline.agent.spool import Spool

PROGRAM = Path(__file__).with_name("crashing.py")
CALLS = "fsync,rename,unlink,unlinkat,mkdir,rmdir"
POINTS_MAX = 120


def run(directory: Path, what: str, kill_at: int | None) -> tuple[list[list[str]], bool]:
    """What it said, and whether it was killed."""
    command = [sys.executable, "-P", str(PROGRAM), str(directory), what]
    if kill_at is not None:
        # Only calls below the test's directory count: Python itself makes and removes nothing there.
        command = [
            "strace", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", f"trace={CALLS}",
            "-e", f"inject={CALLS}:signal=KILL:when={kill_at}", *command,
        ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 137, -9), done.stderr
    return [line.split() for line in done.stdout.splitlines()], done.returncode != 0


def every_point(tmp_path: Path, what: str) -> list[tuple[Path, list[list[str]], list[list[str]]]]:
    """(directory, said before the kill, said by the second run) for each kill point."""
    require(shutil.which("strace"), "strace")
    lives = []
    for point in range(1, POINTS_MAX):
        directory = tmp_path / str(point)
        directory.mkdir()
        before, killed = run(directory, what, point)
        if not killed:
            break
        after, _ = run(directory, what, None)
        lives.append((directory, before, after))
    else:
        pytest.fail(f"more than {POINTS_MAX} points: raise the bound")
    assert len(lives) >= 4, "the program was hardly ever killed: is strace able to inject here?"
    return lives


def test_what_was_spooled_is_there_and_what_was_forgotten_stays_away(tmp_path: Path) -> None:
    for directory, before, _ in every_point(tmp_path, "spool"):
        box = Spool(directory / "spool", DiskReserve(directory / "reserve"))
        forgotten = {line[1] for line in before if line[0] == "forgotten"}
        # The second run spooled everything again, so look at what only the first one can have left: the order holds.
        kept = {line[1] for line in before if line[0] == "spooled"} - forgotten
        assert kept - {t for t in kept if t.endswith("01")} <= set(box.pending())
        assert not (directory / "spool" / "unreadable").exists()
        assert box.batch(box.pending()).count(b"transaction_id") == len(box.pending())


def test_a_spooled_result_is_readable_right_after_the_kill(tmp_path: Path) -> None:
    """Without a second run that could repair anything."""
    require(shutil.which("strace"), "strace")
    for point in range(1, POINTS_MAX):
        directory = tmp_path / str(point)
        directory.mkdir()
        said, killed = run(directory, "spool", point)
        if not killed:
            return
        box = Spool(directory / "spool", DiskReserve(directory / "reserve"))
        forgetting = sum(line[0] == "spooled" for line in said) == 4
        safe = {line[1] for line in said if line[0] == "spooled"}
        lost = safe - set(box.pending())
        assert len(lost) <= (1 if forgetting else 0), f"point {point}: {lost} of {said}"
        assert box.batch(box.pending()).count(b'"outcome"') == len(box.pending())


def test_a_result_that_is_set_aside_is_in_one_place_or_the_other(tmp_path: Path) -> None:
    require(shutil.which("strace"), "strace")
    for point in range(1, POINTS_MAX):
        directory = tmp_path / str(point)
        directory.mkdir()
        said, killed = run(directory, "aside", point)
        waiting = {p.stem for p in (directory / "spool").glob("tx_*.json")}
        refused = {p.stem for p in (directory / "spool" / "refused").glob("tx_*.json")}
        assert not waiting & refused
        assert {line[1] for line in said if line[0] == "spooled"} <= waiting | refused
        assert {line[1] for line in said if line[0] == "aside"} <= refused
        if not killed:
            assert point > 8
            return
    pytest.fail(f"more than {POINTS_MAX} points: raise the bound")


def test_no_counter_is_ever_used_twice(tmp_path: Path) -> None:
    for _, before, after in every_point(tmp_path, "counter"):
        numbers = [int(line[1]) for line in before + after]
        assert numbers == sorted(set(numbers))


def test_state_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    require(shutil.which("strace"), "strace")
    for point in range(1, POINTS_MAX):
        directory = tmp_path / str(point)
        directory.mkdir()
        said, killed = run(directory, "memory", point)
        if not killed:
            assert point > 4
            return
        saved = [int(line[1]) for line in said]
        found = Memory(directory / "state.json").load().inventory_sequence
        assert found in (max(saved, default=0), max(saved, default=0) + 1)


@pytest.mark.long
def test_the_helper_begins_each_offer_once_over_any_number_of_deaths(tmp_path: Path) -> None:
    """`began` may be missing (killed in between), then it is taken up; after `ended` it never begins again."""
    for _, before, after in every_point(tmp_path, "helper"):
        ended = {line[1] for line in before if line[0] == "ended"}
        again = {line[1] for line in after if line[0] == "began"}
        assert not ended & again
        for line in [*before, *after]:
            if line[0] == "began":
                assert sum(x == line for x in after) <= 1
