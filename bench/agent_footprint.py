"""The agent's footprint: idle PSS (<= 20 MiB), idle CPU (<= 0.01 % of a core), start to first check-in (<= 0.3 s).

The built zipapp runs under `/usr/bin/python3 -I` against a small cell over real TLS on this machine. Start is the
median of STARTS, from exec to the check-in's arrival. Check-ins are made at an interval of 1 s with the long-poll
held, and their CPU is spread over 60 s; the renewal of the secret (one Ed25519 signature in 13 minutes) is added.
Scans, children at nice 19, are measured full, quick and skipped on this machine's own packages; idle CPU is a day of
check-ins with one full look, quick ones each 6 h, and skipped ones each 900 s (docs/explanation/agent.md). What a
refresh of the lists costs is apt's and not included. `--json FILE`.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support_cell import TOKEN, Cell, Pki, serving

from bench._proc import cpu_s, pss_mib, report
from brakeline.agent import stamp
from brakeline.agent.rescan import FULL_S_MAX, QUICK_S_MAX
from brakeline.protocol.messages import Settings
from brakeline.releases import zipapp
from brakeline.trust import ed25519

PYTHON = "/usr/bin/python3"
STARTS = 7
CHECK_INS = 60
RENEWALS_A_DAY = 86_400 / 780
MESSAGE = b"m" * 300
DAY_S = 86_400
FULL_LOOKS, QUICK_LOOKS, STAMPS = 3, 7, 200


class Agent:
    """The zipapp in a directory of its own."""

    def __init__(self, home: Path, cell: Cell, pki: Pki) -> None:
        self.cell = cell
        (home / "agent.pyz").write_bytes(zipapp.build())
        self.base = [PYTHON, "-I", str(home / "agent.pyz")]
        self.where = ["--config", str(home / "agent.json"), "--state", str(home / "state")]
        enrol = ["enrol", "--server", cell.url, "--token", TOKEN, "--ca", str(pki.ca_file)]
        subprocess.run([*self.base, *enrol, *self.where], check=True, capture_output=True)

    def start(self) -> tuple[subprocess.Popen[bytes], float, float]:
        """The process, and wall and CPU seconds until its first check-in has arrived."""
        before = len(self.cell.check_ins)
        begun = time.monotonic()
        process = subprocess.Popen([*self.base, "run", *self.where], stdout=subprocess.DEVNULL)
        self.cell.wait_until(lambda c: len(c.check_ins) > before)
        return process, time.monotonic() - begun, cpu_s([process.pid])


def look_s(agent: Agent, *options: str, times: int) -> float:
    """CPU-seconds of one `scan` child with all its children: the median."""
    spent = []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*agent.base, "scan", *options, *agent.where], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(spent)


def a_day_s(full_s: float, quick_s: float, skipped_s: float) -> float:
    """CPU-seconds that scans cost in a day on which nothing changes, at default settings."""
    scans, full = DAY_S / Settings().inventory_interval_s, DAY_S / FULL_S_MAX
    quick = DAY_S / QUICK_S_MAX - full
    return full * full_s + quick * quick_s + scans * skipped_s


def milliseconds(work: object, times: int) -> float:
    assert callable(work)
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) * 1000 / times


def measure(agent: Agent) -> list[tuple[str, object, str]]:
    starts, spent = [], []
    for _ in range(STARTS):
        process, seconds, cpu = agent.start()
        starts.append(seconds)
        spent.append(cpu)
        process.kill()
        process.wait()
    process, _, _ = agent.start()
    cell = agent.cell
    cell.wait_until(lambda c: c.inventories and c.check_ins[-1].inventory_sequence == 1, 120)
    scan_s = cpu_s([process.pid])
    time.sleep(2)
    memory = pss_mib([process.pid])
    cell.say(settings=Settings(check_in_interval_s=1))
    cell.wait_until(lambda c: c.requests[-2:] == ["check-in", "check-in"])
    time.sleep(1.5)
    first, before = len(cell.check_ins), cpu_s([process.pid])
    cell.wait_until(lambda c: len(c.check_ins) >= first + CHECK_INS, CHECK_INS * 3.0)
    each_ms = (cpu_s([process.pid]) - before) * 1000 / (len(cell.check_ins) - first)
    process.terminate()
    process.wait(10)
    seed = bytes(32)
    public, signature = ed25519.public_key(seed), ed25519.sign(seed, MESSAGE)
    sign_ms = milliseconds(lambda: ed25519.sign(seed, MESSAGE), 200)
    spoken_s = each_ms / 1000 * 1440 + sign_ms / 1000 * RENEWALS_A_DAY
    full_s = look_s(agent, "--full", times=FULL_LOOKS)
    quick_s = look_s(agent, "--base", "1", "--sequence", "2", times=QUICK_LOOKS)
    stamp_ms = milliseconds(lambda: stamp.take("1"), STAMPS)
    scans_s = a_day_s(full_s, quick_s, stamp_ms / 1000)
    former_s = DAY_S / Settings().inventory_interval_s * full_s
    return [
        ("start to first check-in, s (median)", statistics.median(starts), "budget 0.3"),
        (
            "the same in CPU-seconds (mean)",
            statistics.mean(spent),
            "at nice 19 the wall clock depends on the neighbours",
        ),
        ("idle PSS, MiB", memory, "budget 20, aim 12"),
        ("CPU of one check-in, ms", each_ms, f"over {CHECK_INS}, kernel ticks of 10 ms"),
        ("CPU at a check-in each 60 s, %", spoken_s / DAY_S * 100, "renewals of the secret included"),
        ("full look, CPU-s", full_s, "when dpkg, lists or settings changed; once a day"),
        ("quick look, CPU-s", quick_s, "when the rest changed; each 6 h"),
        ("skipped scan, CPU-ms", stamp_ms, "each 900 s"),
        ("idle CPU, scans included, %", (spoken_s + scans_s) / DAY_S * 100, "budget 0.01"),
        ("the same if each scan were full, %", (spoken_s + former_s) / DAY_S * 100, ""),
        ("CPU of start and first scan, s", scan_s, "scan in a child at nice 19"),
        ("Ed25519 sign, ms", sign_ms, "pure Python"),
        ("Ed25519 verify, ms", milliseconds(lambda: ed25519.verify(public, MESSAGE, signature), 200), "pure Python"),
        ("zipapp, KiB", len(zipapp.build()) / 1024, ""),
    ]


def main(argv: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="bl-agent-") as folder:
        home = Path(folder)
        pki = Pki(home)
        with serving(Cell(), pki) as cell:
            report(measure(Agent(home, cell, pki)), argv)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1:])
