"""The launcher's shell: feeds `decide` with what happens and does what it says, in its order. No decision is made here.

    run        supervise: what the service manager starts
    check      one look, in a process of its own; prints one JSON line
    exec ARGS  become the release that runs here (else the confirmed, else the last known good one) with these arguments
    adopt TAR  put a first release in place, by whoever installs this machine; what is confirmed here stays
    status     what the launcher has written down about itself

A commit that must be durable and is not cuts off the commands after it and comes back as an event.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
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
from brakeline.launcher.selector import load as load_selector
from brakeline.launcher.settings import AGENT_HOME, ETC, ROOT, Settings, load
from brakeline.launcher.supervise import REPORT, Child
from brakeline.trust.errors import Distrust
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
        found, problem = _found(bytes(child.heard)) if ended else (None, "no answer in time")
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
        verb = ["check", "--root", str(settings.root), "--etc", str(settings.etc), "--home", str(settings.home)]
        try:
            self.check = host.start_check([sys.executable, "-I", *_self(), *verb, *damaged])
        except OSError as e:
            why = f"cannot be started: {e.strerror}"
            now = clock.monotonic_s()
            self.events.append(model.CheckEnded(now, None, install.installed(self.disk), why))
            return
        self.check_until_s = clock.monotonic_s() + settings.knobs.check_s

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


def _self() -> list[str]:
    """How this program is started again: the zipapp, or the package in a checkout."""
    archive = Path(sys.argv[0]).resolve()
    return [str(archive)]


def _found(line: bytes) -> tuple[Found | None, str]:
    try:
        plain = json.loads(line)
        lists = {name: tuple(plain[name]) for name in ("recalled", "pardoned", "problems", "mended")}
        others = tuple(model.Staged(**one) for one in plain["others"])
        return Found(
            plain["fresh"], Floors(**plain["floors"]), staged=plain["staged"], sequence=plain["sequence"],
            others=others, **lists,
        ), ""  # fmt: skip
    except (ValueError, TypeError, KeyError):
        return None, "the look has crashed"


def check(settings: Settings, damaged: list[str]) -> int:
    """One look; its `Found` as a JSON line."""
    from brakeline.launcher import source

    disk = RealDisk(settings.root)
    record, _ = Records(disk).load()
    me, own = who_am_i(), load_selector(disk)
    also = tuple(
        p for p in settings.who.also if p != "launcher" or me is not None
    )  # without a stub nobody could try it
    settings = dataclasses.replace(settings, who=dataclasses.replace(settings.who, also=also))
    newest = max(
        record.floors.launcher_sequence, own.slots[own.confirmed].sequence if own.confirmed in own.slots else 0
    )
    record = dataclasses.replace(record, floors=dataclasses.replace(record.floors, launcher_sequence=newest))
    seconds = settings.knobs.check_s * 0.9
    found = source.look(settings, disk, record, damaged, seconds, slots.settled(own, me) if me else ())
    print(json.dumps(dataclasses.asdict(found)), flush=True)
    return 0


def adopt(settings: Settings, bundle: Path) -> int:
    """Put a first release in place."""
    disk = RealDisk(settings.root)
    records = Records(disk)
    try:
        records.prepare()
        before, _ = records.load()
        record = install.adopt(disk, bundle.read_bytes(), before, settings.who.platform)
        if record != before:
            records.commit(dataclasses.replace(record, generation=before.generation + 1))
    except (OSError, Distrust) as e:
        print(f"brakeline: {bundle}: {e.text if isinstance(e, Distrust) else e}", file=sys.stderr)
        return 1
    print(record.current)
    return 0


def become(settings: Settings, arguments: list[str]) -> int:
    """Exec the release that runs, or the best one that can: for the root helper and the command line."""
    disk = RealDisk(settings.root)
    record, _ = Records(disk).load()
    running = (record.run.release_id, record.run.content) if record.run else ("", "")
    confirmed = (record.current, record.content), (record.last_known_good, record.content_last_known_good)

    def usable(release_id: str) -> bool:
        forbidden = release_id in (*record.recalled, *record.quarantined)
        return bool(release_id) and not forbidden and not install.verify(disk, release_id)

    for release_id, content in (running, *confirmed):
        if usable(release_id):
            os.environ.pop(supervise.CONTENT, None)
            if usable(content):
                os.environ[supervise.CONTENT] = str(settings.root / install.VERSIONS / content)
            entry, _ = install.entry(disk, release_id)
            folder = settings.root / install.VERSIONS / release_id
            command = [settings.python if c == "@python" else c for c in entry]
            command = [str(folder / c) if (folder / c).is_file() else c for c in command]
            if os.name == "nt":  # there a program cannot become another one
                return subprocess.call([*command, *arguments])
            os.execv(command[0], [*command, *arguments])
    print("brakeline: no release on this disk may be executed; look at `status`", file=sys.stderr)
    return 1


def main(arguments: list[str]) -> int:
    """See the module."""
    places = {"--root": ROOT, "--etc": ETC, "--home": AGENT_HOME}
    verb, rest = (arguments[0] if arguments else "run"), arguments[1:]
    while len(rest) >= 2 and rest[0] in places:
        places[rest[0]] = Path(rest[1])
        rest = rest[2:]
    settings = load(places["--root"], places["--etc"], places["--home"])
    os.umask(0o022)  # releases are executed, and the report is read, by another user
    match verb:
        case "run":
            return Launcher(settings).run()
        case "check":
            return check(settings, rest)
        case "exec":
            return become(settings, rest)
        case "adopt" if len(rest) == 1:
            return adopt(settings, Path(rest[0]))
        case "status":
            print((settings.root / REPORT).read_text())
            return 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
