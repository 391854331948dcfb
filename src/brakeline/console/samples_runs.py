"""States of an endpoint's runs and changes, for the twin and the specimens."""

# ruff: noqa: E501 - one line per sample reads better
from __future__ import annotations

from typing import Final

from brakeline.console.present_runs import NOTHING
from brakeline.console.views import Badge, Link, Tone
from brakeline.console.views_runs import (
    ChangeRow,
    ChangesView,
    CommandRow,
    OutputRow,
    PlaceRow,
    RunRow,
    RunShown,
    RunsView,
)

_OCTOBER = Link("openssl, October", "/rollouts/ro_1")
_RUNNING = Badge("▶", "running", Tone.INFO)
_APT = "apt-get -q -c /var/lib/brakeline-helper/tx/tx_01/apt.conf install libssl3:amd64=3.0.17-1~deb12u2 openssl:amd64=3.0.17-1~deb12u2"
_OUTPUT = (
    OutputRow(1, "19:10:58", "said", "Waiting for nobody: the locks are free."),
    OutputRow(2, "19:10:58", "command", "$ apt-get -q --download-only install libssl3:amd64=3.0.17-1~deb12u2"),
    OutputRow(3, "19:11:01", "output", "Get:1 https://***@deb.example/debian-security bookworm-security/main amd64 libssl3 amd64 3.0.17-1~deb12u2 [2,033 kB]"),
    OutputRow(4, "19:11:02", "exit", "exit code 0 after 3.90 s"),
    OutputRow(5, "19:11:02", "command", f"$ {_APT}"),
    OutputRow(6, "19:11:03", "output", "Unpacking libssl3:amd64 (3.0.17-1~deb12u2) over (3.0.15-1~deb12u1) ..."),
    OutputRow(7, "19:11:04", "dropped", "214 lines are not here: too much or too fast to be kept; the package manager's own log on the endpoint has it"),
    OutputRow(8, "19:11:05", "output", "Setting up libssl3:amd64 (3.0.17-1~deb12u2) ..."),
)  # fmt: skip
_COMMANDS = (
    CommandRow(1, "apt-get -q --download-only install libssl3:amd64=3.0.17-1~deb12u2", "19:10:58", "3.90 s", Badge("✓", "0", Tone.OK), "1"),
    CommandRow(2, _APT, "19:11:02", "", Badge("▶", "runs, or was cut off", Tone.INFO), "2"),
)  # fmt: skip
_ROWS = (
    RunRow(Link("tx_01JD0000000000000000000001", "/endpoints/ep_01/runs?q=tx_01"), _RUNNING, _OCTOBER, "12 s ago", "12.0 s", True),
    RunRow(Link("tx_01JC0000000000000000000007", "/endpoints/ep_01/runs?q=tx_00"), Badge("✕", "failed", Tone.BAD), Link("curl, September", "/rollouts/ro_0"), "31 d ago", "41.2 s", False),
)  # fmt: skip
_SHOWN = RunShown(
    "tx_01JD0000000000000000000001", _OCTOBER, _RUNNING, "began 12 s ago, 2 commands, 3 lines of output", "",
    "214 lines came too fast or were too many, and were left out where they happened.", _COMMANDS, _OUTPUT, "",
    "/api/v1/endpoints/ep_01/runs/tx_01",
)  # fmt: skip
RUNS: Final = RunsView(
    _ROWS, _SHOWN,
    (
        PlaceRow(_OCTOBER, Badge("▶", "started", Tone.INFO), "", stop_action="/endpoints/ep_01/rollouts/ro_1/stop"),
        PlaceRow(Link("curl, October", "/rollouts/ro_2"), Badge("✕", "failed", Tone.BAD), "no_space: Too little disk space on /.", retry_action="/endpoints/ep_01/rollouts/ro_2/retry"),
    ),
)  # fmt: skip
NO_RUNS: Final = RunsView((), None, (), NOTHING)
CHANGES: Final = ChangesView(
    "2026-11-01", "2026-11-26", False,
    (
        ChangeRow(Badge("·", "changed", Tone.IDLE), "libssl3", "amd64", "3.0.15-1~deb12u1", "3.0.17-1~deb12u2", "19:11:30", _OCTOBER),
        ChangeRow(Badge("+", "installed", Tone.INFO), "htop", "amd64", "", "3.2.2-2", "2026-11-12 08:02", Link("outside of Brakeline", "")),
        ChangeRow(Badge("–", "removed", Tone.WARN), "telnet", "amd64", "0.17+2.4-2", "", "2026-11-09 14:31", Link("outside of Brakeline", "")),
    ),
    "3 changes", ("The history of this endpoint begins within the span; nothing is known of before.",),
    "/api/v1/endpoints/ep_01/changes?format=csv", "/api/v1/endpoints/ep_01/changes?format=ndjson",
)  # fmt: skip
NO_CHANGES: Final = ChangesView(
    "2026-13-01", "", True, (), "0 differences", (), "#", "#", "a day is written like 2026-11-26, not '2026-13-01'"
)
