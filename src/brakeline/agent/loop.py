"""The agent's shell: waits for something to happen, asks `decide`, does what it says. No decision is made here.

Order in each round, on which crash safety rests: results into the spool, then the durable state, then the other
commands. So a session never counts as ended before its result is safe, and the helper is never asked before
"asked" is on disk. If the disk refuses the state, nothing is started in that round.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, assert_never

from brakeline.agent import agenda, ceiling, commands, events, model, rescan, sessions
from brakeline.agent.cell import GOODBYE_S_MAX, Cell
from brakeline.agent.commands import Command
from brakeline.agent.decide import decide
from brakeline.agent.errands import Ended, Errands
from brakeline.agent.events import Event, Exchange, Failure
from brakeline.agent.files import write_durably
from brakeline.agent.harms import HarmsProbe
from brakeline.agent.health import HealthProbe
from brakeline.agent.helper_client import Declined, Going, HelperClient, Unknown
from brakeline.agent.helper_wire import HelperAway
from brakeline.agent.launcher_link import LauncherLink
from brakeline.agent.limits import REFRESH_S_MAX, SCAN_RUN_S_MAX
from brakeline.agent.memory import Memory
from brakeline.agent.model import Errand, Instant, State
from brakeline.agent.providers.model import Planned, Refused
from brakeline.agent.run_spool import RunSpool
from brakeline.agent.spool import Spool
from brakeline.agent.status import StatusFile
from brakeline.core.errors import Fault
from brakeline.protocol import codec
from brakeline.protocol.messages import Candidate, Secret, TransactionResult

if sys.platform == "win32":
    from brakeline.agent.windows import over_or_slept
else:
    import select

WAIT_S_MAX = 30.0  # look at the package manager's records at least this often
WAIT_S_MIN = 0.01
FOLLOW = "follow.json"  # where the launcher reads it
LOOK = 75  # exit code by which a release asks its launcher for a look (`launcher.decide`)


class InstantClock(Protocol):
    def instant(self) -> Instant: ...


class StopRequested(Exception):
    """A signal asked the process to end; raised only while it waits."""


@dataclass(frozen=True, slots=True)
class Collaborators:
    """Everything outside; put together in `wiring`."""

    clock: InstantClock
    cell: Cell
    spool: Spool
    runs: RunSpool
    memory: Memory
    errands: Errands
    helper: HelperClient
    launcher: LauncherLink
    health: HealthProbe
    status: StatusFile
    state_dir: Path
    child_options: tuple[str, ...]  # where state and configuration are, for `scan` and `plan`
    package_stamp: Callable[[], int]  # a hint to scan soon; looked at often
    stamp: Callable[[], rescan.Stamp]  # of everything that a scan depends on; taken when one is due
    stop_reason: Callable[[], str]  # shutdown | restart | agent_stop: asked once, when the process was told to end
    log: Callable[[str], None]
    not_assessed: str = ""  # why this system cannot be looked at at all; "" = it can
    harms: HarmsProbe | None = None  # None = nothing is told of what is done to this machine


class Loop:
    """Runs until told to stop. `interrupt` is called by the signal handler."""

    def __init__(self, state: State, outside: Collaborators) -> None:
        self.state = state
        self._out = outside
        self._events: deque[Event] = deque()
        self._stop_asked = False
        self._waiting = False
        self._over = False
        self.exit_code = 0
        self._refresh_deadline_s = 0.0
        self._candidate: Candidate | None = None
        self._stamp = outside.package_stamp()

    def interrupt(self) -> None:
        """From a signal handler: end soon, in order. Breaks off a wait, never a write."""
        self._stop_asked = True
        if self._waiting:
            raise StopRequested

    def run(self) -> None:
        """Until `Exit` or `AskLauncher`; `exit_code` then says which."""
        spool, runs = self._out.spool, self._out.runs
        health = self._out.health.sample()  # of the first check-in: no tick comes before it
        self._events.append(events.Started(self._now(), spool.pending(), spool.refused(), runs.pending(), health))
        report = self._out.launcher.news()
        if report is not None:
            self._events.append(events.LauncherSaid(self._now(), report))
        while not self._over:
            if self._stop_asked and not self.state.stopping:
                self._events.appendleft(events.StopAsked(self._now(), self._out.stop_reason()))
            if not self._events:
                self._interruptible(self._wait)
                self._collect()
            self._take(self._events.popleft())
        self._out.errands.stop()
        self._out.cell.close()

    # --- events in ---------------------------------------------------------------------------------------------

    def _now(self) -> Instant:
        return self._out.clock.instant()

    def _interruptible(self, wait: Callable[[], None]) -> None:
        self._waiting = True
        try:
            if not self._stop_asked:
                wait()
        except StopRequested:
            self._out.cell.close()
        finally:
            self._waiting = False

    def _wait(self) -> None:
        """Until something is due, a child or the helper speaks, or a signal comes."""
        now = self._now()
        wait_s = min(agenda.next_wake_s(self.state, now) - now.monotonic_s, WAIT_S_MAX)
        watched = [w for w in (self._out.errands.child, self._out.helper.refresh_socket) if w is not None]
        if self._out.errands.child is not None:
            wait_s = min(wait_s, self._out.errands.child.deadline_s - now.monotonic_s)
        _wait_for(watched, max(wait_s, WAIT_S_MIN))

    def _collect(self) -> None:
        """What has happened meanwhile, as events; at least a tick."""
        now = self._now()
        ended = self._out.errands.look(now.monotonic_s)
        if ended is not None:
            self._events.append(self._errand_ended(ended, now))
        waiting = self._out.helper.refresh_socket
        if waiting is not None and (_readable(waiting) or now.monotonic_s >= self._refresh_deadline_s):
            self._events.append(events.RefreshEnded(now, self._out.helper.end_refresh()))
        report = self._out.launcher.news()
        if report is not None:
            self._events.append(events.LauncherSaid(now, report))
        stamp = self._out.package_stamp()
        changed, self._stamp = stamp != self._stamp, stamp
        due = now.monotonic_s >= self.state.link.next_check_in_s or self.state.news
        health = self._out.health.sample() if due else None
        harms = self._out.harms.sample(self.state, now) if due and self._out.harms is not None else None
        self._events.append(events.Tick(now, health, changed, harms))

    def _errand_ended(self, ended: Ended, now: Instant) -> Event:
        errand = self.state.errand
        if ended.problem:
            return events.ErrandFailed(now, errand, ended.problem)
        try:
            if errand is Errand.SCAN:
                summary = codec.decode(model.ScanSummary, ended.output)
                self._out.health.package_manager_healthy = summary.healthy
                return events.Scanned(now, summary)
            assert self._candidate is not None
            return events.PlanMade(now, self._candidate, _answer(ended.output))
        except codec.Malformed as e:
            return events.ErrandFailed(now, errand, str(e))

    # --- commands out ------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        self.state, wanted = decide(self.state, event)
        saved = self._secure(wanted)
        # Before the commands: one of them may be a long-poll.
        self._out.status.show(self.state, event.at, self._out.cell.way)
        for command in wanted:
            if saved or not isinstance(command, commands.AskHelper):
                self._do(command)

    def _secure(self, wanted: tuple[Command, ...]) -> bool:
        """Results and durable state to disk, in this order. False = the disk refused: start nothing now."""
        try:
            for command in wanted:
                if isinstance(command, commands.SpoolResult):
                    self._out.spool.put(command.result)
            self._out.memory.save(self.state.durable)
        except OSError as e:
            self._out.log(f"cannot write to {self._out.state_dir}: {e.strerror}; nothing new is started until it can")
            return False
        return True

    def _do(self, command: Command) -> None:  # noqa: C901 - a table: one line or two a command
        match command:
            case commands.RenewSecret(created_ms=created_ms):
                self._renew(created_ms)
            case commands.DoCheckIn():
                self._interruptible(lambda: self._check_in(command))
            case commands.SendInventory(summary=summary, created_ms=created_ms):
                self._send_inventory(Path(summary.body_path), created_ms)
            case commands.AdoptInventory(keeps=keeps):
                self._adopt(keeps)
            case commands.SendResults(transaction_ids=ids, created_ms=created_ms):
                self._send_results(ids, created_ms)
            case commands.StartScan():
                self._start_scan(command)
            case commands.StartPlan(candidate=candidate):
                self._start_plan(candidate)
            case commands.StartRefresh():
                self._start_refresh()
            case commands.AskHelper():
                self._ask_helper(command)
            case commands.WatchTransaction(offer_id=offer_id, transaction_id=transaction_id):
                self._watch(offer_id, transaction_id)
            case commands.SpoolResult():
                pass  # done in _secure
            case commands.ForgetResults(transaction_ids=ids):
                self._forget(ids)
            case commands.SendRun():
                self._send_run(command)
            case commands.ForgetRun(transaction_id=transaction_id):
                self._out.runs.forget(transaction_id)
            case commands.SetAside(transaction_id=transaction_id):
                self._set_aside(transaction_id)
            case commands.SkipCounter():
                self._out.cell.skip_counter()
            case commands.SayGoodbye(reason=reason, created_ms=created_ms):
                self._out.cell.goodbye(reason, created_ms, GOODBYE_S_MAX)
            case commands.Report(line=line):
                self._out.log(line)
            case commands.StoreFollow(text=text):
                self._store_follow(text)
            case commands.TellLauncher(word=word):
                self._out.launcher.say(word)
            case commands.AskRestart():
                self._restart(command)
            case commands.StandDown():
                self._out.helper.stand_down()
            case commands.AskLauncher():
                self._over, self.exit_code = True, LOOK
            case commands.Exit():
                self._over = True
            case _:
                assert_never(command)

    def _heard(self, event: Event) -> None:
        """What the cell says goes before everything that waits: it may be a halt."""
        self._events.appendleft(event)

    def _failed(self, exchange: Exchange, failure: Failure) -> None:
        self._heard(events.ExchangeFailed(self._now(), exchange, failure))

    def _renew(self, created_ms: int) -> None:
        answer = self._out.cell.renew_secret(created_ms)
        if isinstance(answer, Secret):
            self._out.cell.time_has_passed(answer.server_ms)
            self._heard(events.SecretGiven(self._now(), answer))
        else:
            self._failed(Exchange.SECRET, answer)

    def _check_in(self, command: commands.DoCheckIn) -> None:
        started_s = self._now().monotonic_s
        answer = self._out.cell.check_in(command.body, command.wait_s, command.etag)
        if isinstance(answer, Failure):
            self._failed(Exchange.CHECK_IN, answer)
        else:
            self._heard(events.CheckedIn(self._now(), started_s, *answer))

    def _send_inventory(self, path: Path, created_ms: int) -> None:
        try:
            body = path.read_bytes()
        except OSError as e:
            self._failed(Exchange.INVENTORY, Failure(events.FailureKind.REJECTED, "lost", f"{path}: {e.strerror}"))
            return
        answer = self._out.cell.send_inventory(body, created_ms)
        if isinstance(answer, Failure):
            self._failed(Exchange.INVENTORY, answer)
        else:
            self._heard(events.InventoryAcknowledged(self._now(), answer))

    def _adopt(self, keeps: tuple[str, ...]) -> None:
        from brakeline.agent.scan import adopt

        try:
            adopt(self._out.state_dir, keeps)
        except OSError as e:
            self._out.log(f"the inventory could not be remembered and will be sent in full next time: {e.strerror}")

    def _send_results(self, ids: tuple[str, ...], created_ms: int) -> None:
        answer = self._out.cell.send_results(self._out.spool.batch(ids), created_ms)
        if isinstance(answer, Failure):
            self._failed(Exchange.RESULTS, answer)
        else:
            # What could not be read is no longer in the spool: it must not be waited for.
            gone = tuple(i for i in ids if i not in self._out.spool.pending())
            self._heard(events.ResultsAcknowledged(self._now(), (*answer.accepted, *gone)))

    def _start_scan(self, command: commands.StartScan) -> None:
        now = self._now()
        if self._out.not_assessed:
            self._events.append(events.NotAssessed(now, self._out.not_assessed))
            return
        depth = rescan.depth(command.last, self._out.stamp(), now.monotonic_s, asked=command.asked)
        if depth is rescan.Depth.NOTHING:
            self._events.append(events.Unchanged(now))
            return
        verb = ["scan", "--base", str(command.base_sequence), "--sequence", str(command.sequence)]
        # The child judges again by what is on disk: so the first scan after a restart need not be a full one.
        self._start_child(Errand.SCAN, [*verb, *(["--full"] if command.asked else [])])

    def _start_plan(self, candidate: Candidate) -> None:
        self._candidate = candidate
        try:
            (self._out.state_dir / "work" / "candidate.json").write_bytes(codec.encode(candidate))
            conffiles = ceiling.running(self.state).conffiles
        except OSError as e:
            self._events.append(events.ErrandFailed(self._now(), Errand.PLAN, f"cannot start: {e.strerror}"))
            return
        self._start_child(Errand.PLAN, ["plan", "--conffiles", conffiles.value])

    def _start_child(self, errand: Errand, verb: list[str]) -> None:
        deadline_s = self._now().monotonic_s + SCAN_RUN_S_MAX
        try:
            self._out.errands.start([*verb, *self._out.child_options], deadline_s)
        except OSError as e:
            self._events.append(events.ErrandFailed(self._now(), errand, f"cannot start: {e.strerror}"))

    def _start_refresh(self) -> None:
        self._refresh_deadline_s = self._now().monotonic_s + REFRESH_S_MAX
        try:
            self._out.helper.begin_refresh()
        except HelperAway as e:
            self._events.append(events.ErrandFailed(self._now(), Errand.REFRESH, str(e)))

    def _ask_helper(self, command: commands.AskHelper) -> None:
        if command.undoes:
            answer = self._out.helper.rollback(command.order, command.server_ms, command.bounds)
        else:
            answer = self._out.helper.apply(command.order, command.transaction, command.server_ms, command.bounds)
        now = self._now()
        match answer:
            case None:
                self._events.append(events.HelperSilent(now, command.offer_id))
            case Going():
                self._events.append(events.HelperBegan(now, command.offer_id))
            case Declined(code=code, reason=reason):
                self._events.append(events.HelperDeclined(now, command.offer_id, code, reason))

    def _restart(self, command: commands.AskRestart) -> None:
        answer, now = self._out.helper.restart(command.order, command.server_ms, command.a_day), self._now()
        match answer:
            case None:
                self._events.append(events.RestartAnswered(now, "busy", "the helper gave no answer"))
            case Going():
                self._events.append(events.RestartAnswered(now, "", ""))
            case Declined(code=code, reason=reason, people=people):
                self._events.append(events.RestartAnswered(now, code, reason, people))

    def _watch(self, offer_id: str, transaction_id: str) -> None:
        try:
            answer = self._out.helper.status(transaction_id)
        except Fault as e:
            self._out.log(f"{transaction_id}: {e}")
            answer = None
        if isinstance(answer, Going | TransactionResult):
            self._out.runs.take(
                transaction_id, offer_id, self._out.helper.run, ended=isinstance(answer, TransactionResult)
            )
        now = self._now()
        match answer:
            case None:
                self._events.append(events.HelperSilent(now, offer_id))
            case Going():
                self._events.append(events.HelperBegan(now, offer_id))
            case Unknown():
                self._events.append(events.HelperKnowsNothing(now, offer_id))
            case result:
                self._events.append(events.TransactionEnded(now, result))

    def _send_run(self, command: commands.SendRun) -> None:
        transaction_id = command.transaction_id
        running = any(s.transaction_id == transaction_id for s in sessions.running(self.state))
        now_ms = self._now().wall_ms
        body, whole = self._out.runs.part(transaction_id, command.offer_id, command.next, now_ms, running=running)
        answer, now = self._out.cell.send_run(body), self._now()
        if isinstance(answer, Failure):
            self._heard(events.RunRefused(now, transaction_id, answer))
        else:
            taken = events.RunTaken(now, transaction_id, answer.next, answer.closed, not whole, whole and not running)
            self._heard(taken)

    def _forget(self, ids: tuple[str, ...]) -> None:
        self._out.spool.forget(ids)
        if self.state.me.can_patch:
            for transaction_id in ids:
                self._out.helper.forget(transaction_id)

    def _store_follow(self, text: str) -> None:
        try:
            write_durably(self._out.state_dir / FOLLOW, text.encode())
        except OSError as e:  # the cell sends it again with every reply
            self._out.log(f"the order for the launcher cannot be kept: {e.strerror}")
            self.state = replace(self.state, follow="")

    def _set_aside(self, transaction_id: str) -> None:
        try:
            self._out.spool.set_aside(transaction_id)
        except OSError as e:  # it is found again at the next start, and tried again
            self._out.log(f"{transaction_id} could not be set aside: {e.strerror}")


def _answer(output: bytes) -> Planned | Refused:
    """The plan child prints {"planned": …} or {"refused": …}."""
    plain: dict[str, Any] = codec.decode(dict[str, Any], output)
    if "planned" in plain:
        planned: Planned = codec.from_plain(Planned, plain["planned"], "planned")
        return planned
    refused: Refused = codec.from_plain(Refused, plain.get("refused"), "refused")
    return refused


def _readable(connection: object) -> bool:
    return _wait_for([connection], 0.0)


if sys.platform == "win32":

    def _wait_for(watched: Sequence[object], seconds: float) -> bool:
        """Whether a child has ended within that time; there is no helper. A signal's handler may raise meanwhile."""
        return over_or_slept(watched, seconds)

else:

    def _wait_for(watched: Sequence[object], seconds: float) -> bool:
        """Whether one of them can be read within that time. A signal's handler may raise meanwhile."""
        poll = select.poll()
        for w in watched:
            poll.register(w, select.POLLIN)  # type: ignore[arg-type]
        return bool(poll.poll(seconds * 1000))
