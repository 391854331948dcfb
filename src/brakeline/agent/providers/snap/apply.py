"""One transaction of snapd: exactly the ordered revisions, or the former ones again.

snapd does a change as a whole or undoes it, in a unit of its own: our end does not end it. One that takes longer than
its time is aborted, which is undoing, and that is waited for. The way back is `revert` to the revision that was there,
which snapd keeps on the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between
from brakeline.agent.providers.apt.inverse import inverse_of, joined
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.beside import after_loss, before_of, remember, unfit
from brakeline.agent.providers.frame import UNTOUCHED
from brakeline.agent.providers.model import Inverse, Order, Refused
from brakeline.agent.providers.pip.keep import RECORD, Keeper
from brakeline.agent.providers.snap.answers import package, revision_of, why
from brakeline.agent.providers.snap.daemon import Snapd, SnapdSilent
from brakeline.core.clock import Clock
from brakeline.protocol import codec
from brakeline.protocol.messages import Action, ActionKind, Outcome, TransactionResult, WayBack

POLL_S: Final = 0.5
UNDOING_S_MAX: Final = 600.0
SILENT_S_MAX: Final = 120.0  # systemd starts it again within seconds; a snap of its own on a slow disk takes a minute
NO_ANSWER_SINCE: Final = "snapd gives no answer since the change began: what is installed is not known."
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SnapApplier:
    """Applies orders to the snaps of one endpoint, as root."""

    clock: Clock
    runner: Runner
    work_dir: str
    keeper: Keeper
    stopping: Callable[[], bool]
    sleep: Callable[[float], None]

    @property
    def snapd(self) -> Snapd:
        return Snapd(self.runner)

    def apply(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """Carry out the order; `blank` is the refusal that it is until a change was begun."""
        try:
            before = self._installed()
            refused = self._unfit(order, before)
        except SnapdSilent as e:
            return replace(blank, code="snap_failed", detail=str(e))
        if refused is not None:
            log(f"Refused, nothing was changed: {refused.reason}")
            return replace(blank, code=refused.code, detail=refused.reason)
        kept = self._keep(order)
        if self.stopping():
            return replace(blank, code="shutdown", detail="The transaction was asked to stop before it began.")
        remember(self.runner.path(f"{self.work_dir}/{order.transaction_id}"), before)
        try:
            told = self._all(order, log)
            return replace(self._judged(blank, order, told, before), way_back=kept)
        except SnapdSilent as e:
            log(str(e))
            return replace(blank, outcome=Outcome.FAILED, code="snap_failed", detail=NO_ANSWER_SINCE, way_back=kept)

    def _installed(self) -> tuple[Installed, ...]:
        return tuple(package(s) for s in self.snapd.snaps())

    def _unfit(self, order: Order, before: tuple[Installed, ...]) -> Refused | None:
        if told := unfit(order, before, ""):
            return told
        now, on_disk = by_key(before), self.snapd.revisions() if order.inverse is not None else frozenset()
        for a in order.transaction.actions:
            here = now.get(f"{a.name}:{a.architecture}")
            if a.kind not in (ActionKind.UPGRADE, ActionKind.DOWNGRADE):
                return Refused("refused", "Snaps are neither installed anew nor taken away.")
            if here is None or here.version not in (a.before, a.after):
                return Refused("changed", f"The situation has changed since the plan: {a.name} is not {a.before}.")
            if order.inverse is not None and (a.name, revision_of(a.after)) not in on_disk:
                return Refused(
                    "no_way_back", f"Revision {revision_of(a.after)} of {a.name} is not on the disk any more."
                )
            if here.held and order.inverse is None:
                return Refused("held", f"{a.name} is held on this endpoint by its owner.")
        if order.inverse is not None and not set(order.transaction.actions) <= set(order.inverse.transaction.actions):
            return Refused("refused", "The order is not a part of the way back that this endpoint stored.")
        return rules.refuse_broken(order.transaction, order.rules)

    def _keep(self, order: Order) -> WayBack:
        if order.inverse is not None:
            return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
        place = self.runner.path(self.keeper.place(order.rollout_id))
        try:
            self.keeper.forget_oldest()
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            back = inverse_of(order.transaction)
            inverse = Inverse(order.transaction_id, order.rollout_id, back, (), made_ms=self.clock.now_ms())
            if (earlier := self.keeper.stored(order.rollout_id)) is not None:  # of a try that did a part of it
                inverse = joined(inverse, earlier)
            write_durably(place / RECORD, codec.encode(inverse))
        except OSError as e:
            return WayBack(False, code="no_space", reason=f"The way back could not be written down: {e.strerror}.")
        return WayBack(True, len(inverse.transaction.actions))

    def _all(self, order: Order, log: Log) -> Refused | None:
        """Snap by snap; the first that fails takes those before it back."""
        deadline, done = self.clock.monotonic_s() + order.bounds.run_s_max, list[Action]()
        for a in order.transaction.actions:
            verb = "revert" if order.inverse is not None else "refresh"
            log(f"{verb.capitalize()}: {a.name} {a.after}.")
            told = self._patiently(order, a.name, verb, revision_of(a.after), deadline)
            if told is not None:
                for former in reversed(done) if order.bounds.repair and order.inverse is None else ():
                    log(f"Revert: {former.name} {former.before}.")
                    self._one(former.name, "revert", revision_of(former.before), deadline + UNDOING_S_MAX)
                return told
            done.append(a)
        return None

    def _patiently(self, order: Order, name: str, verb: str, revision: str, deadline: float) -> Refused | None:
        until = self.clock.monotonic_s() + order.bounds.lock_wait_s
        while True:
            told = self._one(name, verb, revision, deadline)
            if told is None or told.code != "locked":
                return told
            if self.clock.monotonic_s() >= until:
                return Refused("lock_timeout", told.reason)
            self.sleep(POLL_S)

    def _one(self, name: str, verb: str, revision: str, deadline: float) -> Refused | None:
        answer = self.snapd.ask(f"/v2/snaps/{name}", {"action": verb, "revision": revision})
        if answer.get("type") != "async":
            return why(answer)
        number = str(answer.get("change", ""))
        change = self._ready(number, deadline)
        if change is None:
            self.snapd.ask(f"/v2/changes/{number}", {"action": "abort"})
            ended = self._ready(number, self.clock.monotonic_s() + UNDOING_S_MAX)
            came_to = "has undone it" if ended else "is still at it"
            return Refused("timeout", f"{name} was not finished in time; snapd {came_to}.")
        return None if change.get("status") == "Done" else why({"result": change})

    def _ready(self, number: str, deadline: float) -> Any:
        """The change once it has ended; None = not in time. snapd's own update starts it anew in the middle of one, so
        that it is silent for a while says nothing."""
        heard_s = self.clock.monotonic_s()
        while True:
            try:
                change, heard_s = self.snapd.change(number), self.clock.monotonic_s()
            except SnapdSilent:
                if self.clock.monotonic_s() - heard_s >= SILENT_S_MAX:
                    raise
                change = {}
            if change.get("ready"):
                return change
            if self.clock.monotonic_s() >= deadline:
                return None
            self.sleep(POLL_S)

    def _judged(
        self, blank: TransactionResult, order: Order, told: Refused | None, before: tuple[Installed, ...]
    ) -> TransactionResult:
        now = self._installed()
        changes, wrong = changes_between(before, now), rules.unproven(order.transaction, by_key(now))
        ordered = {a.name for a in order.transaction.actions}
        more = [c.name for c in changes if c.name not in ordered]
        if not wrong and not more:
            detail = f"All {len(order.transaction.actions)} revisions are active as ordered."
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        if told is not None and not changes and told.code in ("network", "changed", "lock_timeout", "busy", "no_space"):
            return replace(blank, code=told.code, detail=told.reason)
        said = told or Refused("verify_failed", "snapd reported success.")
        beyond = f" It has also changed {rules.named(more)}." if more else ""
        state = "Everything is as before." if not changes else f"Now: {rules.named(wrong) or 'as ordered'}.{beyond}"
        return replace(blank, outcome=Outcome.FAILED, code=said.code, detail=f"{said.reason} {state}", changes=changes)

    def recover(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """What a lost run left: snapd's own change is waited for; it is whole, or undone."""
        log("Examined after a lost run.")
        before = before_of(self.runner.path(f"{self.work_dir}/{order.transaction_id}/before.json"))
        if before is None:
            return replace(blank, detail=UNTOUCHED[1])
        try:
            until = self.clock.monotonic_s() + order.bounds.run_s_max
            while self.snapd.ask("/v2/changes?select=in-progress").get("result") and self.clock.monotonic_s() < until:
                self.sleep(POLL_S)
            now = self._installed()
        except SnapdSilent as e:
            return replace(blank, code="interrupted_broken", detail=f"The run was lost. {e}")
        wrong = rules.unproven(order.transaction, by_key(now))
        return after_loss(blank, before, now, wrong, healed=False, still="Not as ordered")
