"""One transaction of rpm: exactly what was ordered, or nothing. What happened is read from rpm, never assumed.

Order of things: check the order, resolve it again and download everything with the former packages, check space, store
the way back, remember on disk what is installed, let the child run under rpm's lock, look again, restart what runs old
code. Up to the child's verdict every trouble is `REFUSED` with nothing changed. Next: `child.applying`, `recovery`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed as Remembered
from brakeline.agent.providers.apt.inverse import unlike
from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.agent.providers.apt.services import Services
from brakeline.agent.providers.apt.space import FileSystem, too_small
from brakeline.agent.providers.apt.staging import Staging
from brakeline.agent.providers.dnf import conffiles
from brakeline.agent.providers.dnf import plan as deciding
from brakeline.agent.providers.dnf.answers import Installed, installed_of
from brakeline.agent.providers.dnf.asking import Child, understood
from brakeline.agent.providers.dnf.keep import RpmKeeper
from brakeline.agent.providers.dnf.taken_back import TakenBack
from brakeline.agent.providers.ended import why_ended
from brakeline.agent.providers.frame import Run, Stop, applied, full, watched
from brakeline.agent.providers.model import Order, Refused
from brakeline.core.clock import Clock
from brakeline.protocol.messages import (
    Outcome,
    PackageManagerHealth,
    Transaction,
    TransactionResult,
    WayBack,
)

LOCK_BYTES: Final = 1024 * 1024  # what rpm's database may grow by, per transaction


@dataclass(frozen=True, slots=True)
class DnfApplier:
    """Applies orders on one endpoint, as root."""

    clock: Clock
    runner: Runner
    work_dir: str
    health: Callable[[], PackageManagerHealth]
    stopping: Callable[[], bool]
    keeper: RpmKeeper
    child: Child

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

    def installed(self) -> tuple[Installed, ...]:
        """What rpm has now; `Stop` if nobody can say."""
        answer = self.child.ask("look", alone=True)
        if isinstance(answer, Refused):
            raise Stop(answer.code, answer.reason)
        return installed_of(answer["installed"])


@dataclass(frozen=True, slots=True)
class _Run(Run[DnfApplier]):
    """One application under way."""

    @property
    def staging(self) -> Staging:
        return self.applier.staging(self.order)

    def carry_out(self, blank: TransactionResult) -> TransactionResult:
        """All steps; raises `Stop` as long as nothing was changed."""
        transaction = self.untampered()
        before = self._agreed(transaction)
        kept = self._fetched()
        changed = self._changed_conffiles(transaction)
        services = Services(self.applier.runner, self.order.rules)
        whole = self.applier.child.root == "/"  # another root has no processes of its own
        before_it = watched(services if whole else None)
        self.go_on()
        self.forbid(TakenBack(self.applier.runner, self.applier.child.root), "versionlock's list")
        self.staging.remember_before(Remembered(p.name, p.architecture, p.version, "", "", p.state) for p in before)
        self.log("Installing.")
        ran = self._job("apply", lock_wait_s=max(5, self.order.bounds.lock_wait_s))
        after = self._after(before, ran)
        good, bad = before_it.restarted(self.bounds)
        if whole:
            services.remember()
        stayed, replaced = conffiles.beside(changed, self.applier.runner.path(self.applier.child.root))
        result = self._judged(blank, ran, before, after, replaced)
        return replace(result, way_back=kept, conffiles_kept=stayed, services_restarted=good, services_failed=bad)

    # --- before anything is changed ---

    def _agreed(self, transaction: Transaction) -> tuple[Installed, ...]:
        """What is installed now, once the order itself is sound and allowed."""
        inverse = self.order.inverse
        if inverse is not None and unlike(inverse, transaction):
            raise Stop("refused", "The order is not a part of the way back that this endpoint stored.")
        if inverse is not None and (damaged := self.applier.keeper.damaged(inverse)):
            raise Stop("no_way_back", f"The kept archive of {damaged} is damaged or gone.")
        installed = self.applier.installed()
        if not deciding.unproven(transaction, installed):
            raise Stop("nothing_to_do", "Everything that was ordered is installed already.")
        if sick := deciding.problems_of(installed):
            raise Stop("unhealthy", f"The package manager is broken: {rules.named(sick)}.")
        refused = rules.refuse_broken(transaction, self.order.rules)
        if refused := refused or rules.refuse_beyond(transaction, self.order.bounds, frozenset()):
            raise Stop(refused.code, refused.reason)
        return installed

    def _fetched(self) -> WayBack:
        """Everything downloaded and verified, room for it all, and the way back stored."""
        self.staging.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.staging.log.with_name("verdict.json").unlink(missing_ok=True)
        self.go_on()
        self.log("Downloading.")
        back = self.order.inverse is None
        try:
            if back:
                self.applier.keeper.begin()
        except OSError as e:
            raise Stop("no_space", f"There is no room for the way back: {e.strerror}.") from None
        answer = understood(self._job("fetch", keep=self.applier.keeper.aside if back else ""))
        if isinstance(answer, Refused):
            raise Stop(answer.code, answer.reason)
        if short := self._shortage(answer):
            raise Stop("no_space", f"Too little disk space: {short}.")
        if not back:
            return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
        gone = [str(x) for x in answer["not_kept"]]
        kept = self.applier.keeper.finish(self.order, answer["kept"], gone, self.applier.clock.now_ms())
        self.log(kept.told[0].upper() + kept.told[1:])
        return kept

    def _shortage(self, figures: dict[str, Any]) -> str:
        """rpm unpacks a package beside its old files: growth of all, and the largest once more."""
        v = os.statvfs(self.applier.runner.path(self.applier.child.root))
        need = max(0, int(figures["growth"])) + int(figures["largest"]) + LOCK_BYTES
        system = FileSystem(self.applier.child.root, v.f_bfree * v.f_frsize)
        return too_small({system.mount: need}, (system,), self.order.bounds.disk_reserve_bytes)

    def _changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:
        return changed_conffiles(self.applier.runner, self.applier.child.root, transaction)

    # --- after ---

    def _after(self, before: tuple[Installed, ...], ran: Ran) -> tuple[Installed, ...]:
        """What rpm has now; `Stop` if rpm was never started and nothing is different."""
        after = self.applier.installed()
        if deciding.known(after) == deciding.known(before) and not self._verdict():
            answer = understood(ran)
            if isinstance(answer, Refused):
                raise Stop(answer.code, answer.reason)
            raise Stop("failed", rules.named(answer.get("errors", ())) or "dnf gave no reason.")
        return after

    def _judged(
        self,
        blank: TransactionResult,
        ran: Ran,
        before: tuple[Installed, ...],
        after: tuple[Installed, ...],
        replaced: tuple[str, ...],
    ) -> TransactionResult:
        """What came of it, by rpm's records; what its scripts came to is told by rpm alone, while it runs."""
        transaction = self.order.transaction
        changes = deciding.changes_between(deciding.known(before), deciding.known(after))
        wrong = deciding.unproven(transaction, after) + deciding.problems_of(after)
        wrong += deciding.unordered(transaction, deciding.known(before), deciding.known(after))
        code, why = self._why(ran)
        if not wrong and not code:
            detail = f"All {len(transaction.actions)} changes are as ordered, proven by rpm's records."
            if replaced:
                detail += f" The package replaced {rules.named(replaced)}; the former is beside as .rpmsave."
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        now = f" Now: {'; '.join(wrong[: rules.NAMED_MAX])}." if wrong else " Every version is as ordered all the same."
        why = why or "dnf reported success."
        return replace(blank, outcome=Outcome.FAILED, code=code or "verify_failed", detail=why + now, changes=changes)

    def _why(self, ran: Ran) -> tuple[str, str]:
        """Code and sentence; "" = the child reported no trouble."""
        code, reason = self._reported(ran)
        if code in ("failed", "package_failed") and full(self.applier.runner.path(self.applier.child.root)):
            return "no_space", f"The disk is full: {reason}"
        return code, reason

    def _reported(self, ran: Ran) -> tuple[str, str]:
        if ran.timed_out:
            return "timeout", why_ended(ran.text, ran.killed, self.order.bounds.run_s_max)
        answer = understood(ran)
        if isinstance(answer, Refused):
            code = "killed" if ran.rc < 0 or ran.rc == 137 else "failed"
            return code, answer.reason
        errors = [str(e) for e in answer.get("errors", ())]
        if not errors:
            return "", ""
        text = " ".join(errors)
        code = "maintainer_script_failed" if "scriptlet" in text else "package_failed"
        return ("no_space" if "No space left" in ran.text else code), f"{rules.named(errors)}."

    # --- small ones ---

    def _job(self, verb: str, **more: object) -> Ran:
        order, directory = self.order, f"{self.applier.work_dir}/{self.order.transaction_id}"
        archives: dict[str, str] = {}
        if order.inverse is not None:
            archives = deciding.archives_of(replace(order.inverse, transaction=order.transaction))
        return self.applier.child.do(
            verb, file=self.staging.log.with_name(f"{verb}.json"), inside=f"{directory}/{verb}.json",
            timeout_s=self.left_s(), log=self.staging.log,
            actions=deciding.rows_of(order.transaction), archives=archives, removals=order.bounds.allow_removals,
            new=order.bounds.allow_new_packages, back=order.inverse is not None, verdict=f"{directory}/verdict.json",
            download_kib_s=order.bounds.download_kib_s, **more,
        )  # fmt: skip

    def _verdict(self) -> bool:
        """True once rpm was let go."""
        try:
            return bool(json.loads(self.staging.log.with_name("verdict.json").read_text())["same"])
        except (OSError, ValueError, KeyError):
            return False


def changed_conffiles(runner: Runner, root: str, transaction: Transaction) -> tuple[str, ...]:
    """Configuration files changed here, of packages that would get another version."""
    concerned = [f"{a.name}-{a.before.rpartition(':')[2]}.{a.architecture}" for a in transaction.actions
                 if a.before and a.after]  # fmt: skip
    if not concerned:
        return ()
    text = runner.query("rpm", "--root", root, "-q", "--qf", conffiles.FORMAT, *concerned).text
    return conffiles.changed(conffiles.parse(text), runner.path(root))
