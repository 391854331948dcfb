"""The zypper provider: the contract of `providers.model`, put together from the parts of this package.

Reading verbs need no privilege. `refresh` and `apply` run as root. Expected trouble comes back as values. `root`: the
directory that zypper and rpm manage, `/` for the endpoint itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from brakeline.agent.providers.apt.lists import write_public
from brakeline.agent.providers.apt.plan import named
from brakeline.agent.providers.apt.runner import Attentive, Machine, Runner
from brakeline.agent.providers.frame import POLL_S
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refreshed, Refused
from brakeline.agent.providers.zypper import answers, keys, pending, rpmdb, why
from brakeline.agent.providers.zypper import plan as rules
from brakeline.agent.providers.zypper.apply import ZypperApplier
from brakeline.agent.providers.zypper.back import DIRECTORY, Back
from brakeline.agent.providers.zypper.inverse import left_to_do
from brakeline.agent.providers.zypper.lock import lock_holder
from brakeline.agent.providers.zypper.planner import Planner
from brakeline.agent.providers.zypper.reboot import Reboot
from brakeline.agent.providers.zypper.recovery import Recovery
from brakeline.agent.providers.zypper.taken_back import TakenBack
from brakeline.agent.providers.zypper.tools import Rooted, Tools
from brakeline.core.clock import Clock
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import (
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Transaction,
    TransactionResult,
    UpdateRef,
)

RECORD: Final = "/var/cache/brakeline/zypper-refresh.json"
REFRESH_S_MAX: Final = 900.0
LOCK_S_MAX: Final = 120.0


@dataclass(frozen=True, slots=True)
class ZypperProvider:
    """zypper and rpm of one endpoint. `work_dir`: root's directory on the endpoint for files of a transaction."""

    clock: Clock
    runner: Runner = field(default_factory=Machine)
    work_dir: str = "/var/lib/brakeline-helper/tx"
    pause: Callable[[float], None] = time.sleep
    stopping: Callable[[], bool] = bool
    name: str = "zypper"
    rules: Rules = BUILT_IN
    back_dir: str = DIRECTORY
    root: str = "/"

    @property
    def tools(self) -> Tools:
        return Tools(Rooted(self.runner, self.root))

    @property
    def planner(self) -> Planner:
        return Planner(self.tools, self.rules)

    # --- reading ---

    def inventory(self) -> tuple[Package, ...]:
        """Everything that rpm has a record of; what a lock holds has state "hi"."""
        installed = self.planner.installed()
        return rpmdb.packages(installed, self.planner.held(installed))

    def available(self) -> tuple[PendingUpdate, ...]:
        """All updates that wait, with the reason of each that would not be installed now."""
        return pending.Pending(self.planner).look(self.planner.installed())

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        """Inventory and pending updates of the same moment; `AnswerLost` rather than a part of the truth."""
        planner = replace(self, runner=Attentive(self.runner)).planner
        installed = planner.installed()
        return rpmdb.packages(installed, planner.held(installed)), pending.Pending(planner).look(installed)

    def health(self) -> PackageManagerHealth:
        """Can it work: records that contradict each other, unmet requirements, lock holder, age of the metadata."""
        problems = self.planner.problems(self.planner.installed())
        who = lock_holder(self.tools)
        record = self._record()
        never = "" if record["succeeded_ms"] or record["problem"] else "The metadata was never refreshed by this agent."
        return PackageManagerHealth(
            healthy=not problems,
            problems=problems,
            lock_holder=str(who) if who else "",
            lists_refreshed_ms=int(record["succeeded_ms"]),
            lists_problem=str(record["problem"]) or never,
        )

    def reboot_need(self) -> RebootNeed:
        """Whether a restart is due and why, and which services run old code."""
        return Reboot(self.tools, self.rules).need(self.planner.installed())

    # --- refreshing ---

    def refresh(self) -> Refreshed | Refused:
        """Fetch the metadata of every enabled repository; remembers how it went."""
        if refused := self._wait_for_lock():
            return refused
        ran = self.tools.at.job(*self.tools.zypper("refresh", refresh=True), timeout_s=REFRESH_S_MAX)
        now = self.clock.now_ms()
        words = answers.messages(ran.text, "error", "warning")
        failed = ran.timed_out or ran.rc != 0 or bool(answers.messages(ran.text, "error"))
        expired = [w for w in words if "expired" in w or "outdated" in w]
        cause = None
        if ran.timed_out:
            minutes = REFRESH_S_MAX / 60
            cause = why.Cause(
                "no_network", f"Fetching the metadata took longer than {minutes:.0f} minutes and was stopped."
            )
        elif failed or expired:
            cause = why.refresh_failure(words, ran.rc)
        elif late := keys.expired(self.tools, now):
            cause = why.Cause("expired", f"{named(late)}: its metadata or the key that signed it has expired.")
        self._remember(now, cause.reason if cause else "")
        return Refused(cause.code, cause.reason) if cause else Refreshed(now)

    def _wait_for_lock(self) -> Refused | None:
        deadline = self.clock.monotonic_s() + LOCK_S_MAX
        while (who := lock_holder(self.tools)) is not None:
            if self.clock.monotonic_s() >= deadline:
                return Refused("locked", f"The package management has been locked for {LOCK_S_MAX:.0f} s by {who}.")
            self.pause(POLL_S)
        return None

    def _record(self) -> dict[str, int | str]:
        try:
            values = json.loads(self.tools.at.path(RECORD).read_text())
            return {"succeeded_ms": int(values["succeeded_ms"]), "problem": str(values["problem"])}
        except (OSError, ValueError, KeyError, TypeError):
            return {"succeeded_ms": 0, "problem": ""}

    def _remember(self, now_ms: int, problem: str) -> None:
        succeeded = self._record()["succeeded_ms"] if problem else now_ms
        values = {"tried_ms": now_ms, "succeeded_ms": succeeded, "problem": problem}
        write_public(self.tools.at, RECORD, json.dumps(values))

    # --- changing ---

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction, from zypper's own dry run with every version named."""
        with TakenBack(self.tools).lifted(updates) as tools:
            return Planner(tools, self.rules).plan(updates, bounds)

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Do exactly the ordered transaction, or refuse."""
        return self._applier.apply(order, log)

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """What a lost run left behind, finished if the order's bounds allow."""
        return Recovery(self._applier).recover(order, log)

    @property
    def _applier(self) -> ZypperApplier:
        return ZypperApplier(
            self.clock, self.tools, self.work_dir, self.pause, self.health, self.stopping, self._back
        )  # fmt: skip

    @property
    def _back(self) -> Back:
        return Back(self.tools, self.back_dir)

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:
        """What is left to do of the way back that was stored for this rollout."""
        stored = self._back.of_rollout(rollout_id)
        if stored is None:
            return Refused("no_way_back", "No way back from that rollout is stored on this endpoint.")
        installed = self.planner.installed()
        found = left_to_do(stored, installed)
        if isinstance(found, Refused):
            return found
        if damaged := self._back.damaged(stored):
            return Refused("no_way_back", f"The kept archive of {damaged} is damaged or gone.")
        bounds = Bounds(allow_removals=True, allow_downgrades=True)
        if look and (refused := rules.refuse_beyond(found, bounds, self.planner.held(installed))):
            return refused
        return replace(stored, transaction=found)

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:
        """Configuration files that somebody changed here, of packages that would get another version."""
        names = [a.name for a in transaction.actions if a.before and a.after]
        if not names:
            return ()
        return rpmdb.changed_configuration(self.tools.ask_rpm("--verify", "--nodeps", "--noscripts", *names).text)

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        """Differences between what the transaction promised and what rpm has, its health included."""
        installed = self.planner.installed()
        return rules.unproven(transaction, installed) + self.planner.problems(installed)
