"""The walk of the launcher's own update: the real stub, selector and slots over a disk that loses power at each step.

A service manager starts the stub again and again; the confirmed launcher is offered a newer one with a character. The
promises: no program is executed that is not whole; the confirmed launcher is never given up for the factory's; a bad
one is never confirmed and is executed three times at most, whatever is cut off; a good one is confirmed in the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tools.crashtest.modelcheck import Outcome
from tools.crashtest.simdisk import Image, PowerLoss, SimDisk

from brakeline.launcher import install, model, selector, stub
from brakeline.launcher.model import Knobs, Record, Running, Staged
from brakeline.launcher.slots import EXCUSES_MAX, Me, Selector, Slot
from brakeline.trust import artifacts

CHARACTERS: Final = ("good", "crash", "hang", "late", "killer")
KNOBS = Knobs(launcher_calm_s=1.0)
AGENT: Final = "3.0.0-aaaaaaaaaaaa"
SERVICES_MAX: Final = 12  # starts by the service manager until a life is called endless
TICKS: Final = 6
RUNS_MAX: Final = EXCUSES_MAX + 1
OLD, NEW = b"old launcher " * 90, b"new launcher " * 90


def _slot(program: bytes, sequence: int) -> Slot:
    digest = hashlib.sha256(program).hexdigest()
    return Slot(f"1.{sequence}.0-{digest[:12]}", digest, sequence)


ONE, TWO = _slot(OLD, 1), _slot(NEW, 2)
NAMES: Final = {ONE.sha256: "old", TWO.sha256: "new"}


@dataclass(frozen=True)
class Stub:
    """Where mutants reach in; the defaults are the frozen stub's."""

    begin: Callable[[Any, dict[str, Any]], tuple[str, str]] = stub.begin
    after: Callable[[Any, dict[str, Any]], None] = lambda *_: None
    standing: Callable[[Any, dict[str, Any]], tuple[str, dict[str, Any]]] = stub.standing


@dataclass
class Life:
    """One boot: services until nothing more is to come, or `PowerLoss`."""

    disk: SimDisk
    character: str
    executed: Counter[str]
    stub: Stub
    violations: list[str] = field(default_factory=list)
    at: float = 1000.0
    runs: str = ""  # who runs at the end

    def live(self) -> None:
        for _ in range(SERVICES_MAX):
            if self._service():
                return
        self.violations.append(f"{self.character}: {SERVICES_MAX} starts and no end")

    def _service(self) -> bool:
        """As `stub.main`; whether the launcher stays."""
        held = stub.newest(self.disk)
        slot, ended = self.stub.begin(self.disk, held)
        if slot:
            ended = self._launcher(slot, held["slots"][slot], ended, trial=True)
            self.stub.after(self.disk, held)
            if not ended or stub.newest(self.disk).get("confirmed") == slot:
                return not ended
        slot, about = self.stub.standing(self.disk, stub.newest(self.disk))
        if not slot:
            self.violations.append(f"{self.character}: the confirmed launcher was given up for the factory's")
            return True
        return not self._launcher(slot, about, ended, trial=False)

    def _launcher(self, slot: str, about: dict[str, Any], ended: str, *, trial: bool) -> str:
        """Execute what is there: how it ended, "" = it stays."""
        who = NAMES.get(hashlib.sha256(self.disk.read(f"launcher/{slot}/launcher.pyz")).hexdigest(), "torn")
        self.executed[who] += 1
        self.runs = who
        if who == "torn":
            self.violations.append(f"{self.character}: a torn launcher was executed")
        if who == "new" and self.character != "good":
            if self.character == "killer":
                raise PowerLoss
            if self.character != "late":
                return {"crash": "ended: with code 1", "hang": "late: it did not say READY in time"}[self.character]
        update = selector.Update(self.disk, KNOBS, lambda _: None, Me(slot, about["release_id"], trial, ended),
                                 lambda _: None)  # fmt: skip
        update.begin(self.at)
        if who == "new" and self.character == "late":
            return "ended: with code 9"
        for _ in range(TICKS):
            self.at += 700.0
            if not trial:
                self._offer(update)
            if why := update.tick(_calm(), self.at):
                return f"ended: {why}"
        return ""

    def _offer(self, update: selector.Update) -> None:
        """What a look does: the offered release is complete in versions/."""
        if TWO.release_id in (*update.selector.failed, update.selector.release(update.selector.confirmed)):
            return
        try:
            if install.verify(self.disk, TWO.release_id):
                said = artifacts.About("launcher", "1.2.0", 2, "any", ("@python", "-I", "launcher.pyz"))
                install.write_tree(self.disk, TWO.release_id, {"launcher.pyz": NEW}, said)
        except OSError:
            return
        found = model.Found(True, Record().floors, others=(Staged("launcher", TWO.release_id, TWO.sequence),))
        update.screen(found, self.at)


def _calm() -> model.State:
    running = Running(AGENT, trial=False, since_s=0.0, ready=True, healthy=True)
    return model.State(Record(current=AGENT), phase=running, fresh_s=1.0)


def baseline() -> Image:
    """Launcher `old` is confirmed in slot a, and that is durable."""
    disk = SimDisk()
    selector.prepare(disk)
    disk.create("launcher/a/launcher.pyz", OLD)
    selector.vouch(disk, "a", ONE)
    about = {"release_id": ONE.release_id, "sha256": ONE.sha256, "sequence": ONE.sequence}
    stub.commit(disk, json.loads(json.dumps({"generation": 1, "confirmed": "a", "slots": {"a": about}})))
    return next(i for i in _applied(disk))


