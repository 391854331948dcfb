"""After a lost run (power cut, kill -9): what state packages are in, and what can be healed.

A killed pacman leaves `db.lck`, at worst an entry of the local database without its `desc`, and a package that is in
no entry at all though its files lie on disk. What was ordered is in the cache, verified: it is put there again, with
`--overwrite`, because those very files are in the way. The result is always `INTERRUPTED`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from brakeline.agent.providers.apt.plan import named
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.frame import UNTOUCHED, Found, Log, recovered, still_running, told
from brakeline.agent.providers.model import Archive, Order
from brakeline.agent.providers.pacman import plan as rules
from brakeline.agent.providers.pacman.apply import PacmanApplier
from brakeline.agent.providers.pacman.lists import Lists
from brakeline.agent.providers.pacman.locks import Lock, lock_of
from brakeline.agent.providers.pacman.parse import Configuration
from brakeline.agent.providers.pacman.queries import Queries, answers
from brakeline.agent.providers.pacman.records import Installed, by_name, changes_between
from brakeline.agent.providers.pacman.staging import Staging
from brakeline.protocol.messages import TransactionResult


@dataclass(frozen=True, slots=True)
class Recovery:
    """Looks after lost runs on one endpoint, as root."""

    applier: PacmanApplier

    @property
    def runner(self) -> Runner:
        return self.applier.runner

    def recover(self, order: Order, log: Log) -> TransactionResult:
        return recovered(self.applier, order, lambda: self._examine(order, self.applier.staging(order), log))

    def _examine(self, order: Order, staging: Staging, log: Log) -> Found:
        before, queries = staging.before(), Queries(self.runner)
        if before is None:
            Lists(self.runner).give_back(queries.configuration(), f"{staging.directory}/live-sync")
            return UNTOUCHED
        known = queries.configuration()
        applier = self.applier
        if who := still_running(applier.clock, applier.pause, order, log, lambda: self._held(known)):
            return "interrupted_broken", f"The run was lost and {who} still holds pacman's lock.", ()
        tried = order.bounds.repair and self._repair(order, staging, known, before, log)
        installed = queries.installed(known)
        changes, wrong = changes_between(before, installed), rules.unproven(order.transaction, installed)
        if not changes:
            Lists(self.runner).give_back(known, f"{staging.directory}/live-sync")
        return told(" It was repaired." if tried else "", queries.problems(installed), wrong, changes)

    def _held(self, known: Configuration) -> Lock | None:
        lock = lock_of(self.runner, known.db_path)
        return None if lock is None or lock.stale else lock

    def _repair(
        self, order: Order, staging: Staging, known: Configuration, before: tuple[Installed, ...],
        log: Log,
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
