"""A second launcher on the same root, and one that is stopped in the middle of a trial for longer than it has patience.

The system's clock runs on while processes are stopped (SIGSTOP, a debugger, a hypervisor's pause), as it does not while
a machine sleeps: to a launcher that comes to, everything seems late. It hears what was said meanwhile before it judges.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.support_launcher import GOOD, HEALTHY, PYTHON, RAN, READY, SAY, STAY, Endpoint, release_bytes

from brakeline.launcher.records import SLOTS
from brakeline.launcher.shell import ANOTHER

READY_S, STOPPED_S = 1.5, 4.0
WAITS = SAY + RAN + 'while not os.path.exists(os.environ["HOME"] + "/go"):\n    time.sleep(0.02)\n'


def record_files(host: Endpoint) -> list[tuple[bytes, int]]:
    """What the record's two slots hold, and when it was written."""
    return [(path.read_bytes(), path.stat().st_mtime_ns) for path in (host.root / name for name in SLOTS)]


def offer(host: Endpoint, version: str, program: str, sequence: int) -> str:
    release_id = host.cell.repository.publish(version, release_bytes(version, program, sequence), sequence)
    host.cell.repository.offer(release_id)
    return release_id


def test_a_second_launcher_ends_and_the_first_goes_on(host: Endpoint) -> None:
    """A unit beside one that somebody has started by hand: neither two releases nor two writers."""
    baseline = host.prepare(release_bytes("1.0.0"))
    host.start()
    host.until(lambda: (run := host.record().run) is not None and run.ready, what="ready, and written down")
    before, running = record_files(host), host.left()
    places = ["--root", str(host.root), "--etc", str(host.etc), "--home", str(host.home)]
    second = subprocess.run(
        [PYTHON, "-I", str(host.program), "run", *places], capture_output=True, text=True, timeout=20, check=False
    )
    assert second.returncode == ANOTHER, second.stderr
    assert "another launcher runs here already" in second.stderr
    assert record_files(host) == before
    assert (host.left(), len(running), host.runs("1.0.0")) == (running, 1, 1)
    two = offer(host, "2.0.0", GOOD, 2)
    host.until_confirmed(two)
    assert host.process is not None
    assert host.process.poll() is None
    assert host.record().last_known_good == baseline


@pytest.mark.parametrize("who", ["the launcher alone", "the launcher and the release"])
def test_stopped_in_a_trial_for_longer_than_ready_may_take_no_good_release_is_lost(host: Endpoint, who: str) -> None:
    """The launcher alone: what the release has said meanwhile counts, at its first try. Both: to the clock it was late,
    which costs one execution of the three; the next confirms it.
    """
    host.knobs |= {"ready_s": READY_S}
    baseline = host.prepare(release_bytes("1.0.0"))
    two = offer(host, "2.0.0", WAITS + READY + HEALTHY + STAY, 2)
    host.start()
    host.until(lambda: host.runs("2.0.0") == 1, what="the release on probation")
    assert host.process is not None
    stopped = [host.process.pid] + (
        [int(line.split()[1]) for line in host.left()] if who != "the launcher alone" else []
    )
    began = time.monotonic()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    host.until(lambda: all(state(pid) == "T" for pid in stopped), 5, "stopped")
    assert host.report().trial == two, "this machine is too slow: it was given up before"
    (host.home / "go").touch()
    time.sleep(STOPPED_S)
    assert time.monotonic() - began > READY_S + 2
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    host.until_confirmed(two)
    record, end = host.record(), host.report().last_trial
    assert (record.quarantined, record.last_known_good) == ((), baseline)
    assert end is not None
    assert end.outcome == "confirmed"
    assert end.runs == host.runs("2.0.0") <= (1 if who == "the launcher alone" else 2)


def state(pid: int) -> str:
    """Of a process, in one letter: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
