"""The shell of the launcher's own update: reads and writes selector and slots, says to the stub how far a trial is.

Invariants: the file of a slot is written, synced and read again before the selector names it; a slot says of itself
that it is good only once it was confirmed. Without a stub nothing here does anything. No decision is made here.
Next: `slots` (the decisions), `stub` (what starts whom).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from brakeline.launcher import install, model, slots, stub
from brakeline.launcher.disk import Disk, allocate
from brakeline.launcher.model import Found, Knobs, Running, Staged, TrialEnd
from brakeline.launcher.slots import Me, Seen, Selector, Slot, State

PRODUCT: Final = "launcher"
PROGRAM: Final = "launcher.pyz"
AGAIN_S: Final = 10.0
WORKS_S: Final = 60.0  # of uptime, where no agent can run
STARTS_BYTES: Final = 8


class Update:
    """One launcher's view of its own slots."""

    def __init__(self, disk: Disk, knobs: Knobs, log: Callable[[str], None], me: Me | None,
                 tell: Callable[[str], None]) -> None:  # fmt: skip
        self.disk, self.knobs, self.log, self.me, self.tell = disk, knobs, log, me, tell
        self.parent = parent()
        self.state: State | None = None  # None = no stub started us
        self.waits = "no stub starts this launcher: it comes with its package"
        self.staged: Staged | None = None
        self.staged_until_s = 0.0
        self.said: tuple[str, ...] = ()
        self.again_s = 0.0  # after an error of the disk
        self.works = False
        self.cut_off = False  # the host or the service ended while a launcher was on trial

    @property
    def selector(self) -> Selector:
        return self.state.selector if self.state is not None else Selector()

    def begin(self, at: float) -> None:
        """At the start: settle a trial that came to nothing, and make the files that a trial will need."""
        if self.me is None:
            return
        was = load(self.disk)
        selector = was if self.me.trial else slots.begun(was, self.me, held(self.disk))
        self.cut_off = bool(was.trial) and not (self.me.trial or self.me.ended)
        self.state = State(selector, self.me, at, at, selector.calm_s)
        self._say("READY")
        if self.me.trial:
            return
        try:
            prepare(self.disk)
            if selector != was or not was.generation:
                self._commit(self.state)
        except OSError as e:
            self.log(f"the selector of launchers cannot be written: {e.strerror}")

    def screen(self, found: Found | None, at: float) -> Found | None:
        """Keep what a look has staged for us; while a launcher is on trial no agent is put on trial."""
        if found is None or self.state is None:
            return found
        ours = next((o for o in found.others if o.product == PRODUCT), None)
        self.staged, self.staged_until_s = ours, at + slots.STAGED_S
        others = tuple(o.release_id for o in found.others if o.product != PRODUCT)
        waiting = ", ".join(filter(None, (found.staged, *others)))
        if not self.state.selector.trial or not waiting:
            return found
        busy = f"busy: {waiting} waits until the launcher's own trial is over"
        return replace(found, staged="", sequence=0, others=(), problems=(*found.problems, busy))

    @property
    def on_trial(self) -> bool:
        """Whether this very launcher is on trial."""
        return self.state is not None and self.state.me.trial

    def tick(self, launcher: model.State, at: float) -> str:
        """Why this launcher should end now; "" = it should not."""
        if self.state is None or at < self.again_s:
            return ""
        if self.state.me.trial and parent() != self.parent:
            return "the stub that watches this trial is gone"
        phase = launcher.phase
        runs = isinstance(phase, Running) and phase.ready and not phase.trial
        if runs:
            self._say("RUNNING")
        if runs or at - self.state.began_s >= WORKS_S:
            self._works()
        seen = self._seen(launcher, at)
        before = self.state
        self.state, act = slots.decide(before, seen, self.knobs)
        self.waits = slots.waits(self.state, seen, self.knobs)
        try:
            return self._do(act)
        except OSError as e:
            self.log(f"the launcher's own update: {e.strerror or e}")
            self.state, self.staged, self.again_s = replace(before, counted_s=at), None, at + AGAIN_S
            return act.why if isinstance(act, slots.Leave) and before.me.trial else ""

    def _seen(self, launcher: model.State, at: float) -> Seen:
        if self.staged is not None and at > self.staged_until_s:
            self.staged = None
        factory = self.me is not None and (Path(self.me.lib) / PROGRAM).exists()
        return Seen(at, launcher.record.current, calm(launcher), launcher.fresh_s is not None,
                    launcher.record.recalled, self.staged, factory)  # fmt: skip

    def _do(self, act: slots.Act) -> str:
        assert self.state is not None
        match act:
            case slots.Save():
                self._commit(self.state)
            case slots.Confirm():
                me = self.state.me
                vouch(self.disk, me.slot, self.state.selector.slots[me.slot])
                self._commit(self.state)
                self._say("CONFIRMED")
                self.log(f"launcher {me.release_id} in slot {me.slot} confirmed")
            case slots.Leave(why=why):
                if self.state.selector.generation:
                    self._commit(self.state)
                return why
            case slots.Stage(slot=slot):
                return self._stage(slot)
            case slots.Stay():
                pass
        return ""

    def _stage(self, slot: str) -> str:
        assert self.state is not None
        assert self.staged is not None
        about = write(self.disk, slot, self.staged)
        self._commit(replace(self.state, selector=slots.tried(self.state.selector, slot, about, self.knobs)))
        self.staged = None
        with contextlib.suppress(OSError):
            install.collect(self.disk, frozenset(), PRODUCT)
        return f"launcher {about.release_id} is to be tried in slot {slot}"

    def _commit(self, state: State) -> None:
        # One that failed may stand on the disk all the same: this one must be newer.
        generation = max(state.selector.generation, stub.newest(self.disk).get("generation", 0)) + 1
        selector = replace(state.selector, generation=generation)
        stub.commit(self.disk, dataclasses.asdict(selector))
        self.state = replace(state, selector=selector)
        for slot in stub.SLOTS:
            if slot not in selector.slots:
                with contextlib.suppress(OSError):  # it counts only where both copies of the selector are lost
                    self.disk.remove_tree(f"launcher/{slot}/good.json")

    def _works(self) -> None:
        """Say once that this launcher works: the stub counts starts without that, and turns to another one."""
        if not self.works:
            self.works = True
            with contextlib.suppress(OSError):
                self.disk.overwrite(stub.STARTS, b"0".ljust(STARTS_BYTES))

    def _say(self, word: str) -> None:
        """To the stub, once, if we are on trial."""
        if self.me is None or not self.me.trial or word in self.said:
            return
        self.said += (word,)
        self.tell(word)


