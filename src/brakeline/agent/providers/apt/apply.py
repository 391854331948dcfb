"""One transaction: exactly what was ordered, or nothing. What happened is read from dpkg afterwards, never assumed.

Order of things: wait for locks (bounded), ask apt again and compare, check space, download everything, store the way
back (`keep`), look at states and services, let apt run with the hook in it, look again, restart what runs old code. Up
to the run of dpkg every trouble is `REFUSED` with nothing changed. Next: `staging` and `hook` (exactness), `blame`
(why), `repair`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.blame import Blame, blame
from brakeline.agent.providers.apt.disk import Disk
from brakeline.agent.providers.apt.dpkg import Installed, LogFacts, by_key, changes_between, parse_log
from brakeline.agent.providers.apt.inverse import arguments, unlike
from brakeline.agent.providers.apt.keep import Keeper
from brakeline.agent.providers.apt.locks import ARCHIVES_LOCK, DPKG_LOCKS, holder
from brakeline.agent.providers.apt.marks import Marks
from brakeline.agent.providers.apt.pins import Pins
from brakeline.agent.providers.apt.planner import Planner
from brakeline.agent.providers.apt.queries import Queries, Records
from brakeline.agent.providers.apt.repair import Repair
from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.agent.providers.apt.services import Services
from brakeline.agent.providers.apt.staging import CONFFILE_ENVIRONMENT, Staging
from brakeline.agent.providers.frame import Run, applied, watched
from brakeline.agent.providers.model import Order, Refused
from brakeline.core.clock import Clock
from brakeline.protocol.messages import (
    Outcome,
    PackageManagerHealth,
    Transaction,
    TransactionResult,
    WayBack,
)

DPKG_LOG = "/var/log/dpkg.log"


@dataclass(frozen=True, slots=True)
class AptApplier:
    """Applies orders on one endpoint, as root."""

    clock: Clock
    runner: Runner
    work_dir: str
    pause: Callable[[float], None]
    health: Callable[[], PackageManagerHealth]
    stopping: Callable[[], bool]  # somebody wants this process to end: nothing new is begun, what has begun is finished
    keeper: Keeper

    @property
    def planner(self) -> Planner:
        return Planner(Queries(self.runner), Disk(self.runner))

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Carry out the order. Always a result; `REFUSED` means that nothing was changed."""
        run = _Run(self, order, log, self.clock.monotonic_s() + order.bounds.run_s_max)
        return applied(run, run.carry_out, run.staging.log)

    def staging(self, order: Order) -> Staging:
        """Where the files of this transaction are."""
        return Staging(self.runner, f"{self.work_dir}/{order.transaction_id}")

    def way_back(self, transaction_id: str) -> WayBack | None:
        """What was stored before it began."""
        return self.keeper.way_back(transaction_id)


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was found when the order was compared: asked once, as nothing of it changes before dpkg runs."""

    installed: tuple[Installed, ...]
    records: Records  # of everything that the transaction unpacks
    ready: bool  # every archive is in apt's cache already: there is nothing to fetch


@dataclass(frozen=True, slots=True)
class _Run(Run[AptApplier]):
    """One application under way."""

    @property
    def runner(self) -> Runner:
        return self.applier.runner

    @property
    def staging(self) -> Staging:
        return self.applier.staging(self.order)

    def carry_out(self, blank: TransactionResult) -> TransactionResult:
        """All steps; raises `Stop` as long as nothing was changed."""
        locks = (*DPKG_LOCKS, ARCHIVES_LOCK)
        waited = self.wait_for_lock(lambda: holder(self.runner, locks), self.applier.pause)
        transaction = self.untampered()
        agreed = self._agreed(transaction)
        before, marks = agreed.installed, Marks(self.runner)
        lock_wait_s = max(5, self.bounds.lock_wait_s - waited)
        self.staging.prepare(transaction, self.bounds.conffile_policy, lock_wait_s, self.bounds.download_kib_s)
        if not agreed.ready:
            self._download(transaction)
        automatic = marks.automatic()
        kept = self._keep_way_back(transaction, automatic, agreed)
        self.forbid(Pins(self.runner), "apt's preferences")
        services = Services(self.runner, self.order.rules)
        before_it = watched(services)
        log_start = self._log_size()
        self.go_on()
        self.staging.remember_before(before)
        self.log("Installing.")
        # With kept archives by their files "--no-download" would make apt hand dpkg no files at all.
        here = () if self.order.inverse else ("--no-download",)
        ran = self._apt(*here, "install", *self._arguments(transaction))
        self._stop_if_untouched(ran, before, log_start)
        repaired = self._repair(transaction)
        after = self._after(transaction, automatic, marks)
        facts = self._log_facts(log_start)
        good, bad = before_it.restarted(self.bounds)
        services.remember()
        result = self._judged(blank, ran, before, after, repaired)
        return replace(
            result,
            way_back=kept,
            conffiles_kept=facts.conffiles_kept,
            services_restarted=good,
            services_failed=bad,
        )

    # --- before anything is changed ---

    def _agreed(self, transaction: Transaction) -> Agreed:
        """What is here now, once it is certain that the order is still what apt would do."""
        if self.bounds.conffile_policy not in CONFFILE_ENVIRONMENT:
            self.stop("refused", f"There is no policy {self.bounds.conffile_policy!r} for configuration files.")
        self._only_what_was_kept(transaction)
        planner = self.applier.planner
        installed = planner.queries.installed()
        if not rules.unproven(transaction, by_key(installed)):
            self.stop("nothing_to_do", "Everything that was ordered is installed already.")
        targets = {f"{a.name}:{a.architecture}" for a in transaction.actions}
        if sick := planner.sick(installed, targets):
            self.stop(sick.code, sick.reason)
        found = planner.simulate(self._arguments(transaction), installed, self.bounds)
        if isinstance(found, Refused):
            self.stop("changed", f"The situation has changed since the plan: {found.reason}")
        if differs := rules.difference(transaction, found):
            self.stop("changed", f"The situation has changed since the plan: {differs}.")
        held = frozenset(p.key for p in installed if p.held)
        refused = rules.refuse_broken(transaction, self.order.rules)
        if refused := refused or rules.refuse_beyond(transaction, self.bounds, held):
            self.stop(refused.code, refused.reason)
        records = planner.records(found)
        if short := planner.shortage(planner.sized(found, installed, records), installed, records, self.bounds):
            self.stop("no_space", f"Too little disk space: {short}.")
        ready = self.order.inverse is None and planner.lies_ready(found, records)
        return Agreed(installed, records, ready)

    def _only_what_was_kept(self, transaction: Transaction) -> None:
        """A way back is a part of the one that was stored here, with the very archives."""
        inverse = self.order.inverse
        if inverse is None:
            return
        if unlike(inverse, transaction):
            self.stop("refused", "The order is not a part of the way back that this endpoint stored.")
        if damaged := self.applier.keeper.damaged(inverse):
            self.stop("no_way_back", f"The kept archive of {damaged} is damaged or gone.")
        try:
            self.applier.keeper.lay_ready(inverse)
        except OSError as e:
            self.stop("no_space", f"The kept archives cannot be laid ready: {e.strerror}.")

    def _keep_way_back(self, transaction: Transaction, automatic: frozenset[str], agreed: Agreed) -> WayBack:
        """Store the inverse first, unless that would leave too little room for the update itself."""
        keeper, planner = self.applier.keeper, self.applier.planner
        now_ms, records, installed = self.applier.clock.now_ms(), agreed.records, agreed.installed
        kept = keeper.keep(self.order, automatic, now_ms, self.log, self.left_s() / 4, records)
        if not kept.stored:
            return kept
        sized = planner.sized(transaction, installed, records)
        if short := planner.shortage(sized, installed, records, self.bounds):
            keeper.drop(self.order.transaction_id)
            kept = WayBack(False, code="no_space", reason=f"Too little disk space to keep it: {short}.")
            self.log(kept.told)
        return kept

    def _download(self, transaction: Transaction) -> None:
        """Fetch every archive first, so that the change itself needs no network."""
        self.log("Downloading.")
        ran = self._apt("--download-only", "install", *self._arguments(transaction))
        if ran.timed_out or "\nE: " in "\n" + ran.text:
            why = self._why(ran)
            self.stop(why.code, why.reason)

    def _stop_if_untouched(self, ran: Ran, before: tuple[Installed, ...], log_start: int) -> None:
        """The hook's refusal, or a lock that came between: dpkg was never started."""
        verdict = self.staging.verdict()
        if verdict.asked and not verdict.same:
            self.stop("changed", f"What apt was about to do was not what was ordered: {verdict.difference}.")
        if not verdict.asked and self._log_size() == log_start and Queries(self.runner).installed() == before:
            why = self._why(ran)
            self.stop(why.code, why.reason)

    # --- after ---

    def _repair(self, transaction: Transaction) -> bool:
        """Heal what states ask for; True if anything was tried."""
        if not self.bounds.repair or not rules.unproven(transaction, by_key(Queries(self.runner).installed())):
            return False
        return Repair(self.runner, self.staging, self.left_s()).repair(self.order, self.log)

    def _after(self, transaction: Transaction, automatic: frozenset[str], marks: Marks) -> tuple[Installed, ...]:
        """States afterwards, with the marks of what was installed by hand put back as they were."""
        names = {a.name for a in transaction.actions if a.before and a.after}
        again = frozenset(self.order.inverse.automatic) if self.order.inverse else frozenset()
        marks.put_back(((automatic & names) | again) - marks.automatic())
        return Queries(self.runner).installed()

    def _judged(
        self,
        blank: TransactionResult,
        ran: Ran,
        before: tuple[Installed, ...],
        after: tuple[Installed, ...],
        repaired: bool,
    ) -> TransactionResult:
        """What came of it, by dpkg's states alone; apt's words only say why."""
        transaction = self.order.transaction
        changes = changes_between(before, after)
        wrong = rules.unproven(transaction, by_key(after)) + Queries(self.runner).problems(after)
        if not wrong:
            detail = f"All {len(transaction.actions)} changes are as ordered, proven by dpkg's records."
            if repaired:
                detail += f" That took a repair: {self._why(ran).reason}"
            elif ran.rc != 0:
                detail += f" apt itself ended with {ran.rc}: {self._why(ran).reason}"
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        why = self._why(ran) if ran.rc != 0 or ran.timed_out else Blame("verify_failed", "apt reported success.")
        detail = f"{why.reason} Now: {'; '.join(dict.fromkeys(wrong[: rules.NAMED_MAX]))}."
        return replace(blank, outcome=Outcome.FAILED, code=why.code, detail=detail, changes=changes)

    # --- small ones ---

    def _apt(self, *arguments: str) -> Ran:
        options = Planner.options(self.bounds)
        command = ("apt-get", "-q", "-c", self.staging.configuration, *options, *arguments)
        environment = CONFFILE_ENVIRONMENT[self.bounds.conffile_policy]
        with open(self.staging.log, "ab+") as log:
            return self.runner.job(*command, timeout_s=self.left_s(), log=log, environment=environment)

    def _arguments(self, transaction: Transaction) -> tuple[str, ...]:
        inverse = self.order.inverse
        return rules.arguments(transaction) if inverse is None else arguments(transaction, inverse.archives)

    def _why(self, ran: Ran) -> Blame:
        return blame(ran.text, ran.rc, timed_out=ran.timed_out, killed=ran.killed, limit_s=self.bounds.run_s_max)

    def _log_size(self) -> int:
        try:
            return self.runner.path(DPKG_LOG).stat().st_size
        except OSError:
            return 0

    def _log_facts(self, start: int) -> LogFacts:
        try:
            with open(self.runner.path(DPKG_LOG), encoding="utf-8", errors="replace") as f:
                f.seek(start)
                return parse_log(f.read())
        except OSError:
            return LogFacts()
