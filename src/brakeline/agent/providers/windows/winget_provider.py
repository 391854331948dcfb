"""The provider of winget: exact Ids in exact versions from its own source, silently, judged by what it lists then.

What winget only guesses (a version that it does not know, an Id cut off for want of room, two programs of one Id) is
told and left alone. Programs of one user are not looked at: an agent has no user. No older version is ever put back.
*Not run on the real system*: its tables are read from real recordings, the rest is tried on a winget in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, TypeVar

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.beside import Beside
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.agent.providers.windows.box import NoAnswer
from brakeline.agent.providers.windows.fake_winget import FakeWinget
from brakeline.agent.providers.windows.here import shown
from brakeline.agent.providers.windows.winget import Row
from brakeline.agent.providers.windows.winget_cli import ID, VERSION, Winget, twice
from brakeline.agent.providers.windows.winget_run import WingetApplier
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Package,
    PendingUpdate,
    Transaction,
    UpdateRef,
    UpdateState,
)

LABEL: Final = "winget"
_T = TypeVar("_T")
PINNED: Final = "Pinned on this endpoint by its owner (winget pin)."


@dataclass(frozen=True, slots=True)
class WingetProvider(Beside):
    """winget of one endpoint."""

    LISTS: ClassVar[str] = "/ProgramData/Brakeline/state/winget-lists.json"

    name: str = "winget"
    winget: Winget = field(default_factory=lambda: Winget(FakeWinget(), "winget.exe"))
    work_dir: str = "/ProgramData/Brakeline/helper/tx"
    back_dir: str = "/ProgramData/Brakeline/helper/back-winget"
    pause: Callable[[float], None] = time.sleep

    def rows(self) -> tuple[Row, ...]:
        """What is installed. Raises `NoAnswer`: what cannot be looked at is never nothing."""
        return _must(self.winget.installed())

    def installed(self) -> tuple[Installed, ...]:
        return self._installed(self.rows())

    @staticmethod
    def _installed(rows: tuple[Row, ...]) -> tuple[Installed, ...]:
        found: dict[str, Installed] = {}
        for r in rows:
            if not r.cut and ID.fullmatch(r.id):
                version = r.version if r.known and VERSION.fullmatch(r.version) else "0"
                known = found.get(r.id)
                if known is None or rules.is_older(known.version, version):
                    found[r.id] = Installed(r.id, LABEL, version, shown(r.name), version, "ii")
        return tuple(found[id_] for id_ in sorted(found))

    def inventory(self) -> tuple[Package, ...]:
        return self._packages(self.rows())

    def _packages(self, rows: tuple[Row, ...]) -> tuple[Package, ...]:
        return tuple(
            Package(p.name, LABEL, p.version, p.source, p.version, p.state, "winget", "windows")
            for p in self._installed(rows)
        )

    def available(self) -> tuple[PendingUpdate, ...]:
        return self._waits(self.rows())

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        have = self.rows()
        return self._packages(have), self._waits(have)

    def _waits(self, have: tuple[Row, ...]) -> tuple[PendingUpdate, ...]:
        pinned, double = _must(self.winget.pinned()), twice(have)
        waits = []
        for r in _must(self.winget.newer()):
            if r.available and not r.cut and ID.fullmatch(r.id) and VERSION.fullmatch(r.available):
                state, reason = state_of(r, pinned, double)
                waits.append(PendingUpdate(
                    r.id, LABEL, r.version if r.known else "0", r.available, "winget", False, state, reason,
                ))  # fmt: skip
        return tuple({w.name: w for w in waits}.values())

    def problems(self) -> tuple[str, ...]:
        """None of its own: whether it can be asked, each survey says."""
        return ()

    def refresh(self) -> Refreshed | Refused:
        """Have winget fetch its source's index."""
        refused = self.winget.update_source()
        if refused is not None and refused.code == "network":
            refused = replace(refused, code="no_network")
        return self.lists.write(self.clock.now_ms(), [refused] if refused else [])

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction: programs that are here, each to one version that the source has."""
        try:
            rows = self.rows()
            have = {p.name: p for p in self._installed(rows)}
            waits = {w.name: w for w in self._waits(rows)}
        except NoAnswer as e:
            return Refused("no_answer", str(e))
        chosen, held, left = list[Action](), list[str](), list[str]()
        for u in updates:
            name = u.name.partition(":")[0]
            here = have.get(name)
            if here is None or here.version == u.version or not rules.is_older(here.version, u.version):
                continue
            wait = waits.get(name)
            if wait is not None and wait.state is UpdateState.HELD:
                held.append(name)
            elif wait is not None and wait.state is not UpdateState.AVAILABLE:
                left.append(f"{name}: {wait.reason}")
            elif refused := self._lacks(name, u.version, wait):
                return refused
            else:
                chosen.append(Action(ActionKind.UPGRADE, name, LABEL, here.version, u.version))
        if not chosen:
            return _nothing(held, left)
        made = rules.make_transaction(chosen)
        refused = rules.refuse_quarantined(made, bounds.without) or rules.refuse_broken(made, self.rules)
        told = (*(f"{name} is held by the owner" for name in held), *left)
        return refused or Planned(made, no_way_back=tuple(a.name for a in made.actions), skipped=told)

    def _lacks(self, name: str, version: str, wait: PendingUpdate | None) -> Refused | None:
        """Why that version cannot be had, None = it can."""
        if wait is not None and wait.candidate == version:
            return None
        found = self.winget.versions(name)
        if isinstance(found, Refused):
            return found
        if version in found:
            return None
        newest = wait.candidate if wait is not None else ""
        code = "refused" if newest and rules.is_older(version, newest) else "lists_stale"
        return Refused(code, f"{name} {version} is not in winget's source.")

    def applier(self, transaction: Transaction) -> WingetApplier:  # noqa: ARG002 - all of them are ours
        return WingetApplier(self)

    def stored(self, rollout_id: str) -> Inverse | None:  # noqa: ARG002 - none ever is
        return None


def state_of(r: Row, pinned: frozenset[str], double: frozenset[str]) -> tuple[UpdateState, str]:
    if r.id in pinned:
        return UpdateState.HELD, PINNED
    if not r.known:
        return UpdateState.KEPT_BACK, "winget does not know which version is installed."
    if r.id in double:
        return UpdateState.KEPT_BACK, "Two programs are installed under that Id: a person must say which one is meant."
    return UpdateState.AVAILABLE, ""


def _nothing(held: list[str], left: list[str]) -> Refused:
    if held:
        return Refused("held", f"Pinned on this endpoint by its owner: {rules.named(held)}.")
    if left:
        return Refused("refused", left[0])
    return Refused("nothing_to_do", "Every update is installed already, or its program is not on this endpoint.")


def _must(found: _T | Refused) -> _T:
    if isinstance(found, Refused):
        raise NoAnswer(found.reason)
    return found
