"""The provider of Windows Update: searched, downloaded and installed by Windows itself, judged by a new search.

The updates that were planned, in their revisions, are installed, or nothing is. Supersedence, licences, what asks a
person, policies of the owner: all of them are told and none is passed over. *Not run on the real system*: tried against
recorded answers (`wua_driver.Recorded`); what wine has of Windows Update cannot search.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.beside import Beside
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.agent.providers.windows import wua_answers, wua_plan
from brakeline.agent.providers.windows.box import NoAnswer
from brakeline.agent.providers.windows.keep import WaysBack
from brakeline.agent.providers.windows.wua_answers import Done, Search
from brakeline.agent.providers.windows.wua_driver import Driver, Recorded
from brakeline.agent.providers.windows.wua_run import WuaApplier
from brakeline.protocol.messages import Package, PendingUpdate, Transaction, UpdateRef

LOOK_S_MAX: Final = 120.0  # of what Windows knows by itself; a scan ends after `limits.SCAN_RUN_S_MAX`
SEARCH_S_MAX: Final = 1800.0  # the first search of a machine that was long off takes most of half an hour
BUSY_POLL_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class WuaProvider(Beside):
    """Windows Update of one endpoint."""

    LISTS: ClassVar[str] = "/ProgramData/Brakeline/state/wua-lists.json"

    name: str = "Windows Update"
    driver: Driver = field(default_factory=lambda: Recorded({}))
    work_dir: str = "/ProgramData/Brakeline/helper/tx"
    back_dir: str = "/ProgramData/Brakeline/helper/back-wua"
    pause: Callable[[float], None] = time.sleep

    # --- looking ---

    def search(self, *, online: bool) -> Search | Refused:
        """`online` = ask the update server, else what Windows knows by itself."""
        found = self.ask("search", {"online": online}, SEARCH_S_MAX if online else LOOK_S_MAX)
        assert not isinstance(found, Done)
        return found

    def ask(self, verb: str, request: dict[str, object], timeout_s: float) -> Search | Done | Refused:
        try:
            said = self.driver.ask(verb, request, timeout_s)
        except OSError as e:
            return Refused("no_answer", f"Windows Update could not be asked: {e.strerror or e}.")
        if said.timed_out:
            return Refused("timeout", f"Windows Update gave no answer in {timeout_s:.0f} s, and was ended.")
        return wua_answers.answer(said.data, verb, said.printed)

    def looked(self) -> Search:
        """Raises `NoAnswer`: what cannot be looked at is never nothing."""
        found = self.search(online=False)
        if isinstance(found, Refused):
            raise NoAnswer(found.reason)
        return found

    def held(self, found: Search) -> tuple[str, ...]:
        today = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC).date().isoformat()
        return wua_answers.holds(found.policy, today)

    def installed(self) -> tuple[Installed, ...]:
        return wua_plan.installed(self.looked().updates)

    def inventory(self) -> tuple[Package, ...]:
        return self.survey()[0]

    def available(self) -> tuple[PendingUpdate, ...]:
        return self.survey()[1]

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        found = self.looked()
        noted = wua_answers.notes(found.policy)
        return wua_plan.packages(found.updates), wua_plan.waiting(found.updates, self.held(found), noted)

    def problems(self) -> tuple[str, ...]:
        """None of its own: whether it can be asked, each survey says, and what stands in the way, each update."""
        return ()

    def refresh(self) -> Refreshed | Refused:
        """Have Windows ask its update server; what it found, the next survey sees."""
        found = self.search(online=True)
        if isinstance(found, Refused):
            return self.lists.write(self.clock.now_ms(), [_of_network(found)])
        trouble = [Refused("failed", found.trouble)] if found.trouble else []
        return self.lists.write(self.clock.now_ms(), trouble)

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        found = self.search(online=False)
        if isinstance(found, Refused):
            return found
        return wua_plan.plan(updates, found.updates, self.held(found), bounds, self.rules)

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        """By identifier and revision. Raises `NoAnswer`."""
        return wua_plan.unproven(transaction, self.installed())

    def stored(self, rollout_id: str) -> Inverse | None:
        return self.ways().stored(rollout_id)

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:  # noqa: ARG002 - it asks nobody else
        """What is still in of that rollout's updates; each is only ever in or not."""
        stored = self.stored(rollout_id)
        if stored is None:
            return Refused("no_way_back", "No way back from that rollout is stored on this endpoint.")
        there = {p.version for p in self.installed()}
        left = rules.make_transaction(a for a in stored.transaction.actions if a.before in there)
        if not left.actions:
            return Refused("nothing_to_do", "Every update of that rollout is gone already.")
        return replace(stored, transaction=left)

    def applier(self, transaction: Transaction) -> WuaApplier:  # noqa: ARG002 - all of them are ours
        return WuaApplier(self)

    def ways(self) -> WaysBack:
        return WaysBack(Path(self.runner.path(self.back_dir)))


def _of_network(refused: Refused) -> Refused:
    """A refresh without an answer of the server is `no_network`, as every provider has it."""
    return replace(refused, code="no_network") if refused.code == "network" else refused
