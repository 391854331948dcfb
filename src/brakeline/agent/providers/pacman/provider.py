"""The pacman provider: the contract of `providers.model`, put together from the parts of this package.

Reading verbs need no privilege. `refresh`, `apply`, `recover` and `undo` run as root. Expected trouble comes back as
values. Arch publishes no security suite: what is security, the cell's advisories say, never this endpoint.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from brakeline.agent.providers.apt.runner import Attentive, Machine, Runner
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refreshed, Refused
from brakeline.agent.providers.pacman import pending
from brakeline.agent.providers.pacman import plan as rules
from brakeline.agent.providers.pacman.again import half_installed
from brakeline.agent.providers.pacman.apply import PacmanApplier
from brakeline.agent.providers.pacman.keep import DIRECTORY, Keeper
from brakeline.agent.providers.pacman.lists import Lists
from brakeline.agent.providers.pacman.locks import lock_of
from brakeline.agent.providers.pacman.parse import Configuration
from brakeline.agent.providers.pacman.planner import Planner
from brakeline.agent.providers.pacman.queries import PRIVATE, Queries
from brakeline.agent.providers.pacman.reboots import Reboots
from brakeline.agent.providers.pacman.records import Installed
from brakeline.agent.providers.pacman.recovery import Recovery
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

ECOSYSTEM: Final = "alpm"
CONFFILE_BYTES_MAX: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PacmanProvider:
    """pacman of one endpoint. `work_dir`: root's directory on the endpoint for files of a transaction."""

    clock: Clock
    runner: Runner = field(default_factory=Machine)
    work_dir: str = "/var/lib/brakeline-helper/tx"
    pause: Callable[[float], None] = time.sleep
    stopping: Callable[[], bool] = bool  # true once this process was asked to end
    name: str = "pacman"
    rules: Rules = BUILT_IN  # of the endpoint's content; an order brings its own
    back_dir: str = DIRECTORY  # root's directory on the endpoint for ways back

    @property
    def queries(self) -> Queries:
        return Queries(self.runner)

    def inventory(self) -> tuple[Package, ...]:
        """Everything that the local database has an entry of."""
        known = self.queries.configuration()
        return self._packages(known, self.queries.installed(known))

    def available(self) -> tuple[PendingUpdate, ...]:
        """All updates that wait, with the reason of each that would not be installed now."""
        known = self.queries.configuration()
        return pending.found(self.queries, known, self.queries.installed(known), self.rules)

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        """Inventory and pending updates of the same moment; `AnswerLost` rather than a part of the truth."""
        attentive = replace(self, runner=Attentive(self.runner))
        known = attentive.queries.configuration()
        installed = attentive.queries.installed(known)
        waits = pending.found(attentive.queries, known, installed, self.rules)
        return attentive._packages(known, installed), waits

    def _packages(self, known: Configuration, installed: tuple[Installed, ...]) -> tuple[Package, ...]:
        origins = self.queries.repositories(known)
        by_name = {name: origin for (name, _), origin in origins.items()}  # lists have one version: the newest
        return tuple(
            Package(p.name, p.architecture, p.version, p.source, p.version, p.state,
                    origins.get((p.name, p.version)) or by_name.get(p.name, ""), ECOSYSTEM)
            for p in installed
        )  # fmt: skip

    def health(self) -> PackageManagerHealth:
        """Can it work: entries of the local database, the lock and its holder, age and trouble of the lists."""
        known = self.queries.configuration()
        problems = list(self.queries.problems(self.queries.installed(known)))
        lock = lock_of(self.runner, known.db_path)
        if lock is not None and lock.stale:
            problems.append(f"{lock.lock}: left behind by a run that was killed (stale), it blocks every run")
        record = Lists(self.runner).record()
        return PackageManagerHealth(
            healthy=not problems,
            problems=tuple(problems),
            lock_holder=str(lock) if lock is not None and not lock.stale else "",
            lists_refreshed_ms=record.succeeded_ms,
            lists_problem=record.problem if record.tried_ms else "The lists were never refreshed by this agent.",
        )

    def reboot_need(self) -> RebootNeed:
        """Whether a restart is due and why, and which services run old code."""
        return Reboots(self.runner, self.rules).need(self.queries.installed())

    def refresh(self) -> Refreshed | Refused:
        """Fetch the lists into the private copy; remembers how it went, and what the databases vouch for."""
        known, lists = self.queries.configuration(), Lists(self.runner)
        failure = lists.refresh(known)
        now = self.clock.now_ms()
        lists.remember(now, failure.reason if failure else "")
        if failure is not None:
            return Refused(failure.code, failure.reason)
        names = {p.name for p in self.queries.installed(known)}
        self._keeper.learn(lists.hashes(known.db_path, names) | lists.hashes(PRIVATE, names))
        return Refreshed(now)

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction: always the whole upgrade, which has to have all of `updates`."""
        return Planner(self.queries, self.rules).plan(updates, bounds)

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Do exactly the ordered transaction, or refuse."""
        return self._applier.apply(order, log)

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """What a lost run left behind, repaired if the order's bounds allow."""
        return Recovery(self._applier).recover(order, log)

    @property
    def _applier(self) -> PacmanApplier:
        return PacmanApplier(
            self.clock, self.runner, self.work_dir, self.pause, self.health, self.stopping, self._keeper
        )  # fmt: skip

    @property
    def _keeper(self) -> Keeper:
        return Keeper(self.runner, self.back_dir)

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:
        """What is left to do of the way back that was stored for this rollout; `look`: also whether it may be begun."""
        installed = self.queries.installed()
        left = self._keeper.left(rollout_id, installed)
        mine = [a.name for a in left.transaction.actions] if isinstance(left, Inverse) else []
        problems = self.queries.problems(installed, half_installed(installed, mine)) if look else ()
        if problems and isinstance(left, Inverse):
            return Refused("unhealthy", f"The package manager is broken: {problems[0]}.")
        return left

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:
        """Configuration files that somebody changed here, of packages that would get another version."""
        known = self.queries.configuration()
        concerned = {a.name for a in transaction.actions if a.before and a.after}
        files = [
            item
            for p in self.queries.installed(known)
            if p.name in concerned
            for item in self.queries.backups(known, p).items()
        ]
        return tuple(path for path, md5 in files if self._differs(path, md5))

    def _differs(self, path: str, md5: str) -> bool:
        """False also where it cannot be read: whoever may read it looks again."""
        try:
            with self.runner.path(path).open("rb") as f:
                data = f.read(CONFFILE_BYTES_MAX)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return hashlib.md5(data, usedforsecurity=False).hexdigest() != md5

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        """Differences between what the transaction promised and what the local database has, its health included."""
        installed = self.queries.installed()
        return rules.unproven(transaction, installed) + self.queries.problems(installed)