def _applied(disk: SimDisk) -> list[Image]:
    for path in [p for p, inode in disk.entries.items() if inode]:
        disk.sync(path)
    for folder in ("", "launcher", "launcher/a", "launcher/b"):
        disk.sync_dir(folder)
    return [disk.image()]


def walk(character: str, depth: int, frozen: Stub = Stub(), *, stop_at_first: bool = False) -> Outcome:
    """Every cut of every life, `depth` in a row, then one life to its end."""
    result = Outcome()
    waiting: list[tuple[Image, tuple[tuple[str, int], ...], int]] = [(baseline(), (), 0)]
    seen = set(waiting)
    while waiting:
        image, counted, cuts = waiting.pop()
        result.add(_to_the_end(image, counted, cuts, character, frozen))
        if stop_at_first and result.violations:
            return result
        if cuts == depth:
            continue
        cut_at = 0
        while True:
            cut_at += 1
            life = Life(SimDisk.of(image), character, Counter(dict(counted)), frozen)
            life.disk.cut_at = cut_at
            try:
                life.live()
                break
            except PowerLoss:
                result.violations += life.violations
                runs = tuple(sorted(life.executed.items()))
                found = {(after, runs, cuts + 1) for after in life.disk.images()} - seen
                seen |= found
                waiting += sorted(found)
                if life.disk.steps < cut_at:
                    break  # the release itself took the host down
    return result


def _to_the_end(image: Image, counted: tuple[tuple[str, int], ...], cuts: int, character: str, frozen: Stub) -> Outcome:
    """No more cuts but those that a killer makes: what becomes of it?"""
    result = Outcome(outcomes=1)
    executed = Counter(dict(counted))
    for _ in range(SERVICES_MAX):
        life = Life(SimDisk.of(image), character, executed, frozen)
        try:
            life.live()
        except PowerLoss:
            image = min(life.disk.images(), key=_tries, default=image)
            continue
        finally:
            result.violations += life.violations
            result.runs += 1
        break
    else:
        result.violations.append(f"{character}: it takes the host down for ever")
        return result
    selected = selector.load(life.disk)
    if executed["new"] > RUNS_MAX and character != "good":
        result.violations.append(f"{character}: executed {executed['new']} times")
    if character != "good" and (life.runs != "old" or selected.confirmed != "a"):
        result.violations.append(f"{character}: {life.runs} runs, {selected.confirmed!r} is confirmed")
    if character == "good" and life.runs != "new":
        given_up = TWO.release_id in selected.failed and cuts > EXCUSES_MAX
        result.given_up += given_up
        if not given_up:
            result.violations.append(f"good: {life.runs} runs after {cuts} cuts")
    return result


def _tries(image: Image) -> int:
    """The worst disk is the one that gives a killer most."""
    held: Selector = selector.load(SimDisk.of(image))
    return -held.tries


def full_disk(character: str) -> Outcome:
    """ENOSPC once, and from then on, at every operation; then the disk is mended."""
    result = Outcome()
    for for_ever in (False, True):
        fail_at = 0
        while True:
            fail_at += 1
            life = Life(SimDisk.of(baseline()), character, Counter(), Stub())
            life.disk.fail_at, life.disk.fail_for_ever = fail_at, for_ever
            with contextlib.suppress(PowerLoss):
                life.live()
            result.outcomes += 1
            result.violations += life.violations
            image, counted = life.disk.image(), tuple(sorted(life.executed.items()))
            if life.disk.steps < fail_at:
                break
            result.add(_to_the_end(image, counted, 1, character, Stub()))
    return result


# --- planted faults --------------------------------------------------------------------------------------------------


class _NoSync:
    """A disk whose owner forgets to sync the selector."""

    def __init__(self, disk: Any) -> None:
        self.read, self.overwrite = disk.read, disk.overwrite

    def sync(self, path: str) -> None:
        """Forgotten."""


def _begin_without_taking(disk: Any, held: dict[str, Any]) -> tuple[str, str]:
    slot = held.get("trial", "")
    return (slot, "") if slot and held.get("tries") and stub.whole(disk, slot, held["slots"].get(slot)) else ("", "")


def _take_afterwards(disk: Any, held: dict[str, Any]) -> None:
    if stub.newest(disk).get("trial") == held["trial"]:
        stub.begin(disk, stub.newest(disk))


MUTANTS: Final[dict[str, tuple[Stub, str]]] = {
    "stub: the try is not synced before it runs": (
        Stub(begin=lambda disk, held: stub.begin(_NoSync(disk), held)), "killer"),
    "stub: the try is taken away after it": (Stub(begin=_begin_without_taking, after=_take_afterwards), "killer"),
    "stub: the try is never taken away": (Stub(begin=_begin_without_taking), "killer"),
    "stub: what is on trial may stand": (
        Stub(standing=lambda disk, held: stub.standing(
            disk, {**held, "trial": "", "confirmed": held.get("trial") or held["confirmed"]})), "hang"),
}  # fmt: skip


def caught(name: str) -> list[str]:
    """The violations that give this mutant away."""
    frozen, character = MUTANTS[name]
    return walk(character, 1, frozen, stop_at_first=True).violations
