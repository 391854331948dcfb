"""One transaction of npm: exactly what was ordered, or nothing; what came of it is read from the packages' own files.

Order of things: ask npm again and compare, fetch and unpack everything into a folder aside (every digest checked there,
no script run), compare that with the order, check space, keep the former trees, write down what is there, then the one
run that changes something, from what was fetched alone. Up to that run every trouble is `REFUSED`.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between
from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.agent.providers.beside import after_loss, before_of, remember, unfit, why_not
from brakeline.agent.providers.frame import UNTOUCHED
from brakeline.agent.providers.model import Order, Refused
from brakeline.agent.providers.npm.answers import actions, why
from brakeline.agent.providers.npm.folders import (
    Folder,
    below,
    damage,
    foreign,
    installed,
    leftovers,
    manifest,
    size_of,
)
from brakeline.agent.providers.npm.keep import Trees
from brakeline.agent.providers.npm.resolver import ASK_S_MAX, Resolver
from brakeline.core.clock import Clock
from brakeline.protocol.managers import belongs
from brakeline.protocol.messages import Outcome, TransactionResult

AS_BEFORE = "The former packages are there as before."
AGAIN = ("network", "held", "no_space", "hash_mismatch")  # codes that stay what they are when a plan is made again


@dataclass(frozen=True, slots=True)
class NpmApplier:
    """Applies orders to one global folder, as root."""

    clock: Clock
    runner: Runner
    work_dir: str
    folder: Folder
    trees: Trees
    stopping: Callable[[], bool]

    @property
    def resolver(self) -> Resolver:
        return Resolver(self.runner, self.folder)

    def place(self, order: Order) -> str:
        return f"{self.work_dir}/{order.transaction_id}/npm"

    def wanted(self, order: Order) -> tuple[tuple[str, str], ...]:
        return tuple((name, after) for name, _, after in self.trees.tops(order) if after)

    def apply(self, order: Order, blank: TransactionResult, log: Callable[[str], None]) -> TransactionResult:
        """Carry out the order; `blank` is the refusal that it is until something was changed."""
        before = installed(self.runner, self.folder)
        deadline = self.clock.monotonic_s() + order.bounds.run_s_max
        refused = self._unfit(order, before) or self._ready(order, before, log, deadline)
        if refused is not None:
            log(f"Refused, nothing was changed: {refused.reason}")
            return replace(blank, code=refused.code, detail=refused.reason)
        kept = self.trees.keep(order, self.clock.now_ms(), self._need(order))
        if not kept.stored:
            log(kept.reason)
        if self.stopping():
            return replace(blank, code="shutdown", detail="The transaction was asked to stop before it began.")
        remember(self.runner.path(self.place(order)), before)
        log("Installing.")
        ran = self._install(order, deadline)
        wrong = self.wrong(order)
        if wrong and order.inverse is None:
            self._put_back(order, before, log)
            wrong = self.wrong(order)
        return replace(self._judged(blank, order, ran, before, wrong), way_back=kept)

    def _unfit(self, order: Order, before: tuple[Installed, ...]) -> Refused | None:
        told = foreign(self.runner, self.folder)
        return unfit(order, before, told) or rules.refuse_broken(order.transaction, order.rules)

    def _ready(
        self, order: Order, before: tuple[Installed, ...], log: Callable[[str], None], deadline: float
    ) -> Refused | None:
        """Everything that is needed lies in the transaction's directory afterwards, or the reason why not."""
        if order.inverse is not None:
            if not set(order.transaction.actions) <= set(order.inverse.transaction.actions):
                return Refused("refused", "The order is not a part of the way back that this endpoint stored.")
            damaged = self.trees.keeper.damaged(order.inverse)
            return Refused("no_way_back", f"The kept archive of {damaged} is damaged or gone.") if damaged else None
        resolver = replace(self.resolver, ask_s_max=min(ASK_S_MAX, self._left(deadline)))
        found = resolver.resolve(self.wanted(order), before, order.bounds)
        if isinstance(found, Refused):
            code = found.code if found.code in AGAIN else "changed"
            return Refused(code, f"The situation has changed since the plan: {found.reason}")
        if differs := rules.difference(order.transaction, found.transaction):
            return Refused("changed", f"The situation has changed since the plan: {differs}.")
        log("Downloading.")
        refused = self.resolver.stage(self.wanted(order), self.place(order), self._left(deadline))
        return refused or self._other(order, before) or self._short(order)

    def _other(self, order: Order, before: tuple[Installed, ...]) -> Refused | None:
        """What lies in the stage is looked at: it must be the order, to the version."""
        apps = [name for name, _ in self.wanted(order)]
        was = {(p.name, p.architecture): p.version for p in before
               if any(belongs(app, self.folder.label, (p.name, p.architecture)) for app in apps)}  # fmt: skip
        found = rules.make_transaction(actions(was, self.resolver.staged(apps, self.place(order))))
        differs = rules.difference(order.transaction, found)
        return Refused("changed", f"What npm has fetched is not what was ordered: {differs}.") if differs else None

    def _need(self, order: Order) -> int:
        """Bytes that must be free for the run itself, and afterwards."""
        return size_of(self.runner.path(f"{self.place(order)}/prefix")) + order.bounds.disk_reserve_bytes

    def _short(self, order: Order) -> Refused | None:
        need = self._need(order)
        s = os.statvfs(self.runner.path(self.folder.modules))
        if s.f_bavail * s.f_frsize >= need:
            return None
        return Refused("no_space", f"Too little disk space: {need >> 20} MiB are needed on {self.folder.modules}.")

    def _left(self, deadline: float) -> float:
        return max(1.0, deadline - self.clock.monotonic_s())

    def _install(self, order: Order, deadline: float, *more: str) -> Ran:
        if order.inverse is None:
            return self.resolver.install(self.wanted(order), self.place(order), self._left(deadline), *more)
        names = {name for name, _, _ in self.trees.tops(order)}
        try:
            for archive in order.inverse.archives:
                if archive.name in names or not names:
                    self.trees.restore(archive)
        except (OSError, tarfile.TarError) as e:
            return Ran(1, f"npm error {type(e).__name__}: {e}")
        return Ran(0, "")

    def _put_back(self, order: Order, before: tuple[Installed, ...], log: Callable[[str], None]) -> None:
        """npm failed: what it did not put back by itself is restored, so that no package is left half-installed."""
        self._tidy()
        if not changes_between(before, installed(self.runner, self.folder)):
            return
        kept = self.trees.keeper.stored(order.rollout_id)
        if kept is None or not order.bounds.repair:
            return
        log("Putting the former packages back.")
        mine = {(name, before) for name, before, _ in self.trees.tops(order)}  # not what an earlier try has done
        for archive in (x for x in kept.archives if (x.name, x.version) in mine):
            try:
                self.trees.restore(archive)
            except (OSError, tarfile.TarError) as e:
                log(f"{archive.name} could not be put back: {e}.")

    def _tidy(self) -> None:
        for path in leftovers(self.runner, self.folder):
            shutil.rmtree(self.runner.path(path), ignore_errors=True)

    def wrong(self, order: Order) -> tuple[str, ...]:
        """Differences between the order and what is there: versions, and every file that was unpacked aside."""
        now = by_key(installed(self.runner, self.folder))
        wrong = rules.unproven(order.transaction, now)
        if wrong or order.inverse is not None:
            return wrong
        return tuple(filter(None, (self._damage(order, name) for name, _ in self.wanted(order))))

    def _damage(self, order: Order, app: str) -> str:
        """ "" or the first file that is not what was fetched; not looked for where scripts may change files."""
        stage = self.runner.path(f"{self.place(order)}/prefix/lib/node_modules/{app}")
        bad = "" if scripted(stage) else damage(stage, self.runner.path(self.folder.home(app)))
        return f"{app}: {bad}" if bad else ""

    def _judged(
        self, blank: TransactionResult, order: Order, ran: Ran, before: tuple[Installed, ...], wrong: tuple[str, ...]
    ) -> TransactionResult:
        changes = changes_between(before, installed(self.runner, self.folder))
        if not wrong:
            files = "as it was fetched" if order.inverse is None else "as it was kept"
            detail = f"All {len(order.transaction.actions)} changes are as ordered, every file {files}."
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        told = why_not(why(ran.text), ran, order.bounds.run_s_max, "npm")
        state = AS_BEFORE if not changes else f"Now: {rules.named(wrong)}."
        return replace(blank, outcome=Outcome.FAILED, code=told.code, detail=f"{told.reason} {state}", changes=changes)

    def recover(self, order: Order, blank: TransactionResult, log: Callable[[str], None]) -> TransactionResult:
        """What a lost run left, put right from what lies ready, if the bounds allow."""
        log("Examined after a lost run.")
        before = before_of(self.runner.path(self.place(order)) / "before.json")
        if before is None:
            return replace(blank, detail=UNTOUCHED[1])
        was_wrong = wrong = self.wrong(order)
        mess = leftovers(self.runner, self.folder)
        untouched = not changes_between(before, installed(self.runner, self.folder)) and not mess
        if (wrong or mess) and not untouched and order.bounds.repair:
            self._tidy()
            self._install(order, self.clock.monotonic_s() + order.bounds.run_s_max, "--force")
            wrong = self.wrong(order)
            if wrong:
                self._put_back(order, before, log)
        now, unchanged = installed(self.runner, self.folder), f"The run was lost. {AS_BEFORE}"
        return after_loss(blank, before, now, wrong, healed=bool(was_wrong or mess), unchanged=unchanged)


def scripted(home: Path) -> bool:
    """Whether a script of any package in a tree may have changed files of it at its installation."""
    trees = (home, *below(home))
    found = (manifest(d).get("scripts") for d in trees)
    return any(isinstance(s, dict) and s.keys() & {"preinstall", "install", "postinstall"} for s in found) or any(
        (d / "binding.gyp").exists() for d in trees
    )
