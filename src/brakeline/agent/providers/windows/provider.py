"""The provider of Windows' programs: MSI by product and upgrade code, EXE by silent words; the system's own there.

Inventory, waiting updates and restarts come from the registry, which nobody need be started for. What may be installed
is what the owner's list says (`listed`). *Not run on the real system*: MSI in wine, the rest on a Windows in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.beside import Beside
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.agent.providers.windows import lines, listed, planning
from brakeline.agent.providers.windows.applying import ProgramsApplier
from brakeline.agent.providers.windows.box import Box
from brakeline.agent.providers.windows.fake import FakeBox
from brakeline.agent.providers.windows.here import Here, here, shown
from brakeline.agent.providers.windows.keep import WaysBack
from brakeline.agent.providers.windows.listed import Catalogue
from brakeline.agent.providers.windows.pending import reboot_need
from brakeline.agent.providers.windows.programs import programs
from brakeline.agent.providers.windows.store import Store, reachable
from brakeline.protocol.messages import (
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Transaction,
    UpdateRef,
)

HOME = "/ProgramData/Brakeline"  # administrators alone may write there
LIST, HOLDS = f"{HOME}/programs.json", f"{HOME}/programs.hold"
ORIGIN = "programs.json"
UNREAD = "programs.hold cannot be read: every listed program is kept as it is."


@dataclass(frozen=True, slots=True)
class ProgramsProvider(Beside):
    """Programs of one Windows."""

    LISTS: ClassVar[str] = f"{HOME}/state/programs-lists.json"

    name: str = "windows"
    box: Box = field(default_factory=FakeBox)
    work_dir: str = f"{HOME}/helper/tx"
    back_dir: str = f"{HOME}/helper/back-programs"
    store_dir: str = f"{HOME}/helper/programs"
    pause: Callable[[float], None] = time.sleep

    def catalogue(self) -> Catalogue:
        try:
            with open(self.runner.path(LIST), "rb") as f:
                return listed.read(f.read(listed.LIST_BYTES_MAX + 1))
        except FileNotFoundError:
            return listed.read(None)
        except OSError as e:
            return Catalogue(problems=(f"programs.json cannot be read: {e.strerror}",))

    def here(self) -> tuple[Here, ...]:
        """Every installed program, under the name that orders use."""
        return here(programs(self.box.entries(), self.box.upgrades()), self.catalogue(), self._held())

    def _held(self) -> frozenset[str]:
        """Names that the owner keeps, in whichever encoding Windows wrote them; what cannot be read may name any."""
        text = self._hold()
        if text is None:
            return frozenset(p.name for p in self.catalogue().packages)
        return frozenset(line.partition("#")[0].strip().lower() for line in text.splitlines())

    def _hold(self) -> str | None:
        """What the owner wrote; None = it is there, and cannot be read."""
        try:
            return lines.text_of(self.runner.path(HOLDS).read_bytes()).removeprefix("\ufeff")
        except FileNotFoundError:
            return ""
        except OSError:
            return None

    def installed(self) -> tuple[Installed, ...]:
        return tuple(h.package for h in self.here())

    def inventory(self) -> tuple[Package, ...]:
        return self.survey()[0]

    def available(self) -> tuple[PendingUpdate, ...]:
        return self.survey()[1]

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        have = self.here()
        packages = tuple(
            Package(
                h.package.name, h.package.architecture, h.package.version, h.package.source, h.package.version,
                h.package.state, ORIGIN if h.listed else shown(h.program.publisher, 60), "windows",
            )
            for h in have
        )  # fmt: skip
        return packages, planning.waiting(have, self.catalogue())

    def health(self) -> PackageManagerHealth:
        """A line of the list that makes no sense is told, and stops nobody else's update."""
        unread = (UNREAD,) if self._hold() is None else ()
        return replace(self.lists.health((), self.box.busy()), problems=(*self.catalogue().problems, *unread))

    def reboot_need(self) -> RebootNeed:
        return reboot_need(self.box.restarts())

    def refresh(self) -> Refreshed | Refused:
        """Whether the newest file of each listed package can be had; the list itself is the owner's, and here."""
        found, trouble = self.catalogue(), list[Refused]()
        newest = (planning.newest_of(found.of(name)) for name in sorted({p.name for p in found.packages}))
        for p in newest:
            if p is not None and not self._store().holds(p) and not reachable(p):
                why = f"{p.name} {p.version} cannot be had from {p.source[:200]}, in the size that is listed."
                trouble.append(Refused("no_network", why))
        return self.lists.write(self.clock.now_ms(), trouble)

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction; the exact command line of each package stands in the log of its run."""
        found, store = self.catalogue(), self._store()

        def kept(name: str, version: str) -> bool:
            return found.find(name, version) is not None or store.kept(name, version) is not None

        return planning.plan(updates, self.here(), found, bounds, self.rules, kept)

    def applier(self, transaction: Transaction) -> ProgramsApplier | Refused:  # noqa: ARG002 - all of them are ours
        return ProgramsApplier(
            self.clock, self.box, self.here, self.catalogue(), self._store(), self._ways(),
            self.runner.path(self.work_dir), self.pause, self.stopping,
        )  # fmt: skip

    def stored(self, rollout_id: str) -> Inverse | None:
        return self._ways().stored(rollout_id)

    def _ways(self) -> WaysBack:
        return WaysBack(Path(self.runner.path(self.back_dir)))

    def _store(self) -> Store:
        return Store(Path(self.runner.path(self.store_dir)))