def parent() -> int:
    """Another number once the stub above us is gone. On Windows always 0: there its end is a signal (`windows`)."""
    return 0 if os.name == "nt" else os.getppid()


def to_stub(word: str) -> None:
    """One word to the stub, which reads a trial's standard output."""
    with contextlib.suppress(OSError):
        os.write(1, f"{word}\n".encode())


def who_am_i(environment: Mapping[str, str] = os.environ) -> Me | None:
    """As the stub says; None = no stub started us."""
    try:
        return Me(**json.loads(environment["BRAKELINE_STUB"]))
    except (KeyError, ValueError, TypeError):
        return None


def calm(launcher: model.State) -> bool:
    """The confirmed agent runs and is healthy, and nothing is on probation, guarded or about to end."""
    phase, record = launcher.phase, launcher.record
    quiet = not (record.trial or launcher.guard or launcher.stopping)
    healthy = isinstance(phase, Running) and phase.healthy and not (phase.trial or phase.killed)
    return quiet and healthy and isinstance(phase, Running) and phase.release_id == record.current


# --- files -----------------------------------------------------------------------------------------------------------


def prepare(disk: Disk) -> None:
    """Allocate both copies of the selector and the number of starts, once."""
    for folder in ("launcher", *(f"launcher/{slot}" for slot in stub.SLOTS)):
        disk.mkdir(folder)
    allocate(disk, dict.fromkeys(stub.SELECTORS, bytes(stub.SELECTOR_BYTES)) | {stub.STARTS: b"0".ljust(STARTS_BYTES)})


def load(disk: Disk) -> Selector:
    """What the disk says; an empty one if that is lost."""
    plain = stub.newest(disk)
    try:
        known = {f.name for f in dataclasses.fields(Selector)}
        fields: dict[str, Any] = {k: v for k, v in plain.items() if k in known}
        fields["slots"] = {slot: _slot(about) for slot, about in fields.get("slots", {}).items()}
        fields["failed"] = tuple(fields.get("failed", ()))
        end = fields.get("last_trial")  # a newer launcher may say more of it
        fields["last_trial"] = TrialEnd(**{f.name: end[f.name] for f in dataclasses.fields(TrialEnd)}) if end else None
        return Selector(**fields)
    except (TypeError, KeyError, ValueError):
        return Selector()


def _slot(about: Any) -> Slot:
    return Slot(str(about["release_id"]), str(about["sha256"]), int(about["sequence"]))


def held(disk: Disk) -> dict[str, Slot]:
    """What each slot says of itself that was once confirmed."""
    found = {}
    for slot in stub.SLOTS:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found[slot] = _slot(json.loads(disk.read(f"launcher/{slot}/good.json")))
    return found


def vouch(disk: Disk, slot: str, about: Slot) -> None:
    """The slot says of itself that it was confirmed, for a stub that finds no selector."""
    disk.create(f"launcher/{slot}/good.json", json.dumps(dataclasses.asdict(about)).encode())
    disk.sync(f"launcher/{slot}/good.json")
    disk.sync_dir(f"launcher/{slot}")


def write(disk: Disk, slot: str, staged: Staged) -> Slot:
    """Put a verified release into a slot that nothing runs from; durable when it returns. Raises `OSError`."""
    folder, tree = f"launcher/{slot}", f"{install.VERSIONS}/{staged.release_id}"
    wrong = install.verify(disk, staged.release_id)
    if wrong or install.product_of(disk, staged.release_id) != PRODUCT:
        raise OSError(5, f"{staged.release_id} cannot be used: {wrong or 'it is no launcher'}")
    data = disk.read(f"{tree}/{PROGRAM}")
    prepare(disk)
    if disk.exists(f"{folder}/good.json"):
        disk.remove_tree(f"{folder}/good.json")
        disk.sync_dir(folder)
    disk.create(f"{folder}/{PROGRAM}", data)
    disk.sync(f"{folder}/{PROGRAM}")
    disk.sync_dir(folder)
    disk.sync_dir("launcher")
    if disk.read(f"{folder}/{PROGRAM}") != data:
        raise OSError(5, f"slot {slot} does not hold what was written")
    return Slot(staged.release_id, hashlib.sha256(data).hexdigest(), staged.sequence)
