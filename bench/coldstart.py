"""Embedded server: empty disk to serving (aim <= 3 s), again to serving, and memory when idle (aim <= 150 MiB).

Starts `brakeline server run` on an empty data directory RUNS times, waits for its ready line, lets it idle, reads the
proportional memory of its whole tree, stops it, starts it once more on the same directory.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.ports import free_port

from bench._proc import cpu_s, pss_mib, python, report, tree

RUNS = 5
IDLE_S = 6  # past the first reconcilers


def start(data: Path) -> tuple[subprocess.Popen[str], float, float]:
    """The running server, seconds until its ready line, CPU-seconds until then."""
    begun = time.monotonic()
    command = [python(), "-m", "brakeline.cli", "server", "run", "--data", str(data), "--port", str(free_port())]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith("ready "):
            return server, time.monotonic() - begun, cpu_s(tree(server.pid))
    raise SystemExit(f"the server ended with {server.wait()} before it was ready")


def stop(server: subprocess.Popen[str]) -> float:
    begun = time.monotonic()
    server.send_signal(signal.SIGTERM)
    code = server.wait(timeout=30)
    assert code == 0, code
    return time.monotonic() - begun


def main(argv: list[str]) -> None:
    cold, warm, cpu, memory, end = [], [], [], [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(prefix="bl-cold-") as folder:
            Path(folder).chmod(0o755)
            data = Path(folder) / "data"
            server, seconds, spent = start(data)
            cold.append(seconds)
            cpu.append(spent)
            time.sleep(IDLE_S)
            memory.append(pss_mib(tree(server.pid)))
            end.append(stop(server))
            server, seconds, _ = start(data)
            warm.append(seconds)
            end.append(stop(server))
    report(
        [
            (
                "empty disk to ready, s, median",
                statistics.median(cold),
                f"aim <= 3; {[round(x, 2) for x in cold]}",
            ),
            ("CPU until ready, s, median", statistics.median(cpu), "server and PostgreSQL"),
            ("again to ready, s, median", statistics.median(warm), "aim <= 1.5"),
            ("idle memory, MiB PSS, median", statistics.median(memory), "aim <= 150; server and PostgreSQL"),
            ("SIGTERM to end, s, worst", max(end), "limit 5"),
        ],
        argv,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
