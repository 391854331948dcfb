"""A restart of services is judged some seconds later, by what systemd says then."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pytest

from brakeline.agent.providers.apt.runner import Ran
from brakeline.agent.providers.apt.services import SETTLE_S, Services

States = list[tuple[str, str]]  # (ActiveState, NRestarts) after each pause; the first before any


class Systemd:
    """A runner that knows one service, whose state changes with every pause."""

    def __init__(self, root: Path, states: States) -> None:
        (root / "run/systemd/system").mkdir(parents=True)
        self.root, self.states, self.paused, self.restarts = root, states, list[float](), 0

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)

    def query(self, *command: str, timeout_s: float = 60.0) -> Ran:
        state, count = self.states[len(self.paused) if self.restarts else 0]
        if command[1] == "restart":
            self.restarts += 1
        return Ran(0, {"--property=ActiveState": state, "--property=NRestarts": count}.get(command[2], "") + "\n")

    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        raise AssertionError(command)

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")


@pytest.mark.parametrize(
    ("states", "stays"),
    [
        ([("active", "0"), ("active", "0")], True),
        ([("active", "0"), ("failed", "0")], False),
        ([("active", "0"), ("active", "3")], False),
        ([("active", "0"), ("activating", "1")], False),
        ([("active", "0"), ("active", "")], True),  # a systemd that counts no restarts
    ],
)
def test_what_ends_soon_after_its_restart_has_not_come_back(tmp_path: Path, states: States, stays: bool) -> None:
    systemd = Systemd(tmp_path, states)
    good, bad = Services(systemd, pause=systemd.pause).restart(["badd.service"])
    assert (good, bad) == ((("badd.service",), ()) if stays else ((), ("badd.service",)))
    assert (systemd.restarts, systemd.paused) == (1, [SETTLE_S])


def test_what_does_not_run_is_neither_restarted_nor_waited_for(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path, [("inactive", "0")])
    assert Services(systemd, pause=systemd.pause).restart(["off.service"]) == ((), ())
    assert (systemd.restarts, systemd.paused) == (0, [])


LIBRARY = "/usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)"
IN_A_SERVICE = "0::/system.slice/web.service\n"
OF_A_PERSON = "0::/user.slice/user-1000.slice/session-1.scope\n"


def process(root: Path, pid: int, cgroup: str, filler: int = 0) -> None:
    """One that maps `filler` files of long names, and behind them a deleted library."""
    place = root / f"proc/{pid}"
    place.mkdir(parents=True)
    (place / "root").symlink_to(root)
    (place / "cgroup").write_text(cgroup)
    (place / "comm").write_text("web\n")
    with open(place / "maps", "w") as maps:
        for n in range(filler):
            maps.write(f"7f01-7f02 r-xp 00000000 fe:00 {n + 1} /srv/{'x' * 3000}\n")
        maps.write(f"7f01-7f02 r-xp 00000000 fe:00 1234 {LIBRARY}\n")


def test_a_process_that_maps_very_much_costs_no_memory(tmp_path: Path) -> None:
    process(tmp_path, 41, IN_A_SERVICE, filler=4000)
    services = Services(Systemd(tmp_path, []))
    tracemalloc.start()
    try:
        (found,) = services.stale()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1024 * 1024, "its maps are 12 MB"
    assert (found.pid, found.unit, found.path) == (41, "web.service", LIBRARY.removesuffix(" (deleted)"))


def test_old_code_is_looked_for_where_something_follows_from_it(tmp_path: Path) -> None:
    """In services and in PID 1; what people run is neither restarted nor a reason."""
    process(tmp_path, 1, "0::/init.scope\n")
    process(tmp_path, 41, IN_A_SERVICE)
    process(tmp_path, 42, OF_A_PERSON)
    assert [s.pid for s in Services(Systemd(tmp_path, [])).stale()] == [1, 41]
