"""One transaction: exactly what was ordered, or nothing. What happened is read from the local database, never assumed.

Order of things: wait for the lock (bounded), ask pacman again and compare, check space, download everything, store the
way back, lend the planned databases to pacman, let it run with the hooks in it, look again. Up to the hooks' yes every
trouble is `REFUSED` with nothing changed, and the live databases are put back. Next: `recovery`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from brakeline.agent.providers.apt import plan as bounded
from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.agent.providers.apt.services import Services
from brakeline.agent.providers.frame import Run, applied, full, watched
from brakeline.agent.providers.model import Order, Refused
from brakeline.agent.providers.pacman import parse
from brakeline.agent.providers.pacman import plan as rules
from brakeline.agent.providers.pacman.again import Left, half_installed
from brakeline.agent.providers.pacman.keep import Keeper
from brakeline.agent.providers.pacman.lists import Lists
from brakeline.agent.providers.pacman.locks import Lock, lock_of
from brakeline.agent.providers.pacman.parse import Configuration
from brakeline.agent.providers.pacman.planner import Planner
from brakeline.agent.providers.pacman.queries import PRIVATE, Queries, answers
from brakeline.agent.providers.pacman.records import Installed, changes_between
from brakeline.agent.providers.pacman.refresh import Failure, blame, failed_script
from brakeline.agent.providers.pacman.staging import Staging, halves
from brakeline.agent.providers.pacman.taken_back import VARIABLE, TakenBack
from brakeline.core.clock import Clock
from brakeline.protocol.messages import (
    Outcome,
    PackageManagerHealth,
    Transaction,
    TransactionResult,
    WayBack,
)


@dataclass(frozen=True, slots=True)
class PacmanApplier:
    """Applies orders on one endpoint, as root."""

    clock: Clock
    runner: Runner
    work_dir: str
    pause: Callable[[float], None]
    health: Callable[[], PackageManagerHealth]
    stopping: Callable[[], bool]  # somebody wants this process to end: nothing new is begun
    keeper: Keeper
    python: str = "/usr/bin/python3"  # as the endpoint names it: runs the hook

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Carry out the order. Always a result; `REFUSED` means that nothing was changed."""
        run = _Run(self, order, log, self.clock.monotonic_s() + order.bounds.run_s_max)
        return applied(run, run.carry_out, run.staging.log)

    def staging(self, order: Order) -> Staging:
        """Where the files of this transaction are."""
        return Staging(self.runner, f"{self.work_dir}/{order.transaction_id}", self.python)

    def way_back(self, transaction_id: str) -> WayBack | None:
        """What was stored before it began."""
        return self.keeper.way_back(transaction_id)


