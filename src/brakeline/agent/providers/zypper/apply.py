"""One transaction: exactly what was ordered, or nothing. What happened is read from rpm's records afterwards.

Order of things: wait for locks (bounded), ask zypper again and compare, check space, download everything, verify the
files, store the way back, take libzypp's lock, look whether anything moved, let rpm check the whole, remember what is
there, run rpm, look again, restart what runs old code. Up to rpm's run every trouble is `REFUSED` with nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from brakeline.agent.providers.apt.plan import difference, named, refuse_broken
from brakeline.agent.providers.apt.runner import Ran
from brakeline.agent.providers.apt.services import Services
from brakeline.agent.providers.frame import Run, Stop, applied, full, watched
from brakeline.agent.providers.model import Order, Refused
from brakeline.agent.providers.zypper import answers, rpmdb, why
from brakeline.agent.providers.zypper import plan as rules
from brakeline.agent.providers.zypper.back import Back
from brakeline.agent.providers.zypper.install import Install, take_new_conffiles
from brakeline.agent.providers.zypper.lock import held, lock_holder
from brakeline.agent.providers.zypper.planner import INSTALL, Planner
from brakeline.agent.providers.zypper.rpmdb import Installed
from brakeline.agent.providers.zypper.staging import Staging, cached
from brakeline.agent.providers.zypper.taken_back import TakenBack
from brakeline.agent.providers.zypper.tools import Tools
from brakeline.core.clock import Clock
from brakeline.protocol.messages import (
    Action,
    Outcome,
    PackageManagerHealth,
    Transaction,
    TransactionResult,
    UpdateRef,
    WayBack,
)

AUTOMATIC: Final = "/var/lib/zypp/AutoInstalled"
CONFFILE_POLICIES: Final = ("keep", "replace")


@dataclass(frozen=True, slots=True)
class ZypperApplier:
    """Applies orders on one endpoint, as root."""

    clock: Clock
    tools: Tools
    work_dir: str
    pause: Callable[[float], None]
    health: Callable[[], PackageManagerHealth]
    stopping: Callable[[], bool]
    back: Back

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Carry out the order. Always a result; `REFUSED` means that nothing was changed."""
        run = _Run(self, order, log, self.clock.monotonic_s() + order.bounds.run_s_max)
        return applied(run, run.carry_out, run.staging.log)

    def staging(self, order: Order) -> Staging:
        """Where the files of this transaction are."""
        return Staging(self.tools, f"{self.work_dir}/{order.transaction_id}")

    def way_back(self, transaction_id: str) -> WayBack | None:
        """What was stored before it began."""
        return self.back.way_back(transaction_id)


