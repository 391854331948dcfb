"""What `refresh` writes down: when the remotes were asked, and the checksums under which a version was first seen.

A version that comes with another cabinet than it had is told and not installed. Without any remote that has firmware
nothing is known of newer versions: that is a problem of the lists, never *up to date*.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.apt.runner import AnswerLost, Runner
from brakeline.agent.providers.asked import Asked
from brakeline.agent.providers.fwupd.daemon import Daemon, Unanswered
from brakeline.agent.providers.fwupd.devices import Device, Release, Remote
from brakeline.agent.providers.model import Refreshed, Refused

LISTS: Final = "/var/cache/brakeline/fwupd-lists.json"  # also in `agent.stamp`
REFRESH_S_MAX: Final = 180.0
NO_SOURCE: Final = "No remote of fwupd that has firmware is enabled here: nothing is known of newer versions."


@dataclass(frozen=True, slots=True)
class Lists:
    """The record of one endpoint; one that is damaged counts as none."""

    runner: Runner

    @property
    def asked(self) -> Asked:
        return Asked(self.runner, LISTS)

    def refresh(self, now_ms: int) -> Refreshed | Refused:
        """Ask the remotes; write down what each version of each device is."""
        daemon, trouble = Daemon(self.runner), list[Refused]()
        try:
            there = daemon.remotes()
            if not any(self.has_firmware(r) for r in there):
                trouble.append(Refused("no_source", NO_SOURCE))
            fetched = any(r.enabled and r.kind == "download" for r in there)
            if fetched and (failed := daemon.refresh(REFRESH_S_MAX)) is not None:
                code = "no_network" if failed.code == "network" else failed.code
                trouble.append(Refused(code, failed.reason))
            found = seen(self.seen(), daemon.devices())
        except (AnswerLost, Unanswered) as e:
            return self.asked.write(now_ms, [Refused("fwupd_failed", str(e))], seen=self.seen())
        return self.asked.write(now_ms, trouble, seen=found)

    def has_firmware(self, remote: Remote) -> bool:
        """Whether a remote can say anything: one that is fetched, or a place here that is not empty."""
        if not remote.enabled:
            return False
        if remote.kind == "download":
            return True
        place = self.runner.path(remote.cache)
        try:
            return place.is_file() or any(name.endswith(".cab") for name in os.listdir(place))
        except OSError:
            return False

    def seen(self) -> dict[str, list[str]]:
        """`label version` -> the checksums that it had first."""
        rows = self.asked.read().get("seen", {})
        return rows if isinstance(rows, dict) else {}

    def unlike(self, label: str, release: Release) -> str:
        """Why this is not what was seen under its version before; "" = it is."""
        first = self.seen().get(_key(label, release.version))
        if not isinstance(first, list) or set(first) & set(release.checksums):
            return ""
        return f"{release.version} has another cabinet than when this endpoint saw it first"


def seen(known: Mapping[str, list[str]], found: Iterable[Device]) -> dict[str, list[str]]:
    """What is known, and what is there for the first time; of devices that are gone nothing is kept."""
    there = {_key(d.label, r.version): list(r.checksums) for d in found for r in d.releases if r.checksums}
    labels = {d.label for d in found}
    kept = {key: sums for key, sums in known.items() if key.partition(" ")[0] in labels}
    return {**there, **kept}


def _key(label: str, version: str) -> str:
    return f"{label} {version}"
