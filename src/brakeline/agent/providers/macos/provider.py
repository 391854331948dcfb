"""Apple's softwareupdate: the contract of `providers.model` over one Mac. *Not run on the real system; no agent there.*

Only what installs without a restart is ever installed: with one, softwareupdate would restart the Mac in the middle of
a transaction, past every rule about restarts. Those updates are told, with that reason; so is what softwareupdate has
never installed here, because an order names the version that it replaces. The order names a title and a version; which
label that is, to the letter, the Mac's own list says. Apple has no way back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.asked import Asked
from brakeline.agent.providers.beside import Beside
from brakeline.agent.providers.macos.apply import SoftwareUpdateApplier
from brakeline.agent.providers.macos.naming import LABEL, here, named, numbers
from brakeline.agent.providers.macos.softwareupdate import Update, updates
from brakeline.agent.providers.macos.tool import TOOL, Tool
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

LISTS: Final = "/var/db/brakeline/softwareupdate-lists.json"
ORIGIN: Final = "Apple"
RESTARTS: Final = (
    "It restarts the Mac while it is installed, which no transaction does: for its owner, or device management."
)
DEFERRED: Final = "Held back by the organisation's device management."
NEVER: Final = (
    "softwareupdate has never installed it here, so that nobody tells which version it would replace: for its owner, "
    "or device management."
)
REFRESH_S_MAX: Final = 300.0


@dataclass(frozen=True, slots=True)
class SoftwareUpdateProvider(Beside):
    """softwareupdate of one Mac. `work_dir`: root's directory on it."""

    LISTS: ClassVar[str] = LISTS

    name: str = "softwareupdate"

    @property
    def tool(self) -> Tool:
        return Tool(self.runner)

    def installed(self) -> tuple[Installed, ...]:
        """The system itself, and the last of everything that softwareupdate has installed here."""
        return here(self.tool.system_version(), self.tool.history())

    def waits(self) -> tuple[Update, ...]:
        """As written down by the last refresh."""
        try:
            return tuple(Update(**row) for row in self.lists.read().get("waits", ()))
        except (TypeError, AttributeError):
            return ()

    @property
    def lists(self) -> Asked:
        return Asked(self.runner, LISTS)

    def inventory(self) -> tuple[Package, ...]:
        return self.survey()[0]

    def available(self) -> tuple[PendingUpdate, ...]:
        return self.survey()[1]

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        have = self.installed()
        packages = tuple(
            Package(p.name, p.architecture, p.version, p.name, p.version, p.state, ORIGIN, "macos") for p in have
        )
        newest = {named(u): u for u in sorted(self.waits(), key=lambda u: numbers(u.version))}
        return packages, tuple(_pending(u, have) for u in newest.values() if _before(u, have) != u.version)

    def refresh(self) -> Refreshed | Refused:
        """Ask Apple, or the server that the Mac is set to; what could not be asked keeps its last answer."""
        ran = self.runner.job(TOOL, "--list", timeout_s=REFRESH_S_MAX)
        found = None if ran.timed_out else updates(ran.text)
        if found is None:
            rows, trouble = self.lists.read().get("waits", []), [Refused("no_network", "Apple's list cannot be had.")]
        else:
            rows, trouble = [_row(u) for u in found], []
        return self.lists.write(self.clock.now_ms(), trouble, waits=rows)

    def plan(self, asked: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact labels, by title and version."""
        have, wanted = self.installed(), {u.name: u.version for u in asked}
        now = {p.name: p.version for p in have}
        names = [n for n, version in wanted.items() if now.get(n, version) != version]
        waits = self.waits()
        never = [n for n in wanted if n not in now and n in map(named, waits)]
        if not names and never:
            return Refused("refused", f"{rules.named(never)}: {NEVER}")
        if not names:
            return Refused("nothing_to_do", "Every update is installed already, or nothing of it is on this Mac.")
        found = {named(u): u for u in waits if u.version == wanted.get(named(u))}
        if unknown := [n for n in names if n not in found]:
            return Refused("lists_stale", f"Apple's list on this Mac does not have {rules.named(unknown)} as asked.")
        free = [n for n in names if not found[n].deferred]
        if not free:
            return Refused("held", f"Held back by device management: {rules.named(names)}.")
        if restarts := [n for n in free if found[n].restarts]:
            return Refused("refused", f"{rules.named(restarts)}: {RESTARTS}")
        made = rules.make_transaction(Action(ActionKind.UPGRADE, n, LABEL, now[n], wanted[n]) for n in free)
        refused = rules.refuse_quarantined(made, bounds.without) or rules.refuse_beyond(made, bounds, frozenset())
        skipped = tuple(f"{n} is held back by device management" for n in names if n not in free)
        skipped += tuple(f"{n} was never installed here by softwareupdate" for n in never)
        return refused or rules.refuse_broken(made, self.rules) or Planned(made, (), tuple(free), skipped)

    def applier(self, transaction: Transaction) -> SoftwareUpdateApplier:  # noqa: ARG002 - there is one softwareupdate
        return SoftwareUpdateApplier(self.clock, self.runner, self.work_dir, self.stopping)

    def stored(self, rollout_id: str) -> Inverse | None:  # noqa: ARG002 - nothing is ever stored
        return None


def _before(update: Update, have: Iterable[Installed]) -> str:
    return next((p.version for p in have if p.name == named(update)), "")


def _pending(u: Update, have: Iterable[Installed]) -> PendingUpdate:
    state, reason, before = UpdateState.AVAILABLE, "", _before(u, have)
    if u.deferred:
        state, reason = UpdateState.HELD, DEFERRED
    elif u.restarts:
        state, reason = UpdateState.KEPT_BACK, RESTARTS
    elif not before:
        state, reason = UpdateState.KEPT_BACK, NEVER
    return PendingUpdate(named(u), LABEL, before, u.version, ORIGIN, False, state, reason, u.size_kib * 1024)


def _row(u: Update) -> dict[str, object]:
    return {name: getattr(u, name) for name in Update.__slots__}
