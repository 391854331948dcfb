"""What fwupd's daemon answers, asked with fwupdmgr; reading needs no privilege, and starts the daemon if need be.

A daemon that gives no answer is a fault, never an endpoint without devices. Whoever cannot be asked keeps what was
known of them (`host`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.runner import AnswerLost, Runner
from brakeline.agent.providers.fwupd.devices import Device, Remote, devices, releases, remotes
from brakeline.agent.providers.fwupd.words import answer, why
from brakeline.agent.providers.model import Refused
from brakeline.core.errors import Fault

HOLDS: Final = "/etc/brakeline/fwupd.hold"  # names of devices whose firmware its owner keeps, one a line; also a stamp
ASK_S_MAX: Final = 30.0  # the daemon looks at every bus when it is started, and answers nobody while it writes
FWUPDMGR: Final = "fwupdmgr"
QUIET: Final = (
    "--json", "--assume-yes", "--no-unreported-check", "--no-metadata-check", "--no-remote-check", "--no-reboot-check",
    "--no-device-prompt",
)  # fmt: skip
NOTHING: Final = 9  # FwupdError: there is nothing to tell
_HISTORY_OF: Final = re.compile(r"needs-(?:reboot|shutdown|activation)")


class Unanswered(Fault):
    """fwupd could not be asked."""

    code = "fwupd-unanswered"


@dataclass(frozen=True, slots=True)
class Daemon:
    """fwupd of one endpoint."""

    runner: Runner

    def ask(self, *words: str) -> Mapping[str, Any]:
        """The answer as it is; `Unanswered` where it is none, or an error other than *nothing*."""
        ran = self.runner.query(FWUPDMGR, *words, *QUIET, timeout_s=ASK_S_MAX)
        if ran.timed_out or ran.rc < 0:
            raise AnswerLost("fwupdmgr was ended before it had answered; nothing is concluded from a part of it.")
        found = answer(ran.text)
        error = found.get("Error")
        if not found or (isinstance(error, dict) and error.get("Code") != NOTHING):
            raise Unanswered(why(ran.text).reason)
        return found

    def devices(self) -> tuple[Device, ...]:
        """Every device that tells a version; what was written is asked only where something waits."""
        said = self.ask("get-devices")
        waits = _HISTORY_OF.search(str(said.get("Devices", "")))
        return devices(said, self.ask("get-history") if waits else {})

    def full(self, device: Device) -> Device:
        """With older releases too; none where fwupd has no list at all, which is an error of its own to it."""
        try:
            return replace(device, releases=releases(self.ask("get-releases", device.id)))
        except Unanswered:
            return replace(device, releases=())

    def remotes(self) -> tuple[Remote, ...]:
        return remotes(self.ask("get-remotes"))

    def holds(self) -> frozenset[str]:
        """Names or ids that the owner keeps. A list that is there and cannot be read is an `OSError`."""
        try:
            lines = self.runner.path(HOLDS).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return frozenset()
        return frozenset(line.partition("#")[0].strip() for line in lines)

    def refresh(self, timeout_s: float) -> Refused | None:
        """Fetch the lists of every remote that is fetched; None = all are new, or as new as they were."""
        ran = self.runner.job(FWUPDMGR, "refresh", "--force", *QUIET, timeout_s=timeout_s)
        if ran.timed_out:
            return Refused("network", "A remote gave no answer in time.")
        error = answer(ran.text).get("Error")
        return None if ran.rc == 0 or (isinstance(error, dict) and error.get("Code") == NOTHING) else why(ran.text)


def package(device: Device, held: frozenset[str]) -> Installed:
    """A device as the rules of every manager see it: the version that it will have without anything more."""
    kept = bool(held & {device.name, device.id, device.key})
    state = ("h" if kept else "i") + ("HR" if "is-bootloader" in device.flags else "i")
    return Installed(device.name, device.label, device.settled, device.name, device.settled, state)
