"""The root helper's own judgement of an order to restart this machine, and its record of those it followed. Durable.

What no order can widen: nothing is restarted unless root has written a number into `restart.json` beside the agent's
configuration; never more often than that in a day; never soon after a start (a machine that starts again and again is
left alone); never while a package transaction runs; never against a user who is logged in or an inhibitor. An order is
for one boot, so whatever happens it is followed once. The record is on disk before the machine goes down. Next:
`helper`, which verifies the order's signature first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from brakeline.agent.files import write_durably
from brakeline.protocol.messages import RESTARTS_A_DAY_MAX, RestartOrder

RESTART_FILE: Final = "restart.json"  # beside agent.json: an older release must not stumble over a key that it lacks
A_DAY_MAX: Final = RESTARTS_A_DAY_MAX  # whatever the file says
SETTLED_S: Final = 600.0  # since the last start
DAY_MS: Final = 86_400_000
KEPT: Final = 32  # lines of the record: more than a day's
REBOOT: Final = ("systemctl", "reboot", "--no-wall", "--check-inhibitors=yes")
REBOOT_S_MAX: Final = 20


def restarts_a_day(config_path: Path) -> int:
    """How many restarts by order this endpoint allows in a day. No file, or one that makes no sense: none."""
    try:
        plain = json.loads(config_path.with_name(RESTART_FILE).read_bytes())
        number = plain["restarts_a_day"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return min(number, A_DAY_MAX) if type(number) is int and number > 0 else 0


@dataclass(frozen=True, slots=True)
class No:
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine as far as a restart goes. `reboot` gives "" or why it did not begin."""

    boot_id: str
    up_s: Callable[[], float]
    reboot: Callable[[], str]


class Reboots:
    """Orders that were followed, newest last: `reboots` in the helper's state directory, a line each.

    `a_day`: root's own number, asked at each order: who writes it need not know that a helper may be waiting.
    """

    def __init__(self, state_dir: Path, a_day: Callable[[], int], machine: Machine) -> None:
        self._record, self._a_day, self._machine = state_dir / "reboots", a_day, machine

    def follow(self, order: RestartOrder, now_ms: int, *, busy: bool, a_day: int = A_DAY_MAX) -> No | None:
        """Restart, or say why not. The same order again, while the machine is on its way down, is followed again.

        `a_day`: what the endpoint's settings allow; root's own number stands below it.
        """
        done, allowed = self._done(), self._a_day()
        most = min(allowed, a_day)
        again = bool(done) and done[-1][1] == order.boot_id
        if not allowed:
            return No("not_allowed", f"this machine allows no restart by order ({RESTART_FILE} beside its agent.json)")
        refused = self._judge(order, now_ms, busy, [ms for ms, _ in done], most=None if again else most)
        if refused is not None:
            return refused
        if not again:
            self._write([*done, (now_ms, order.boot_id)])
        problem = self._machine.reboot()
        return No("inhibited", problem) if problem else None

    def _judge(self, order: RestartOrder, now_ms: int, busy: bool, done: list[int], most: int | None) -> No | None:
        """`most` None = it was counted already."""
        if order.boot_id != self._machine.boot_id:
            return No("other_boot", "the order is for another start of this machine: it was restarted meanwhile")
        if now_ms >= order.expires_ms:
            return No("expired", "the order's time has run out")
        if busy:
            return No("busy", "a package transaction is going on here")
        if self._machine.up_s() < SETTLED_S:
            return No("settling", f"this machine was started less than {SETTLED_S / 60:.0f} min ago")
        if most is not None and sum(now_ms - ms < DAY_MS for ms in done) >= most:
            return No("limit", f"this machine allows {most} restarts by order a day, and had them")
        return None

    def _done(self) -> list[tuple[int, str]]:
        try:
            lines = self._record.read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            return []
        rows = (line.split(" ") for line in lines)
        return [(int(r[0]), r[1]) for r in rows if len(r) == 2 and r[0].isdigit()]

    def _write(self, done: list[tuple[int, str]]) -> None:
        text = "".join(f"{ms} {boot}\n" for ms, boot in done[-KEPT:])
        write_durably(self._record, text.encode())


def reboot() -> str:
    """Ask systemd; in order, so that services stop and the agent can say so. Never by force."""
    import subprocess  # late: the resident agent reads this module for one number

    try:
        done = subprocess.run(REBOOT, capture_output=True, text=True, timeout=REBOOT_S_MAX, check=False)
    except (OSError, subprocess.SubprocessError) as e:
        return f"systemctl cannot be asked: {e}"
    said: Any = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else (said[0][:200] if said else f"systemctl ended with {done.returncode}")
