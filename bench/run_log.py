"""What a run log costs: CPU-seconds of a transaction's process for the lines that it keeps, of the agent for sending.

A job prints LINES lines as dpkg does, once into a file alone and once with a `RunRecord` that follows it; the
difference is the record's (children are not in it). Then the log is copied and encoded as the agent does, and read
back. `--json FILE`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench._proc import report
from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.run_entries import RUN
from brakeline.agent.run_record import RunRecord
from brakeline.agent.run_spool import RunSpool
from brakeline.agent.transactions import RUN_ANSWER_BYTES
from brakeline.protocol.codec import decode
from brakeline.protocol.messages import RunPart

LINES = 900  # within the burst, so that each is kept
FLOOD = 500_000
LINE = "Setting up libexample-perl (1.2.3-4+deb12u1) over an older one ..."
TX, OFFER = "tx_01JD0000000000000000000001", "of_01JD0000000000000000000001"


def cpu(what: Callable[[], object]) -> float:
    """CPU-seconds of this process; the least of five."""
    spent = []
    for _ in range(5):
        began = time.process_time()
        what()
        spent.append(time.process_time() - began)
    return min(spent)


def printing(directory: Path, lines: int, *, recorded: bool) -> None:
    record = RunRecord(directory / RUN, SystemClock()) if recorded else None
    Machine(record=record).job("sh", "-c", f"yes '{LINE}' | head -n {lines}", timeout_s=600)


def sending(directory: Path, spool_directory: Path) -> None:
    """As the loop does: copy what is new, encode it part by part, forget it."""
    data = (directory / RUN).read_bytes()

    def ask(_: str, begin: int) -> tuple[str, int]:
        piece = data[begin : begin + RUN_ANSWER_BYTES]
        whole = piece[: piece.rfind(b"\n") + 1]
        return whole.decode(), begin + len(whole)

    spool, following, whole = RunSpool(spool_directory), 1, False
    spool.take(TX, OFFER, ask, ended=True)
    while not whole:
        body, whole = spool.part(TX, OFFER, following, 1, running=False)
        following = decode(RunPart, body).entries[-1].n + 1
    spool.forget(TX)


def main(argv: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)

        def fresh(lines: int) -> Callable[[], None]:
            def run() -> None:
                (place / RUN).unlink(missing_ok=True)
                printing(place, lines, recorded=True)

            return run

        plain, kept = cpu(lambda: printing(place, LINES, recorded=False)), cpu(fresh(LINES))
        sent = cpu(lambda: sending(place, place / "runs"))
        flood_plain, flood = cpu(lambda: printing(place, FLOOD, recorded=False)), cpu(fresh(FLOOD))
        size = (place / RUN).stat().st_size
    report(
        [
            (f"record {LINES} lines, CPU-s", round(kept - plain, 4), f"{(kept - plain) / LINES * 1e6:.0f} µs a line"),
            ("copy, encode and read them back, CPU-s", round(sent, 4), f"{sent / LINES * 1e6:.0f} µs a line"),
            (f"a flood of {FLOOD:,} lines, CPU-s more than without", round(flood - flood_plain, 3), "bounded"),
            ("… of which its log keeps, KiB", size // 1024, "at most 1,024"),
        ],
        argv,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
