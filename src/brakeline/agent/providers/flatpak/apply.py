"""One transaction of flatpak: exactly the ordered commits, or nothing; what came of it is what `active` points to.

Order of things: wait for the lock, check space, pull every commit without deploying, keep a ref to each former commit,
write down what is there, deploy from the local repository alone. Up to that every trouble is `REFUSED`. A commit that
cannot be deployed takes those before it back with it: all or nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between
from brakeline.agent.providers.apt.inverse import inverse_of, joined
from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.agent.providers.beside import after_loss, before_of, remember, unfit, why_not
from brakeline.agent.providers.flatpak.lists import FLATPAK, Lists
from brakeline.agent.providers.flatpak.refs import Head, Ref, is_of, runtime_of, why
from brakeline.agent.providers.flatpak.store import HOME, Store
from brakeline.agent.providers.frame import UNTOUCHED
from brakeline.agent.providers.model import Inverse, Order, Refused
from brakeline.agent.providers.pip.keep import RECORD, Keeper
from brakeline.core.clock import Clock
from brakeline.protocol import codec
from brakeline.protocol.messages import Action, ActionKind, Outcome, Transaction, TransactionResult, WayBack

ALWAYS = ("--system", "--noninteractive", "-y", "--no-related")
ALONE = (*ALWAYS, "--no-deps")
LOCK_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class FlatpakApplier:
    """Applies orders to the system-wide installation, as root."""

    clock: Clock
    runner: Runner
    work_dir: str
    keeper: Keeper
    stopping: Callable[[], bool]
    sleep: Callable[[float], None]

    @property
    def store(self) -> Store:
        return Store(self.runner)

    def apply(self, order: Order, blank: TransactionResult, log: Callable[[str], None]) -> TransactionResult:
        """Carry out the order; `blank` is the refusal that it is until something was changed."""
        before = self.store.installed()
        deadline = self.clock.monotonic_s() + order.bounds.run_s_max
        refused = self._unfit(order, before) or self._locked(order) or self._ready(order, log, deadline)
        if refused is not None:
            log(f"Refused, nothing was changed: {refused.reason}")
            return replace(blank, code=refused.code, detail=refused.reason)
        kept = self._keep(order)
        if not kept.stored:
            log(kept.reason)
        if self.stopping():
            return replace(blank, code="shutdown", detail="The transaction was asked to stop before it began.")
        remember(self.runner.path(f"{self.work_dir}/{order.transaction_id}"), before)
        log("Deploying.")
        ran = self._deploy(order, deadline)
        wrong = self.wrong(order)
        if wrong and kept.stored and order.bounds.repair:
            log("Putting the former commits back.")
            self._put_back(order)
        return replace(self._judged(blank, order, ran, before, wrong), way_back=kept)

    def _unfit(self, order: Order, before: tuple[Installed, ...]) -> Refused | None:
        if told := unfit(order, before, ""):
            return told
        now = by_key(before)
        for a in order.transaction.actions:
            here = now.get(f"{a.name}:{a.architecture}")
            if here is not None and here.held and order.inverse is None:
                return Refused("held", f"{a.name} is masked on this endpoint by its owner.")
            if (here.version if here is not None else "") not in (a.before, a.after):
                return Refused("changed", f"The situation has changed since the plan: {a.name} is not {a.before}.")
        return rules.refuse_broken(order.transaction, order.rules)

    def _locked(self, order: Order) -> Refused | None:
        """Wait for whoever works on the installation; flatpak itself would wait for ever, and name nobody."""
        until = self.clock.monotonic_s() + order.bounds.lock_wait_s
        while holder := self.store.lock_holder():
            if self.clock.monotonic_s() >= until:
                waited = order.bounds.lock_wait_s
                return Refused(
                    "lock_timeout", f"flatpak's lock has been held by {holder} for the {waited} s we waited."
                )
            self.sleep(LOCK_POLL_S)
        return None

    def _ready(self, order: Order, log: Callable[[str], None], deadline: float) -> Refused | None:
        """Every commit lies in the local repository afterwards, or the reason why not."""
        if order.inverse is not None:
            return self._unkept(order, order.inverse)
        pairs = [(a, self._head(a)) for a in order.transaction.actions]
        if unknown := [a.name for a, found in pairs if found is None]:
            return Refused("changed", f"The lists of this endpoint do not have the ordered {rules.named(unknown)}.")
        heads = [found for _, found in pairs if found is not None]
        if short := self._short(heads, order.bounds.disk_reserve_bytes):
            return short
        log("Downloading.")
        for action, found in zip(order.transaction.actions, heads, strict=True):
            if refused := self._pull(action, found, deadline):
                return refused
        return None

    def _unkept(self, order: Order, inverse: Inverse) -> Refused | None:
        if not set(order.transaction.actions) <= set(inverse.transaction.actions):
            return Refused("refused", "The order is not a part of the way back that this endpoint stored.")
        gone = [a.name for a in order.transaction.actions if a.after and not self._kept(order, a)]
        return Refused("no_way_back", f"The kept commit of {rules.named(gone)} is damaged or gone.") if gone else None

    def _kept(self, order: Order, action: Action) -> str:
        place = self.keeper.place(order.inverse.rollout_id if order.inverse else order.rollout_id)
        return self.store.kept(place.rpartition("/")[2], self._ref(action))

    def _ref(self, action: Action) -> Ref:
        return self.store.ref_of(action.name, action.architecture)

    def _head(self, action: Action) -> Head | None:
        heads = Lists(self.runner).heads().get(str(self._ref(action)), ())
        return next((o for o in heads if is_of(action.after, o.commit)), None)

    def _short(self, heads: list[Head], reserve_bytes: int) -> Refused | None:
        need = sum(o.installed_bytes + o.download_bytes for o in heads) + reserve_bytes
        s = os.statvfs(self.runner.path(HOME))
        if s.f_bavail * s.f_frsize >= need:
            return None
        return Refused("no_space", f"Too little disk space: {need >> 20} MiB are needed on {HOME}.")

    def _pull(self, action: Action, found: Head, deadline: float) -> Refused | None:
        new = ("install", *ALONE, "--no-auto-pin", "--no-deploy", found.remote, found.ref)
        newer = ("update", *ALONE, "--no-deploy", f"--commit={found.commit}", found.ref)
        ran = self._flatpak(deadline, *(new if action.kind is ActionKind.INSTALL else newer))
        if self.store.pulled(found.remote, self._ref(action)) == found.commit and self._whole(found.commit):
            return None
        if ran.timed_out:
            return Refused("network", f"{action.name} could not be fetched in time.")
        told = why(ran.text)
        if ran.rc == 0 or told.code == "lists_stale":
            return Refused("changed", f"The remote does not have the ordered commit of {action.name} any more.")
        return Refused(told.code, f"{action.name}: {told.reason}")

    def _whole(self, commit: str) -> bool:
        """Whether a commit is there and not marked as partly pulled."""
        repo = self.store.repo
        partial = (repo / "state" / f"{commit}.commitpartial").exists()
        return not partial and (repo / f"objects/{commit[:2]}/{commit[2:]}.commit").exists()

    def _flatpak(self, deadline: float, *words: str) -> Ran:
        left = max(1.0, deadline - self.clock.monotonic_s())
        return self.runner.job(*FLATPAK, *words, timeout_s=left)

    def _keep(self, order: Order) -> WayBack:
        if order.inverse is not None:
            return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
        place = self.keeper.place(order.rollout_id)
        try:
            self.keeper.forget_oldest()
            for a in order.transaction.actions:
                if a.before:
                    self.store.keep(place.rpartition("/")[2], self._ref(a))
            back = inverse_of(order.transaction)
            inverse = Inverse(order.transaction_id, order.rollout_id, back, (), made_ms=self.clock.now_ms())
            if (earlier := self.keeper.stored(order.rollout_id)) is not None:  # of a try that did a part of it
                inverse = joined(inverse, earlier)
            self.runner.path(place).mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(self.runner.path(place) / RECORD, codec.encode(inverse))
            self.store.forget_all_but(set(os.listdir(self.runner.path(self.keeper.directory))))
        except OSError as e:
            return WayBack(False, code="no_space", reason=f"The former commits could not be kept: {e.strerror}.")
        return WayBack(True, len(inverse.transaction.actions))

    def _deploy(self, order: Order, deadline: float) -> Ran:
        """In turn, from the local repository alone; ends at the first that fails."""
        ran = Ran(0, "")
        for a in in_turn(order.transaction):
            ran = self._go(a, self._commit(order, a), deadline)
            if ran.timed_out or rules.unproven(rules.make_transaction([a]), by_key(self.store.installed())):
                break
        return ran

    def _commit(self, order: Order, action: Action) -> str:
        if order.inverse is not None:
            return self._kept(order, action)
        found = self._head(action)
        return found.commit if found is not None else ""

    def _go(self, action: Action, commit: str, deadline: float) -> Ran:
        ref = self._ref(action)
        if action.kind is ActionKind.REMOVE:
            return self._flatpak(deadline, "uninstall", *ALWAYS, str(ref))
        if action.kind is ActionKind.INSTALL:
            found = self._head(action)
            remote = found.remote if found is not None else self.store.origin(ref)
            return self._flatpak(deadline, "install", *ALONE, "--no-auto-pin", "--no-pull", remote, str(ref))
        self.store.point(self.store.origin(ref), ref, commit)
        return self._flatpak(deadline, "update", *ALONE, "--no-pull", str(ref))

    def _put_back(self, order: Order) -> None:
        """Undo what was deployed of a run that failed, the last first."""
        deadline = self.clock.monotonic_s() + order.bounds.run_s_max
        now = by_key(self.store.installed())
        for a in in_turn(inverse_of(order.transaction)):
            here = now.get(f"{a.name}:{a.architecture}")
            if here is not None and here.version == a.before:
                self._go(a, self._kept(order, a) if a.after else "", deadline)

    def wrong(self, order: Order) -> tuple[str, ...]:
        """Differences between the order and what is deployed, and runtimes that are not there."""
        wrong = rules.unproven(order.transaction, by_key(self.store.installed()))
        return wrong or tuple(filter(None, (self._baseless(a) for a in order.transaction.actions if a.after)))

    def _baseless(self, action: Action) -> str:
        try:
            metadata = self.runner.path(f"{HOME}/{self._ref(action)}/active/metadata").read_text()
        except OSError:
            return f"{action.name} has no metadata"
        runtime = runtime_of(metadata)
        there = not runtime or self.runner.path(f"{HOME}/{runtime}/active/files").exists()
        return "" if there else f"{action.name} needs {runtime}, which is not installed"

    def _judged(
        self, blank: TransactionResult, order: Order, ran: Ran, before: tuple[Installed, ...], wrong: tuple[str, ...]
    ) -> TransactionResult:
        changes = changes_between(before, self.store.installed())
        if not wrong:
            detail = f"All {len(order.transaction.actions)} commits are deployed as ordered."
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        told = why_not(why(ran.text), ran, order.bounds.run_s_max, "flatpak")
        state = "The former commits are there as before." if not changes else f"Now: {rules.named(wrong)}."
        return replace(blank, outcome=Outcome.FAILED, code=told.code, detail=f"{told.reason} {state}", changes=changes)

    def recover(self, order: Order, blank: TransactionResult, log: Callable[[str], None]) -> TransactionResult:
        """What a lost run left, finished from the local repository, if the bounds allow."""
        log("Examined after a lost run.")
        before = before_of(self.runner.path(f"{self.work_dir}/{order.transaction_id}/before.json"))
        if before is None:
            return replace(blank, detail=UNTOUCHED[1])
        was_wrong = wrong = self.wrong(order)
        untouched = not changes_between(before, self.store.installed())
        if wrong and not untouched and order.bounds.repair:
            self._deploy(order, self.clock.monotonic_s() + order.bounds.run_s_max)
            wrong = self.wrong(order)
        now, still = self.store.installed(), "Still not as ordered"
        return after_loss(blank, before, now, wrong, healed=bool(was_wrong), still=still)


def in_turn(transaction: Transaction) -> list[Action]:
    """A runtime comes before the application that needs it, and goes after it: flatpak removes none that is in use."""
    turn = {ActionKind.INSTALL: 0, ActionKind.REMOVE: 2}
    return sorted(transaction.actions, key=lambda a: turn.get(a.kind, 1))
