"""After a lost run (power cut, kill -9): what state packages are in, and what can be healed.

A killed pacman leaves `db.lck`, at worst an entry of the local database without its `desc`, and a package that is in
no entry at all though its files lie on disk. What was ordered is in the cache, verified: it is put there again, with
`--overwrite`, because those very files are in the way. The result is always `INTERRUPTED`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from brakeline.agent.providers.apt.plan import named
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.model import Archive, Order
from brakeline.agent.providers.pacman import plan as rules
from brakeline.agent.providers.pacman.keep import Keeper
from brakeline.agent.providers.pacman.lists import Lists
from brakeline.agent.providers.pacman.locks import lock_of
from brakeline.agent.providers.pacman.parse import Configuration
from brakeline.agent.providers.pacman.queries import Queries, answers
from brakeline.agent.providers.pacman.records import Installed, by_name, changes_between
from brakeline.agent.providers.pacman.staging import Staging
from brakeline.core.clock import Clock
from brakeline.protocol.messages import Outcome, PackageChange, PackageManagerHealth, TransactionResult

POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Recovery:
    """Looks after lost runs on one endpoint, as root."""

    clock: Clock
    runner: Runner
    work_dir: str
    pause: Callable[[float], None]
    health: Callable[[], PackageManagerHealth]
    keeper: Keeper

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Examine, repair if allowed, report."""
        started = self.clock.now_ms()
        staging = Staging(self.runner, f"{self.work_dir}/{order.transaction_id}")
        code, detail, changes = self._examine(order, staging, log)
        return TransactionResult(
            transaction_id=order.transaction_id, offer_id=order.offer_id, rollout_id=order.rollout_id,
            generation=order.generation, outcome=Outcome.INTERRUPTED, code=code, detail=detail, changes=changes,
            health=self.health(), started_ms=started, ended_ms=self.clock.now_ms(), log_tail=staging.log_tail(),
            way_back=self.keeper.way_back(order.transaction_id),
        )  # fmt: skip

    def _examine(
        self, order: Order, staging: Staging, log: Callable[[str], None]
    ) -> tuple[str, str, tuple[PackageChange, ...]]:
        before, queries = staging.before(), Queries(self.runner)
        if before is None:
            Lists(self.runner).give_back(queries.configuration(), f"{staging.directory}/live-sync")
            return "interrupted_unchanged", "The run was lost before anything was changed.", ()
        known = queries.configuration()
        if who := self._still_running(order, known, log):
            return "interrupted_broken", f"The run was lost and {who} still holds pacman's lock.", ()
        tried = order.bounds.repair and self._repair(order, staging, known, before, log)
        installed = queries.installed(known)
        if changes_between(before, installed) == ():
            Lists(self.runner).give_back(known, f"{staging.directory}/live-sync")
        return self._told(order, before, installed, tried=tried)

    def _told(
        self, order: Order, before: tuple[Installed, ...], installed: tuple[Installed, ...], *, tried: bool
    ) -> tuple[str, str, tuple[PackageChange, ...]]:
        problems = Queries(self.runner).problems(installed)
        wrong = rules.unproven(order.transaction, installed)
        changes = changes_between(before, installed)
        repaired = " It was repaired." if tried else ""
        if problems:
            return "interrupted_broken", f"The run was lost.{repaired} Still broken: {named(problems)}.", changes
        if not wrong:
            code = "interrupted_repaired" if tried else "interrupted_complete"
            return code, f"The run was lost.{repaired} Every package is as ordered and sound.", changes
        if not changes:
            return "interrupted_unchanged", f"The run was lost.{repaired} Every package is as it was before.", ()
        return "interrupted_partial", f"The run was lost.{repaired} {named(wrong)}.", changes

    def _still_running(self, order: Order, known: Configuration, log: Callable[[str], None]) -> str:
        """Wait for what the lost run may have left running; "" = nobody holds the lock, else who does."""
        deadline = self.clock.monotonic_s() + max(order.bounds.lock_wait_s, order.bounds.run_s_max)
        said = False
        while (lock := lock_of(self.runner, known.db_path)) is not None and not lock.stale:
            if self.clock.monotonic_s() >= deadline:
                return str(lock)
            if not said:
                log(f"Waiting for {lock}, which may still be at work for this transaction.")
                said = True
            self.pause(POLL_S)
        return ""

    def _repair(
        self, order: Order, staging: Staging, known: Configuration, before: tuple[Installed, ...],
        log: Callable[[str], None],
    ) -> bool:  # fmt: skip
        """True if anything was tried: the stale lock, broken entries of ordered packages, then their files again."""
        queries, tried = Queries(self.runner), False
        if lock_of(self.runner, known.db_path) is not None:
            self.runner.path(f"{known.db_path.rstrip('/')}/db.lck").unlink(missing_ok=True)
            log("Repairing: the lock that the lost run left behind was removed.")
            tried = True
        ordered = {a.name: a for a in order.transaction.actions if a.after}
        installed = queries.installed(known)
        have, was = by_name(installed), by_name(before)
        if changes_between(before, installed) == ():
            return tried
        for p in installed:
            if not p.sound and p.name in ordered:
                shutil.rmtree(self.runner.path(f"{known.db_path}/local/{p.name}-{p.version}"))
        again = [n for n in ordered if n not in have or have[n].version != ordered[n].after or not have[n].sound]
        cached = queries.cached(known) | {x.path.rpartition("/")[2]: x.path for x in self._kept(order)}
        files = [rules.archive_of(n, ordered[n].after, ordered[n].architecture, cached) for n in again]
        if not again or not all(files):
            return tried
        log(f"Repairing: putting there again {named(again)}.")
        words = ("pacman", "--noconfirm", answers(removals=order.bounds.allow_removals), "--noprogressbar",
                 "--overwrite", "*", "-U", *(cached[f] for f in files))  # fmt: skip
        with open(staging.log, "ab+") as out:
            self.runner.job(*words, timeout_s=order.bounds.run_s_max, log=out)
        self._same_reasons(again, was)
        return True

    def _kept(self, order: Order) -> tuple[Archive, ...]:
        return order.inverse.archives if order.inverse is not None else ()

    def _same_reasons(self, names: list[str], was: dict[str, Installed]) -> None:
        """`-U` marks what it finds missing as asked for by name; what nobody had asked for stays so."""
        automatic = [n for n in names if n not in was or not was[n].explicit]
        if automatic:
            self.runner.query("pacman", "-D", "--asdeps", "--noconfirm", *automatic)
