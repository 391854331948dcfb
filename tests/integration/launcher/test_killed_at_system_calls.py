"""The real launcher killed, or refused, at the n-th write, sync, rename, exec or connect; then started again.

strace kills whichever of the launcher's processes makes the call: the supervisor, the look, or the release. What is
left is ended as the service manager would, and the launcher starts again untouched. No hand is ever needed.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import time

import pytest
from tests.support import require
from tests.support_launcher import GOOD, RAN, SAY, Endpoint, release_bytes

CRASHES = SAY + RAN + 'sys.exit("it crashed")\n'
CALLS = {
    "write": (2, 5, 9),
    "fsync": (1, 3, 6),
    "fdatasync": (1, 2, 4),
    "rename": (1, 2),
    "execve": (1, 2),
    "connect": (1,),
}
POINTS = [(call, n) for call, several in CALLS.items() for n in several]
ERRORS = [(call, error) for call in ("fsync", "fdatasync", "rename") for error in ("ENOSPC", "EIO", "EROFS", "EACCES")]
STRUCK_S = 5.0  # long enough for a look, an install and a start under strace


def strike(host: Endpoint, call: str, how: str) -> None:
    """Run the launcher for a while with the fault, end everything, take the fault away."""
    host.wrap = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", f"trace={call}",
                 "-e", f"inject={call}:{how}")  # fmt: skip
    host.start()
    assert host.process is not None
    until = time.monotonic() + STRUCK_S
    while time.monotonic() < until and host.process.poll() is None:
        time.sleep(0.05)
    with contextlib.suppress(AssertionError):
        host.stop(signal.SIGKILL)
    host.wrap, host.process = (), None


def prepared(host: Endpoint, program: str) -> tuple[str, str]:
    require(shutil.which("strace"), "strace: kills a program at its n-th system call")
    baseline = host.prepare(release_bytes("1.0.0"))
    update = host.cell.repository.publish("2.0.0", release_bytes("2.0.0", program, 2), 2)
    host.cell.repository.offer(update)
    return baseline, update


@pytest.mark.long
@pytest.mark.parametrize(("call", "n"), POINTS)
def test_a_good_release_is_not_lost(host: Endpoint, call: str, n: int) -> None:
    baseline, update = prepared(host, GOOD)
    strike(host, call, f"signal=KILL:when={n}")
    host.start()
    host.until_confirmed(update)
    assert host.report().last_known_good == baseline


@pytest.mark.long
@pytest.mark.parametrize(("call", "n"), POINTS)
def test_a_crashing_release_runs_three_times_at_most(host: Endpoint, call: str, n: int) -> None:
    baseline, update = prepared(host, CRASHES)
    strike(host, call, f"signal=KILL:when={n}")
    host.start()
    host.until_quarantined(update)
    host.until_running(baseline)
    assert host.runs("2.0.0") <= 3


@pytest.mark.long
@pytest.mark.parametrize(("call", "error"), ERRORS)
def test_a_disk_that_refuses_stops_no_good_release(host: Endpoint, call: str, error: str) -> None:
    _, update = prepared(host, GOOD)
    strike(host, call, f"error={error}:when=1+")
    assert host.runs("1.0.0") + host.runs("2.0.0") >= 1, host.log()[-2000:]
    host.start()
    host.until_confirmed(update)
