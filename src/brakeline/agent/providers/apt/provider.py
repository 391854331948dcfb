"""The apt provider: the contract of `providers.model`, put together from the parts of this package.

Reading verbs need no privilege. `refresh` and `apply` run as root. Expected trouble comes back as values.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from brakeline.agent.providers.apt import conffiles, pending, refresh
from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.apply import AptApplier
from brakeline.agent.providers.apt.disk import Disk
from brakeline.agent.providers.apt.dpkg import Installed, by_key
from brakeline.agent.providers.apt.keep import DIRECTORY, Keeper
from brakeline.agent.providers.apt.lists import Lists
from brakeline.agent.providers.apt.locks import ALL_LOCKS, LISTS_LOCK, holder
from brakeline.agent.providers.apt.planner import Planner
from brakeline.agent.providers.apt.queries import Queries, Situation
from brakeline.agent.providers.apt.recovery import Recovery
from brakeline.agent.providers.apt.runner import Attentive, Machine, Runner
from brakeline.agent.providers.apt.services import Services
from brakeline.agent.providers.apt.undo import Undo
from brakeline.agent.providers.frame import POLL_S
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refreshed, Refused
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

ALONE_MAX = 12  # updates that are simulated one by one to say why they wait
REFRESH_S_MAX = 900.0
LISTS_LOCK_S_MAX = 120.0
REFRESH = (
    "apt-get", "update", "-q", "-eany",  # any transient failure is an error: without this apt returns 0
    "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30",
    "-o", "APT::Get::List-Cleanup=true",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AptProvider:
    """apt and dpkg of one endpoint. `work_dir`: root's directory on the endpoint for files of a transaction."""

    clock: Clock
    runner: Runner = field(default_factory=Machine)
    work_dir: str = "/var/lib/brakeline-helper/tx"
    pause: Callable[[float], None] = time.sleep
    stopping: Callable[[], bool] = bool  # true once this process was asked to end
    name: str = "apt"
    rules: Rules = BUILT_IN  # of the endpoint's content; an order brings its own
    back_dir: str = DIRECTORY  # root's directory on the endpoint for ways back

    @property
    def queries(self) -> Queries:
        return Queries(self.runner)

    @property
    def planner(self) -> Planner:
        return Planner(self.queries, Disk(self.runner), self.rules)

    def inventory(self) -> tuple[Package, ...]:
        """Everything dpkg has a state of, also what is removed with its configuration left (state "rc")."""
        return _packages(self.queries.situation())

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        """Inventory and pending updates of the same moment; `AnswerLost` rather than a part of the truth."""
        attentive = replace(self, runner=Attentive(self.runner))  # what is found is believed for long
        situation = attentive.queries.situation()
        return _packages(situation), attentive._available(situation)

    def available(self) -> tuple[PendingUpdate, ...]:
        """All updates that wait, with the reason of each that would not be installed now."""
        return self._available(self.queries.situation())

    def _available(self, situation: Situation) -> tuple[PendingUpdate, ...]:
        waits = pending.waiting(situation)
        if not waits:
            return ()
        evidence = self._evidence(situation, waits)
        names = [f"{w.package.name}{_suffix(w.package.architecture)}={w.policy.candidate}" for w in waits]
        records = self.queries.records(names)
        sizes = {key: int(r.get("size", "0")) for key, r in records.items()}
        return pending.decide(situation, waits, evidence, sizes, self.rules)

    def _evidence(self, situation: Situation, waits: tuple[pending.Waiting, ...]) -> pending.Evidence:
        """As few simulations as the case needs: mostly one."""
        ask = self.queries.simulate
        upgrade = ask("-o", "APT::Get::Upgrade-Allow-New=false", "upgrade")
        left = pending.undecided(waits, upgrade)
        if not left:
            return pending.Evidence(upgrade)
        with_new = ask("--with-new-pkgs", "upgrade")
        full = unphased = None
        alone = {}
        if pending.undecided(left, with_new):
            full = ask("dist-upgrade")
            if pending.undecided(left, full):
                unphased = ask("-o", "APT::Get::Always-Include-Phased-Updates=true", "dist-upgrade")
        for w in left[:ALONE_MAX]:
            alone[w.apt_name] = ask("install", f"{w.apt_name}={w.policy.candidate}")
        problems = self.queries.problems(situation.installed)
        return pending.Evidence(upgrade, with_new, full, unphased, alone, problems)

    def health(self) -> PackageManagerHealth:
        """Can it work: states of packages, dpkg's journal and audit, who holds a lock, age and trouble of the lists."""
        problems = self.queries.problems(self.queries.installed())
        held_by = holder(self.runner, ALL_LOCKS)
        lists = Lists(self.runner).state(self.clock.now_ms())
        return PackageManagerHealth(
            healthy=not problems,
            problems=problems,
            lock_holder=str(held_by) if held_by else "",
            lists_refreshed_ms=lists.refreshed_ms,
            lists_problem=lists.problem,
        )

    def reboot_need(self) -> RebootNeed:
        """Whether a restart is due and why, and which services run old code."""
        return Services(self.runner, self.rules).reboot_need(self.queries.installed())

    def refresh(self) -> Refreshed | Refused:
        """Fetch the package lists; remembers how it went."""
        if refused := self._wait_for_lists():
            return refused
        ran = self.runner.job(*REFRESH, timeout_s=REFRESH_S_MAX)
        now = self.clock.now_ms()
        if ran.timed_out:
            failure: refresh.RefreshFailure | None = refresh.RefreshFailure(
                "no_network", f"Fetching the lists took longer than {REFRESH_S_MAX / 60:.0f} minutes and was stopped."
            )
        else:
            failure = refresh.explain(ran.text, ran.rc)
        Lists(self.runner).remember(now, failure.reason if failure else "")
        Services(self.runner, self.rules).remember()
        return Refused(failure.code, failure.reason) if failure else Refreshed(now)

    def _wait_for_lists(self) -> Refused | None:
        deadline = self.clock.monotonic_s() + LISTS_LOCK_S_MAX
        while (held_by := holder(self.runner, (LISTS_LOCK,))) is not None:
            if self.clock.monotonic_s() >= deadline:
                return Refused(
                    "locked", f"The package lists have been locked for {LISTS_LOCK_S_MAX:.0f} s by {held_by}."
                )
            self.pause(POLL_S)
        return None

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction, from apt's own simulation with every version named."""
        return self.planner.plan(updates, bounds)

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Do exactly the ordered transaction, or refuse."""
        return self._applier.apply(order, log)

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """What a lost run left behind, repaired if the order's bounds allow."""
        return Recovery(self._applier).recover(order, log)

    @property
    def _applier(self) -> AptApplier:
        return AptApplier(
            self.clock, self.runner, self.work_dir, self.pause, self.health, self.stopping, self._keeper
        )  # fmt: skip

    @property
    def _keeper(self) -> Keeper:
        return Keeper(self.runner, self.back_dir)

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:
        """What is left to do of the way back that was stored for this rollout."""
        return Undo(self.planner, self._keeper).left(rollout_id, look=look)

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:
        """Configuration files that somebody changed here, of packages that would get another version."""
        return conffiles.changed(self.runner, transaction)

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        """Differences between what the transaction promised and what dpkg has, its health included."""
        installed = self.queries.installed()
        return rules.unproven(transaction, by_key(installed)) + self.queries.problems(installed)


def _packages(situation: Situation) -> tuple[Package, ...]:
    return tuple(
        Package(p.name, p.architecture, p.version, p.source, p.source_version, p.state, _origin(p, situation))
        for p in situation.installed
    )


def _suffix(architecture: str) -> str:
    return "" if architecture == "all" else f":{architecture}"


def _origin(package: Installed, situation: Situation) -> str:
    """Label of the repository that has exactly this version; "" = none has it."""
    policy = situation.policy_of(package)
    entry = policy.entry(package.version) if policy else None
    for file in entry.sources if entry else ():
        release = situation.releases.get(file)
        if release is not None:
            return release.label or release.origin or release.site or "local"
    return ""
