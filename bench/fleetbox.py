"""What six real endpoints cost: boot, memory, power cut, boot again, removal. From cached layers; wall-clock seconds.

Needs root and the packages of tools/debian-packages.txt. `--endpoints N` (default 6), `--json FILE`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from tools.fleetbox import cgroups, fleet, rootfs, sweep
from tools.fleetbox.settings import Place, place

from bench._proc import report


def timed(act: Callable[[], object]) -> float:
    """Wall-clock seconds of `act`."""
    started = time.monotonic()
    act()
    return time.monotonic() - started


def silent(_text: str) -> None:
    """The verbs' own progress is not wanted here."""


def measure(where: Place, endpoints: int) -> list[tuple[str, object, str]]:
    """One fleet, up and down, with the figures in between."""
    note = f"s, {endpoints} endpoints"
    cold = timed(lambda: rootfs.ensure(where, silent))
    up = timed(lambda: fleet.up(where, fleet.Wish(endpoints, ("eu", "us"), None, "systemd"), silent))
    try:
        memory = [cgroups.memory_mib(where.namespace(line.name)) for line in fleet.listing(where)]
        cut = timed(lambda: fleet.power_cut(where, "eu1"))
        again = timed(lambda: fleet.start(where, "eu1"))
    finally:
        down = timed(lambda: fleet.down(where))
    return [
        ("layers (built if they were not cached)", cold, "s"),
        ("up: start to every systemd 'running'", up, note),
        ("memory of one endpoint", sum(memory) / len(memory), "MiB of its control group"),
        ("power cut of one", cut, "s"),
        ("boot after it", again, "s"),
        ("down", down, note),
        ("left behind", len(sweep.leftovers(where)), "things; must be 0"),
    ]


if __name__ == "__main__":
    arguments = sys.argv[1:]
    count = int(arguments[arguments.index("--endpoints") + 1]) if "--endpoints" in arguments else 6
    report(measure(place(f"b{os.getpid() % 100_000}"), count), arguments)
