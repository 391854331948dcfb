"""The launcher's shell: feeds `decide` with what happens and does what it says, in its order. No decision is made here.

A commit that must be durable and is not cuts off the commands after it and comes back as an event. Next: `decide`.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import signal
import sys
from collections import deque
from pathlib import Path

from brakeline.launcher import clock, install, keepsake, model, slots, supervise
from brakeline.launcher.decide import decide
from brakeline.launcher.disk import RealDisk
from brakeline.launcher.model import Command, Event, Found, State
from brakeline.launcher.records import Records
from brakeline.launcher.report import report_text
from brakeline.launcher.selector import Update, to_stub, who_am_i
from brakeline.launcher.settings import REPORT, Settings
from brakeline.launcher.supervise import Child
from brakeline.trust.model import Floors

if sys.platform == "win32":
    from brakeline.launcher import windows as host
else:
    from brakeline.launcher import supervise as host

BUDGET_EVERY_S = 15.0
LOCK = "lock"
ANOTHER = 3  # exit code: a launcher runs here already


class Launcher:
    """Runs until told to stop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.disk = RealDisk(settings.root)
        self.records = Records(self.disk)
        self.events: deque[Event] = deque()
        self.release: Child | None = None
        self.check: Child | None = None
        self.check_until_s = self.kill_at_s = self.budget_at_s = 0.0
        self.lock: int | None = None
        self.over = False
        self.stop_asked = False
        self.woken = -1
        self.reported = ""
        self.unreported = False  # it could not be written; said once
        self.state = State(model.Record(), settings.knobs)
        self.update = Update(self.disk, settings.knobs, log, who_am_i(), to_stub)

    def run(self) -> int:
        """Until `Exit`. The first thing done is to say that the launcher itself is alive."""
        self.woken = host.wake_by_signals()
        for number in (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGBREAK", signal.SIGINT)):  # Windows' word
            signal.signal(number, self._signalled)
        if not self._alone():
            log("another launcher runs here already; this one ends")
            return ANOTHER
        supervise.tell_systemd("READY=1")
        record, problem = self._load()
        self.update.begin(clock.monotonic_s())
        if record.run is not None and not record.run.clean:
            host.bury(self.settings)  # a launcher that was killed has left its release running: never two at once
            if self.update.cut_off:  # if the host died, then of the launcher that was on trial
                record = dataclasses.replace(record, run=dataclasses.replace(record.run, clean=True))
        self.state = State(record, self.settings.knobs, committed=record)
        self.events.append(model.Started(clock.monotonic_s(), clock.boot_id(), install.installed(self.disk), problem))
        while not self.over:
            while self.events and not self.over:
                self._take(self.events.popleft())
            if not self.over:
                self._wait()
        return 0

    def _alone(self) -> bool:
        """Whether no other launcher writes here. A disk that takes no lock file stops nobody."""
        try:
            self.lock = host.lock(self.settings.root / LOCK)
        except OSError:
            return True
        return self.lock is not None

    def _load(self) -> tuple[model.Record, str]:
        try:
            self.records.prepare()
        except OSError as e:
            log(f"state cannot be prepared: {e.strerror}")
        record, problem = self.records.load()
        if not record.current:
            rebuilt = install.rebuild(self.disk)
            record = rebuilt if not record.generation else dataclasses.replace(record, current=rebuilt.current)
        return record, problem if record.current else ""

    def _signalled(self, *_: object) -> None:
        self.stop_asked = True

    # --- events in -----------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        fds = [fd for child in (self.release, self.check) if child is not None for fd in child.watched()]
        host.wait_for(fds, self._pace_s(), self.woken)
        supervise.tell_systemd("WATCHDOG=1")
        now = clock.monotonic_s()
        if self.stop_asked and not self.state.stopping:
            self.events.append(model.StopAsked(now))
        self._look_at_check(now)
        self._look_at_release(now)
        if not self.stop_asked and (why := self.update.tick(self.state, now)):
            log(f"ending for another launcher: {why}")
            self.stop_asked = True
        self.events.append(model.Tick(now))

    def _pace_s(self) -> float:
        """How long nothing has to be looked at: long only while a confirmed release runs quietly. A release that ends
        closes its pipe, which ends the wait."""
        knobs, phase = self.settings.knobs, self.state.phase
        busy = self.check is not None or self.release is None or self.release.words < 0 or self.kill_at_s
        if busy or self.stop_asked or self.update.on_trial or not isinstance(phase, model.Running):
            return knobs.tick_s
        if phase.trial or phase.killed or not phase.ready:
            return knobs.tick_s
        return min(max(self.state.check_due_s - clock.monotonic_s(), knobs.tick_s), knobs.calm_tick_s)

    def _look_at_check(self, now: float) -> None:
        child = self.check
        if child is None:
            return
        supervise.listen_quietly(child)
        ended = child.process.poll() is not None
        if not ended and now < self.check_until_s:
            return
        if not ended:
            host.kill_group(child)
        supervise.listen_quietly(child)
        child.close()
        self.check = None
        found, problem = heard(bytes(child.heard), child.process.returncode if ended else None)
        found = self.update.screen(found, now)
        self.events.append(model.CheckEnded(now, found, install.installed(self.disk), problem))

    def _look_at_release(self, now: float) -> None:
        child = self.release
        if child is None:
            return
        self.events.extend(model.Said(now, word) for word in supervise.listen(child))
        status = child.process.poll()
        if status is None and self.kill_at_s and now >= self.kill_at_s:
            host.kill_all(self.settings, child)
            status = child.process.poll()
        if status is not None:
            supervise.listen(child)
            host.kill_all(self.settings, child)  # what it has left behind
            child.close()
            self.release, self.kill_at_s = None, 0.0
            self.events.append(model.Exited(now, status, child.tail.decode(errors="replace")))
        elif now >= self.budget_at_s:
            self._look_at_budget(child, now)

    def _look_at_budget(self, child: Child, now: float) -> None:
        seconds = BUDGET_EVERY_S + max(0.0, now - self.budget_at_s) if self.budget_at_s else BUDGET_EVERY_S
        self.budget_at_s = now + BUDGET_EVERY_S
        what = host.over_budget(self.settings, child)
        if child.written > self.settings.budget.log_bytes_per_s * seconds:
            what = f"log: {child.written} bytes in {seconds:.0f} s"
        child.written = 0
        if what:
            self.events.append(model.OverBudget(now, what))
        if self.disk.free_bytes() < self.settings.budget.free_bytes or what.startswith("disk"):
            host.purge(self.settings)

    # --- commands out --------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        self.state, commands = decide(self.state, event)
        for command in commands:
            if not self._do(command):
                break
        self._report()

    def _do(self, command: Command) -> bool:
        """False = the rest must not be done."""
        match command:
            case model.Commit(record=record, must=must):
                return self._commit(record, must=must)
            case model.Check(damaged=damaged):
                self._start_check(damaged)
            case model.Execute(release_id=release_id, content=content):
                self._execute(release_id, content)
            case model.Kill():
                if self.release is not None:
                    host.end(self.release)
                    self.kill_at_s = clock.monotonic_s() + self.settings.knobs.stop_s
            case model.CollectGarbage(keep=keep):
                self._collect(keep)
            case model.Log(line=line):
                log(line)
            case model.Exit():
                self._end()
        return True

    def _commit(self, record: model.Record, *, must: bool) -> bool:
        record = dataclasses.replace(record, generation=self.state.committed.generation + 1)
        try:
            run = record.run
            if must and record.trial and run is not None and record.trial in (run.release_id, run.content):
                self._keep(record.trial)  # it is about to be executed, or read
            self.records.commit(record)
        except OSError as e:
            log(f"the launcher's record cannot be written: {e.strerror}")
            if must:
                self.events.appendleft(model.CommitFailed(clock.monotonic_s(), e.strerror or "error"))
            return not must
        newest = dataclasses.replace(self.state.record, generation=record.generation)
        self.state = dataclasses.replace(self.state, record=newest, committed=record)
        return True

    def _keep(self, release_id: str) -> None:
        if not keepsake.keep(self.settings, release_id, log):
            raise OSError(errno.EIO, f"nothing is kept of what {release_id} could destroy")

    def _start_check(self, damaged: tuple[str, ...]) -> None:
        settings = self.settings
        self.check_until_s = clock.monotonic_s() + settings.knobs.check_s
        verb = ["check", "--root", str(settings.root), "--etc", str(settings.etc), "--home", str(settings.home)]
        try:
            self.check = supervise.start_check([sys.executable, "-I", _self(), *verb, self._question(damaged)])
        except OSError as e:
            why = f"cannot be started: {e.strerror}"
            now = clock.monotonic_s()
            self.events.append(model.CheckEnded(now, None, install.installed(self.disk), why))
            return

    def _question(self, damaged: tuple[str, ...]) -> str:
        own, me = self.update.selector, self.update.me
        confirmed = own.slots.get(own.confirmed)
        question = model.Question(damaged)
        if me is not None:
            settled, sequence = tuple(sorted(slots.settled(own, me))), confirmed.sequence if confirmed else 0
            question = model.Question(damaged, launchers=True, settled=settled, sequence=sequence)
        question = dataclasses.replace(question, until_s=self.check_until_s, way=self.state.way)
        return json.dumps(dataclasses.asdict(question))

    def _execute(self, release_id: str, content: str) -> None:
        now = clock.monotonic_s()
        for part in filter(None, (release_id, content)):
            wrong = install.verify(self.disk, part)
            if wrong:
                self.events.append(model.Refused(now, part, "manifest", wrong))
                return
        trial = isinstance(self.state.phase, model.Running) and self.state.phase.trial
        if not trial:
            keepsake.give_back(self.settings, self.state.record, log)
        try:
            entry, _ = install.entry(self.disk, release_id)
            folder = self.settings.root / install.VERSIONS / release_id
            self.release = host.start_release(self.settings, entry, folder, content)
        except (OSError, ValueError, KeyError, supervise.Failed) as e:
            self.events.append(model.Refused(clock.monotonic_s(), release_id, "exec", str(e)))
            return
        self.budget_at_s = clock.monotonic_s() + BUDGET_EVERY_S
        log(f"{release_id} is being executed" + (f" with content {content}" if content else ""))

    def _collect(self, keep: frozenset[str]) -> None:
        try:
            gone = [*install.collect(self.disk, keep), *install.collect(self.disk, keep, model.CONTENT)]
        except OSError as e:
            log(f"old releases cannot be removed: {e.strerror}")
            return
        if gone:
            log(f"removed {', '.join(gone)}")

    def _end(self) -> None:
        if self.check is not None:
            host.kill_group(self.check)
            self.check.close()
        self.over = True

    def _report(self) -> None:
        """For the agent and for people; written when it changes, never trusted by the launcher itself."""
        text = report_text(self.state, self.settings, self.update)
        if text == self.reported:
            return
        try:
            self.disk.create(REPORT + ".new", text.encode())
            self.disk.rename(REPORT + ".new", REPORT)
        except OSError as e:  # a full disk, or on Windows somebody who reads it just now: again at the next event
            if not self.unreported:
                log(f"{REPORT} cannot be written: {e.strerror}")
            self.unreported = True
            return
        self.reported, self.unreported = text, False


def log(line: str) -> None:
    """One line to the journal."""
    print(f"launcher: {line}", file=sys.stderr, flush=True)


def _self() -> str:
    """What to start this program again from: the zipapp."""
    return str(Path(sys.argv[0]).resolve())


def heard(said: bytes, status: int | None) -> tuple[Found | None, str]:
    """What a look came to, and what is wrong with its end. Its last whole line of findings counts, however it ended
    (None = it was cut off): a recall that was verified is not unheard because of a download behind it."""
    found, problem = None, "the look has crashed"
    for line in reversed(said.rpartition(b"\n")[0].splitlines()):
        found, problem = _found(line)
        if found is not None:
            break
    if status is None:
        return found, "no answer in time"
    return found, problem or ("the look has crashed" if status else "")


def _found(line: bytes) -> tuple[Found | None, str]:
    try:
        plain = json.loads(line)
        lists = {name: tuple(plain[name]) for name in ("recalled", "pardoned", "problems", "mended")}
        others = tuple(model.Staged(**one) for one in plain["others"])
        return Found(
            plain["fresh"], Floors(**plain["floors"]), staged=plain["staged"], sequence=plain["sequence"],
            others=others, unfinished=plain["unfinished"] is True, way=str(plain["way"]), **lists,
        ), ""  # fmt: skip
    except (ValueError, TypeError, KeyError):
        return None, "the look has crashed"