@dataclass(frozen=True, slots=True)
class _Run(Run[PacmanApplier]):
    """One application under way."""

    @property
    def runner(self) -> Runner:
        return self.applier.runner

    @property
    def queries(self) -> Queries:
        return Queries(self.runner)

    @property
    def staging(self) -> Staging:
        return self.applier.staging(self.order)

    def carry_out(self, blank: TransactionResult) -> TransactionResult:
        """All steps; raises `Stop` as long as nothing was changed."""
        known = self.queries.configuration()
        self.wait_for_lock(lambda: self._held(known), self.applier.pause)
        transaction = self.untampered()
        before = self._agreed(transaction, known)
        self.staging.prepare(transaction, self._local(known), {})
        if self.order.inverse is None:
            self._download(known, self._again(before))
        kept = self._keep_way_back(known, before)
        services = Services(self.runner, self.order.rules)
        before_it = watched(services)
        self.go_on()
        self.forbid(TakenBack(self.runner), "pacman's hooks")
        ran = self._run(transaction, known, before)
        after = self.queries.installed(known)
        good, bad = before_it.restarted(self.bounds)
        return replace(
            self._judged(blank, ran, before, after),
            way_back=kept,
            conffiles_kept=parse.kept_conffiles(ran.text),
            services_restarted=good,
            services_failed=bad,
        )

    # --- before anything is changed ---

    def _held(self, known: Configuration) -> Lock | None:
        """A stale lock is nobody's to wait for."""
        lock = lock_of(self.runner, known.db_path)
        if lock is not None and lock.stale:
            self.stop("unhealthy", f"{lock.lock} was left behind by a run that was killed: no process has it "
                                   "open. Look at what that run left, then remove the file.")  # fmt: skip
        return lock

    def _agreed(self, transaction: Transaction, known: Configuration) -> tuple[Installed, ...]:
        """What is installed now, once it is certain that the order is still what pacman would do."""
        if self.bounds.conffile_policy != "keep":
            self.stop("refused", "pacman always keeps a changed configuration file and lays the new one beside it "
                                  f"(.pacnew); the policy {self.bounds.conffile_policy!r} cannot be kept.")  # fmt: skip
        installed = self.queries.installed(known)
        if not rules.unproven(transaction, installed):
            self.stop("nothing_to_do", "Everything that was ordered is installed already.")
        again = self._again(installed)
        if problems := self.queries.problems(installed, again):
            self.stop("unhealthy", f"The package manager is broken: {bounded.named(problems)}.")
        planner = Planner(self.queries, self.order.rules)
        if self.order.inverse is not None:
            self._only_what_was_kept(transaction)
        else:
            found = planner.upgrade(known, installed, self.bounds, again)
            if isinstance(found, Refused):
                self.stop("changed", f"The situation has changed since the plan: {found.reason}")
            if differs := bounded.difference(transaction, found.transaction):
                self.stop("changed", f"The situation has changed since the plan: {differs}.")
            if short := planner.shortage(known, found, installed, self.bounds):
                self.stop("no_space", f"Too little disk space: {short}.")
        if refused := planner.refuse(transaction, installed, self.bounds):
            self.stop(refused.code, refused.reason)
        return installed

    def _only_what_was_kept(self, transaction: Transaction) -> None:
        """A way back is a part of the one that was stored here, with the very archives."""
        inverse = self.applier.keeper.of_transaction(self.order.inverse.transaction_id) if self.order.inverse else None
        if (
            inverse is None
            or not transaction.actions
            or not set(transaction.actions) <= set(inverse.transaction.actions)
        ):
            self.stop("refused", "The order is not a part of the way back that this endpoint stored.")
        if damaged := self.applier.keeper.damaged(inverse):
            self.stop("no_way_back", f"The kept archive of {damaged} is damaged or gone.")

    def _again(self, installed: tuple[Installed, ...]) -> tuple[str, ...]:
        """What an earlier run left half-installed, and this order puts there again."""
        return half_installed(installed, (a.name for a in self.order.transaction.actions if a.after))

    def _download(self, known: Configuration, again: tuple[str, ...]) -> None:
        """Fetch and verify every package first, so that the change itself needs no network."""
        self.log("Downloading.")
        base = self.queries.sync_path(known)
        ran = (
            self._pacman("--dbpath", base, "--logfile", "/dev/null", "-Suw", *again)
            if base == PRIVATE
            else self._pacman("-Suw", *again)
        )
        missing = [a for a in self.order.transaction.actions if a.after and not self._fetched(known, a.name, a.after)]
        if ran.timed_out or ran.rc != 0 or missing:
            why = self._why(ran)
            names = bounded.named(f"{a.name} {a.after}" for a in missing)
            self.stop(why.code, f"{names or 'A package'} could not be downloaded: {why.reason}")

    def _fetched(self, known: Configuration, name: str, version: str) -> bool:
        architecture = next(a.architecture for a in self.order.transaction.actions if a.name == name)
        return bool(rules.archive_of(name, version, architecture, self.queries.cached(known)))

    def _keep_way_back(self, known: Configuration, before: tuple[Installed, ...]) -> WayBack:
        cached, now = self.queries.cached(known), self.applier.clock.now_ms()
        return self.applier.keeper.keep(self.order, cached, before, now, self.log)

    # --- the run ---

    def _run(self, transaction: Transaction, known: Configuration, before: tuple[Installed, ...]) -> Ran:
        """pacman with the hooks in it. Live databases are lent for an upgrade, and given back if nothing came of it."""
        lists, keep = Lists(self.runner), f"{self.staging.directory}/live-sync"
        lend = self.order.inverse is None and self.queries.sync_path(known) == PRIVATE
        if lend:
            lists.lend(known, keep)
        live = lists.databases(known.db_path)
        named = {str(f"{known.db_path.rstrip('/')}/sync/{n}"): digest for n, digest in live.items()}
        self.staging.prepare(transaction, self._local(known), named if self.order.inverse is None else {})
        self.staging.remember_before(before)
        self.log("Installing.")
        ran = self._upgraded(known, before) if self.order.inverse is None else self._taken_back(known, before)
        untouched = self.queries.installed(known) == before
        if untouched and lend:
            lists.give_back(known, keep)
        verdict = self.staging.verdict()
        if verdict.difference and untouched:
            self.stop("changed", f"What pacman was about to do was not what was ordered: {verdict.difference}.")
        if untouched and not verdict.asked:
            why = self._why(ran)
            self.stop(why.code, f"pacman changed nothing: {why.reason}")
        return ran

    def _upgraded(self, known: Configuration, before: tuple[Installed, ...]) -> Ran:
        """The whole upgrade, and with it what was left half-installed; whose mark was lost with its entry."""
        if not (again := self._again(before)):
            return self._pacman(*self._hooks(known), "-Su")
        cached, comes = self.queries.cached(known), {a.name: a for a in self.order.transaction.actions}
        files = [rules.archive_of(n, comes[n].after, comes[n].architecture, cached) for n in again]
        ran = self._pacman(*self._hooks(known), *self._over(known, again, [cached[f] for f in files]), "-Su", *again)
        if lost := [n for n in again if n in self.applier.keeper.automatic()]:
            self.runner.query("pacman", "-D", "--asdeps", "--noconfirm", *lost)
        return ran

    def _over(self, known: Configuration, again: tuple[str, ...], archives: list[str]) -> tuple[str, ...]:
        if again:
            self.log(f"Putting there again what an earlier run left half-installed: {bounded.named(again)}.")
        return Left(self.queries).options(known, again, archives)

    def _taken_back(self, known: Configuration, before: tuple[Installed, ...]) -> Ran:
        """Former versions by their kept files; then what the update had brought is removed, if it is there still."""
        inverse = self.order.inverse
        assert inverse is not None
        puts, goes = halves(self.order.transaction)
        files = [x.path for x in inverse.archives if x.name in puts]
        over = self._over(known, self._again(before), files)
        ran = self._pacman(*self._hooks(known), *over, "-U", *files) if files else Ran(0, "")
        have = {p.name for p in self.queries.installed(known)}
        left = [n for n in goes if n in have]
        if left and ran.rc == 0:
            more = self._pacman(*self._hooks(known), "-R", *left)
            ran = Ran(more.rc, ran.text + more.text, more.timed_out, more.killed)
        if again := [n for n in inverse.automatic if n in puts]:
            self.runner.query("pacman", "-D", "--asdeps", "--noconfirm", *again)
        return ran

    # --- after ---

    def _judged(
        self, blank: TransactionResult, ran: Ran, before: tuple[Installed, ...], after: tuple[Installed, ...]
    ) -> TransactionResult:
        """What came of it, by the local database; a failed scriptlet leaves its trace in pacman's words alone."""
        transaction, changes = self.order.transaction, changes_between(before, after)
        wrong = rules.unproven(transaction, after) + self.queries.problems(after)
        script = failed_script(ran.text)
        if not wrong and not script and not ran.timed_out:
            detail = f"All {len(transaction.actions)} changes are as ordered, proven by the local database."
            if ran.rc != 0:
                detail += f" pacman itself ended with {ran.rc}: {self._why(ran).reason}"
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        why = (
            self._why(ran)
            if ran.rc != 0 or ran.timed_out or script
            else Failure("verify_failed", "pacman reported success.")
        )
        now = f"Now: {'; '.join(dict.fromkeys(wrong[: bounded.NAMED_MAX]))}." if wrong else "Its version is installed."
        return replace(blank, outcome=Outcome.FAILED, code=why.code, detail=f"{why.reason} {now}", changes=changes)

    # --- small ones ---

    def _pacman(self, *arguments: str) -> Ran:
        words = (
            "pacman",
            "--noconfirm",
            answers(removals=self.bounds.allow_removals),
            "--noprogressbar",
            "--color=never",
        )
        with open(self.staging.log, "ab+") as log:
            passes = {VARIABLE: "order"}  # what an order brings is compared with the order
            return self.runner.job(*words, *arguments, timeout_s=self.left_s(), log=log, environment=passes)

    def _hooks(self, known: Configuration) -> tuple[str, ...]:
        """Every hook directory that the endpoint has, and ours last."""
        return tuple(word for d in (*known.hooks, self.staging.hooks) for word in ("--hookdir", d))

    def _local(self, known: Configuration) -> str:
        return f"{known.db_path.rstrip('/')}/local"

    def _why(self, ran: Ran) -> Failure:
        why = blame(ran.text, ran.rc, timed_out=ran.timed_out, killed=ran.killed, limit_s=self.bounds.run_s_max)
        if why.code == "failed" and full(self.runner.path("/")):
            return Failure("no_space", f"The disk is full: {why.reason}")
        return why
