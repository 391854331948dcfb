"""A restart of services is judged some seconds later, by what systemd says then."""

from __future__ import annotations

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
