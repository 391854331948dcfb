"""The Homebrew provider: the contract of `providers.model` over the one prefix of an endpoint.

Reading starts no brew and needs no privilege, `plan` included: it goes by what the last `refresh` was told. `refresh`
and `apply` are root's, who starts brew as the prefix's owner. Expected trouble comes back as values.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.beside import Beside
from brakeline.agent.providers.brew.answers import closure
from brakeline.agent.providers.brew.apply import BrewApplier
from brakeline.agent.providers.brew.lists import LISTS, Lists
from brakeline.agent.providers.brew.prefix import Prefix, prefixes
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Package,
    PendingUpdate,
    Transaction,
    UpdateRef,
    UpdateState,
)

PINNED = "Pinned on this endpoint by its owner (brew pin)."
NONE = "Homebrew is not on this endpoint any more: no prefix has a brew and a Cellar."
SEVERAL = "Several Homebrew prefixes are here; none is changed, because nobody says which one is meant."


@dataclass(frozen=True, slots=True)
class BrewProvider(Beside):
    """Homebrew of one endpoint. `work_dir`: root's directory on the endpoint."""

    LISTS: ClassVar[str] = LISTS

    name: str = "brew"
    sleep: Callable[[float], None] = time.sleep

    def prefix(self) -> Prefix | None:
        found = prefixes(self.runner)
        return found[0] if len(found) == 1 else None

    def unclear(self) -> Refused:
        """Why there is not one prefix."""
        return Refused("refused", SEVERAL if prefixes(self.runner) else NONE)

    def installed(self) -> tuple[Installed, ...]:
        return tuple(p for prefix in prefixes(self.runner)[:1] for p in prefix.installed())

    def inventory(self) -> tuple[Package, ...]:
        """Every formula and cask, with the tap it comes from."""
        return self.survey()[0]

    def available(self) -> tuple[PendingUpdate, ...]:
        """What the last refresh found newer, as far as it is still older here."""
        return self.survey()[1]

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        found = prefixes(self.runner)
        if not found:
            return (), ()
        have, lists = found[0].installed(), Lists(found[0])
        known, waits = lists.known(), lists.waits()
        taps = {p.key: known[p.architecture, p.name].tap for p in have if (p.architecture, p.name) in known}
        packages = tuple(
            Package(p.name, p.architecture, p.version, p.name, p.version, p.state, taps.get(p.key, ""), "brew")
            for p in have
        )
        newer = ((p, waits.get((p.architecture, p.name), p.version)) for p in have)
        return packages, tuple(self._waiting(p, v, taps.get(p.key, "")) for p, v in newer if v != p.version)

    def _waiting(self, p: Installed, version: str, tap: str) -> PendingUpdate:
        return PendingUpdate(p.name, p.architecture, p.version, version, tap, False, *self._state(p, version))

    def _state(self, p: Installed, version: str) -> tuple[UpdateState, str]:
        if p.held:
            return UpdateState.HELD, PINNED
        made = self._actions([(p, version)])
        if isinstance(made, Refused):
            return UpdateState.KEPT_BACK, made.reason
        if new := [a.name for a in made if a.kind is ActionKind.INSTALL]:
            return UpdateState.NEEDS_NEW, f"Needs {rules.named(new)} to be installed."
        return UpdateState.AVAILABLE, ""

    def problems(self) -> tuple[str, ...]:
        """What is there only half, and why brew could not be started here."""
        found = prefixes(self.runner)
        unclear = () if len(found) == 1 else (self.unclear().reason,)
        return (*unclear, *(f"{told}." for p in found[:1] if (told := p.unfit())), *Beside.problems(self))

    def refresh(self) -> Refreshed | Refused:
        """Renew brew's sources; what could not be renewed keeps its last answer."""
        prefix = self.prefix()
        return self.unclear() if prefix is None else Lists(prefix).refresh(self.clock.now_ms())

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction: formulae and casks, and what they bring along."""
        if self.prefix() is None:
            return self.unclear()
        asked = {u.name: u.version for u in updates}
        targets = [p for p in self.installed() if asked.get(p.key, p.version) != p.version]
        if not targets:
            return Refused(
                "nothing_to_do", "Every update is installed already, or its package is not on this endpoint."
            )
        free = [p for p in targets if not p.held]
        if not free:
            return Refused("held", f"Pinned on this endpoint by its owner: {rules.named(p.name for p in targets)}.")
        actions = self._actions([(p, asked[p.key]) for p in free])
        if isinstance(actions, Refused):
            return actions
        made = rules.make_transaction(actions)
        refused = rules.refuse_quarantined(made, bounds.without) or rules.refuse_beyond(made, bounds, frozenset())
        skipped = tuple(f"{p.name} is pinned by the owner" for p in targets if p.held)
        gone = tuple(a.name for a in made.actions if a.before)
        return refused or rules.refuse_broken(made, self.rules) or Planned(made, (), gone, skipped)

    def _actions(self, targets: list[tuple[Installed, str]]) -> list[Action] | Refused:
        prefix = prefixes(self.runner)[0]
        lists, have = Lists(prefix), {(p.architecture, p.name): p for p in prefix.installed()}
        waits = lists.waits()
        for p, version in targets:
            if waits.get((p.architecture, p.name)) != version:
                return Refused("lists_stale", f"Homebrew does not have {p.name} {version}, or not any more.")
        versions = {key: p.version for key, p in have.items()}
        found = closure([(p.architecture, p.name) for p, _ in targets], lists.known(), versions, waits)
        if isinstance(found, str):
            return Refused("refused", f"It needs {found}, of which Homebrew says nothing.")
        if pinned := [name for label, name in found if (label, name) in have and have[label, name].held]:
            return Refused("held", f"It would upgrade {rules.named(pinned)}, pinned on this endpoint by its owner.")
        kinds = {True: ActionKind.UPGRADE, False: ActionKind.INSTALL}
        return [
            Action(kinds[key in have], key[1], key[0], versions.get(key, ""), version)
            for key, version in found.items() if versions.get(key) != version
        ]  # fmt: skip

    def applier(self, transaction: Transaction) -> BrewApplier | Refused:  # noqa: ARG002 - there is one prefix
        prefix = self.prefix()
        if prefix is None:
            return self.unclear()
        return BrewApplier(self.clock, prefix, self.work_dir, self.stopping, self.sleep)

    def stored(self, rollout_id: str) -> Inverse | None:  # noqa: ARG002 - nothing is ever stored
        return None
