"""The root helper's own judgement of an order to restart this machine, and its record of those it followed. Durable.

What no order can widen: nothing is restarted unless root has written a number into `restart.json` beside the agent's
configuration; never more often than that in a day; never soon after a start (a machine that starts again and again is
left alone); never while a package transaction runs; never against an inhibitor, nor against a user who is logged in
unless root's own terms say when (`warnings`). An order is for one boot, so whatever happens it is followed once. The
record is on disk before the machine goes down. Next: `helper`, which verifies the order's signature first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brakeline.agent.files import write_durably
from brakeline.protocol.messages import RESTARTS_A_DAY_MAX, PeopleWait, RestartOrder

if TYPE_CHECKING:  # the resident agent reads this module for one number
    from brakeline.agent.people import Goes
    from brakeline.agent.warnings import Warnings

RESTART_FILE: Final = "restart.json"  # beside agent.json: an older release must not stumble over a key that it lacks
A_DAY_MAX: Final = RESTARTS_A_DAY_MAX  # whatever the file says
SETTLED_S: Final = 600.0  # since the last start
DAY_MS: Final = 86_400_000
KEPT: Final = 32  # lines of the record: more than a day's
REBOOT: Final = ("systemctl", "reboot", "--no-wall", "--check-inhibitors=yes")
OVER_PEOPLE: Final = ("systemctl", "reboot", "--no-wall", "--check-inhibitors=no")  # inhibitors were asked before
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
    people: PeopleWait | None = None  # for whom it waits


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine as far as a restart goes. `reboot` gives "" or why it did not begin; `over` does it though people
    are logged in."""

    boot_id: str
    up_s: Callable[[], float]
    reboot: Callable[[], str]
    over: Callable[[], str] | None = None


class Reboots:
    """Orders that were followed, newest last: `reboots` in the helper's state directory, a line each.

    `a_day`: root's own number, asked at each order: who writes it need not know that a helper may be waiting.
    `warnings` None = nobody is warned.
    """

    def __init__(self, state_dir: Path, a_day: Callable[[], int], machine: Machine,
                 warnings: Warnings | None = None) -> None:  # fmt: skip
        from brakeline.agent.boots import Boots

        self._record, self._a_day, self._machine = state_dir / "reboots", a_day, machine
        self._boots, self._warnings = Boots(state_dir / "boots"), warnings

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
        found = self._warnings.ask(order.people, now_ms) if self._warnings is not None else None
        if isinstance(found, PeopleWait):
            return No("people", _reason(found), found)
        if not again:
            self._write([*done, (now_ms, order.boot_id)])
        problem = self._go(found)
        return No("inhibited", problem) if problem else None

    def _go(self, found: Goes | None) -> str:
        over = self._machine.over if found is not None and found.over else None
        return (over or self._machine.reboot)()

    def stand_down(self) -> None:
        """An order that waits for people was taken back."""
        if self._warnings is not None:
            self._warnings.off()

    def note_boot(self) -> None:
        """At each start of the helper: which boot this is, and whether it has lasted."""
        self._boots.note(self._machine.boot_id, self._machine.up_s())

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
        ours = [boot for _, boot in self._done()]
        if again_and_again := self._boots.loop(self._machine.boot_id, self._machine.up_s(), ours):
            return No("boot_loop", again_and_again)
        if most is not None and sum(now_ms - ms < DAY_MS for ms in done) >= most:
            return No("limit", f"this machine allows {most} restarts by order a day, and had them")
        return None

    def _done(self) -> list[tuple[int, str]]:
        """OSError where the record is there and cannot be read: then nobody knows how many there were."""
        try:
            lines = self._record.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        rows = (line.split(" ") for line in lines)
        return [(int(r[0]), r[1]) for r in rows if len(r) == 2 and r[0].isdigit()]

    def _write(self, done: list[tuple[int, str]]) -> None:
        text = "".join(f"{ms} {boot}\n" for ms, boot in done[-KEPT:])
        write_durably(self._record, text.encode())


def _reason(said: PeopleWait) -> str:
    from brakeline.agent.people_words import reason

    return reason(said)


def over_people() -> str:
    """The same though somebody is logged in; never against an inhibitor."""
    from brakeline.agent.desk import blocked  # late: the resident agent reads this module for one number

    return blocked() or reboot(OVER_PEOPLE)


def reboot(command: tuple[str, ...] = REBOOT) -> str:
    """Ask systemd; in order, so that services stop and the agent can say so. Never by force."""
    import subprocess  # late: the resident agent reads this module for one number

    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=REBOOT_S_MAX, check=False)
    except (OSError, subprocess.SubprocessError) as e:
        return f"systemctl cannot be asked: {e}"
    said: Any = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else (said[0][:200] if said else f"systemctl ended with {done.returncode}")
