"""Agent and launcher under Windows' CPython in wine: start to first check-in, memory. **Of wine, not of Windows.**

A real server on this machine, one endpoint enrolled with it. Start is from the launcher's exec until its log has the
agent's *checked in*, median of STARTS; so it holds the launcher's look, the hashing of the release and two starts of
Python. Beside each figure stands a bare interpreter in the same wine, which is most of it. `--json FILE`.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support_windows import Machine
from tests.support_windows_agent import AgentOnWindows, enrolled

from bench._proc import pss_mib, report

STARTS = 5
WAITS = 'print("up", flush=True)\nimport sys\nsys.stdin.read()\n'


def first_check_in_s(host: AgentOnWindows) -> float:
    """One start of a launcher that was killed before."""
    host.stop()
    host.until(lambda: not host.left(), 20)
    said, began = host.log().count("checked in"), time.monotonic()
    host.start()
    while host.log().count("checked in") == said:
        assert time.monotonic() - began < 60, host.log()[-2000:]
        time.sleep(0.02)
    return time.monotonic() - began


def bare(machine: Machine, imports: str = "") -> tuple[float, float]:
    """(seconds until an interpreter says something, its PSS in MiB)."""
    began = time.monotonic()
    process = subprocess.Popen(
        machine.python("-I", "-c", imports + WAITS), env=machine.environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    seconds, mib = time.monotonic() - began, pss_mib([process.pid])
    process.communicate(timeout=20)
    return seconds, mib


def main(arguments: list[str]) -> int:
    place = Path(tempfile.mkdtemp(prefix="brakeline-bench-wine-"))
    machine = Machine(place / "prefix")
    try:
        machine.make()
        with enrolled(machine) as world:
            starts = [first_check_in_s(world.host) for _ in range(STARTS)]
            time.sleep(5)
            (agent,) = world.host.pids()
            assert world.host.process is not None
            memory = pss_mib([agent]), pss_mib([world.host.process.pid])
            alone = [bare(machine) for _ in range(STARTS)]
            ssl = [bare(machine, "import ssl, http.client, json, ctypes\n") for _ in range(STARTS)]
        rows = [
            ("start to first check-in", statistics.median(starts), "s, of wine"),
            ("start of a bare interpreter", statistics.median(s for s, _ in alone), "s, of wine"),
            ("start of one with ssl, http, json, ctypes", statistics.median(s for s, _ in ssl), "s, of wine"),
            ("agent", memory[0], "MiB PSS, of wine"),
            ("launcher", memory[1], "MiB PSS, of wine"),
            ("bare interpreter", statistics.median(m for _, m in alone), "MiB PSS, of wine"),
            ("one with ssl, http, json, ctypes", statistics.median(m for _, m in ssl), "MiB PSS, of wine"),
        ]
        report(rows, arguments)
        return 0
    finally:
        machine.power_cut()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