@dataclass(frozen=True, slots=True)
class _Run(Run[ZypperApplier]):
    """One application under way."""

    @property
    def tools(self) -> Tools:
        return self.applier.tools

    @property
    def staging(self) -> Staging:
        return self.applier.staging(self.order)

    @property
    def planner(self) -> Planner:
        return Planner(self.tools, self.order.rules)

    def carry_out(self, blank: TransactionResult) -> TransactionResult:
        """All steps; raises `Stop` as long as nothing was changed, and then leaves no packages lying."""
        ordered = [UpdateRef(a.name, a.after) for a in self.order.transaction.actions if a.after]
        with TakenBack(self.tools).lifted(ordered) as tools:
            run = replace(self, applier=replace(self.applier, tools=tools))
            try:
                return run.all_steps(blank)
            except Stop:
                run.staging.drop_packages()
                raise

    def all_steps(self, blank: TransactionResult) -> TransactionResult:
        self.wait_for_lock(lambda: lock_holder(self.tools), self.applier.pause)
        transaction = self.untampered()
        installed = self._agreed(transaction)
        self._prepare(transaction)
        kept = self.applier.back.keep(self.order, installed, self.applier.clock.now_ms(), self.log, self.left_s() / 4)
        with held(self.tools) as mine:
            if not mine:
                self.stop("lock_timeout", f"The package management is locked by {lock_holder(self.tools)}.")
            return self._locked(blank, transaction, installed, kept)

    def _locked(
        self, blank: TransactionResult, transaction: Transaction, installed: tuple[Installed, ...], kept: WayBack
    ) -> TransactionResult:
        """From the last look to the end of rpm's run; no resolver can come between."""
        if self.planner.installed() != installed:
            self.stop(
                "changed", "The situation has changed since the plan: another program changed packages meanwhile."
            )
        beside = rules.beside(transaction, installed, self.planner.several())
        install = Install(self.tools, self.staging, transaction, beside)
        tested = install.test(self.left_s())
        if tested.rc != 0 or tested.timed_out:
            cause = self._why(tested)
            self.stop(cause.code, cause.reason)
        services = Services(self.tools.at, self.order.rules) if self.tools.at.root == "/" else None
        before_it = watched(services)
        self.go_on()
        self.forbid(TakenBack(self.tools), "zypper's locks")
        self.staging.remember_before(installed)
        self.log("Installing.")
        ran = install.run(self.left_s())
        repaired = self._repair(install, ran)
        after = self.planner.installed()
        conffiles = why.conffiles(ran.text)
        if self.bounds.conffile_policy == "replace":
            take_new_conffiles(self.tools, conffiles.kept)
            conffiles = why.Conffiles((), conffiles.kept + conffiles.replaced)
        self._mark_automatic(transaction, beside)
        result = self._judged(blank, ran, installed, after, conffiles, repaired=repaired)
        if result.code != "killed":
            self.staging.drop_packages()
        good, bad = before_it.restarted(self.bounds)
        return replace(
            result,
            way_back=kept,
            conffiles_kept=conffiles.kept,
            services_restarted=good,
            services_failed=bad,
        )

    # --- before anything is changed ---

    def _agreed(self, transaction: Transaction) -> tuple[Installed, ...]:
        """What is installed now, once it is certain that the order is still what zypper would do."""
        if self.bounds.conffile_policy not in CONFFILE_POLICIES:
            self.stop("refused", f"There is no policy {self.bounds.conffile_policy!r} for configuration files.")
        installed = self.planner.installed()
        if not rules.unproven(transaction, installed):
            self.stop("nothing_to_do", "Everything that was ordered is installed already.")
        if sick := self.planner.sick(installed, {f"{a.name}:{a.architecture}" for a in transaction.actions}):
            self.stop(sick.code, sick.reason)
        if self.order.inverse is None:
            self._still_so(transaction)
        refused = refuse_broken(transaction, self.order.rules)
        refused = refused or rules.refuse_beyond(transaction, self.bounds, self.planner.held(installed))
        if refused := refused or self.planner.too_small(transaction, self.bounds):
            self.stop(refused.code, refused.reason)
        return installed

    def _still_so(self, transaction: Transaction) -> None:
        found = self.planner.simulate(rules.arguments(transaction), self.bounds)
        if isinstance(found, Refused):
            code = found.code if found.code == "vendor" else "changed"
            self.stop(code, f"The situation has changed since the plan: {found.reason}")
        if differs := difference(transaction, found):
            self.stop("changed", f"The situation has changed since the plan: {differs}.")

    def _prepare(self, transaction: Transaction) -> None:
        """Every file that rpm will be given lies in the transaction's directory, verified."""
        coming = [a for a in transaction.actions if a.after]
        try:
            self.staging.prepare()
            files = self._kept(coming) if self.order.inverse else self._downloaded(transaction, coming)
            self.staging.take(files)
        except OSError as e:
            self.stop("no_space", f"The packages cannot be laid ready: {e.strerror}.")
        if coming:
            self._verify_files(coming)

    def _downloaded(self, transaction: Transaction, coming: list[Action]) -> dict[Action, Path]:
        """zypper downloads and holds each file against the repository's signed checksums, also what its cache has."""
        self.log("Downloading.")
        command = (*INSTALL, "--download-only", *self.planner.options(self.bounds), *rules.arguments(transaction))
        with open(self.staging.log, "ab+") as log:
            ran = self.tools.at.job(*self.tools.zypper(*command), timeout_s=self.left_s(), log=log)
        if words := answers.messages(ran.text, "error") + answers.problems(ran.text):
            cause = why.download_failure(words, ran.rc, named(a.name for a in coming))
            self.stop(cause.code, cause.reason)
        there = cached(self.tools)
        files = {a: there[k][0] for a in coming if (k := (a.name, a.after, a.architecture)) in there}
        if missing := [a.name for a in coming if a not in files]:
            told = answers.messages(ran.text, "warning", "info")
            cause = why.download_failure(told, ran.rc, named(missing))
            self.stop(cause.code, cause.reason)
        return files

    def _kept(self, coming: list[Action]) -> dict[Action, Path]:
        """The very archives that were stored here before the update."""
        inverse = self.order.inverse
        assert inverse is not None
        if not set(self.order.transaction.actions) <= set(inverse.transaction.actions):
            self.stop("refused", "The order is not a part of the way back that this endpoint stored.")
        if damaged := self.applier.back.damaged(inverse):
            self.stop("no_way_back", f"The kept archive of {damaged} is damaged or gone.")
        paths = {(x.name, x.architecture, x.version): self.tools.at.path(x.path) for x in inverse.archives}
        return {a: paths[(a.name, a.architecture, a.after)] for a in coming}

    def _verify_files(self, coming: list[Action]) -> None:
        """Digests and signature by rpm, and that no file comes from another vendor than what it replaces."""
        files = self.staging.files(coming)
        checked = self.tools.at.query(*self.tools.rpm("-K", *files, program="rpmkeys"))
        bad = [Path(line.partition(": ")[0]).name for line in checked.text.splitlines() if "NOT OK" in line]
        if bad or checked.text.count(": digests") < len(files):
            code = "signature" if "SIGNATURES NOT OK" in checked.text else "hash_mismatch"
            self.stop(code, f"rpm does not accept {named(bad) or 'a file'}: {' '.join(checked.text.split())[-200:]}.")

    # --- after ---

    def _repair(self, install: Install, ran: Ran) -> bool:
        """rpm was killed and not by us: the same once more, from the same files. True if that was done."""
        if ran.rc >= 0 or ran.timed_out or not self.bounds.repair:
            return False
        self.log("Repairing: rpm was killed, the run is done once more.")
        install.run(self.left_s(), again=True)
        return True

    def _judged(
        self,
        blank: TransactionResult,
        ran: Ran,
        before: tuple[Installed, ...],
        after: tuple[Installed, ...],
        conffiles: why.Conffiles,
        *,
        repaired: bool,
    ) -> TransactionResult:
        """What came of it, by rpm's records alone; its words only say why. A failed script is a failure even though rpm
        counts its package as installed."""
        transaction = self.order.transaction
        changes = rpmdb.changes_between(before, after)
        wrong = rules.unproven(transaction, after) + rpmdb.doubled(after, self.planner.several())
        scripts = why.script_failures(ran.text)
        if wrong:
            cause = (
                self._why(ran) if ran.rc != 0 or ran.timed_out else why.Cause("verify_failed", "rpm reported success.")
            )
            detail = f"{cause.reason} Now: {'; '.join(wrong[:5])}."
            return replace(blank, outcome=Outcome.FAILED, code=cause.code, detail=detail, changes=changes)
        if scripts or ran.timed_out:
            cause = self._why(ran)
            detail = f"{cause.reason} rpm's records have every package as ordered all the same."
            return replace(blank, outcome=Outcome.FAILED, code=cause.code, detail=detail, changes=changes)
        detail = f"All {len(transaction.actions)} changes are as ordered, proven by rpm's records."
        if repaired:
            detail += f" That took a repair: {self._why(ran).reason}"
        elif ran.rc != 0:
            detail += f" rpm itself ended with {ran.rc}: {self._why(ran).reason}"
        if conffiles.replaced:
            detail += f" Replaced, with the former one beside it as .rpmsave: {named(conffiles.replaced)}."
        return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)

    def _mark_automatic(self, transaction: Transaction, beside: frozenset[str]) -> None:
        """What came as a requirement was not asked for by hand: zypper's own clean-up shall know."""
        new = [a.name for a in transaction.actions if not a.before and a.name not in beside]
        path = self.tools.at.path(AUTOMATIC)
        if new and path.parent.is_dir():
            had = path.read_text().splitlines() if path.exists() else []
            path.write_text("".join(f"{n}\n" for n in dict.fromkeys([*had, *new])))

    # --- small ones ---

    def _why(self, ran: Ran) -> why.Cause:
        cause = why.blame(ran.text, ran.rc, timed_out=ran.timed_out, killed=ran.killed, limit_s=self.bounds.run_s_max)
        if cause.code == "failed" and full(self.tools.at.path("/")):
            return why.Cause("no_space", "The disk is full; not even rpm's own words could be written.")
        return cause
