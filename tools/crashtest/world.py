"""One endpoint: the launcher's real `decide`, `records` and `install` over a `SimDisk`, and releases with a character.

What really happened (`executed`) is kept outside the disk, so no power cut can hide an execution.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

from tools.crashtest.simdisk import PowerLoss, SimDisk

from brakeline.launcher import install, model
from brakeline.launcher.decide import decide
from brakeline.launcher.model import Command, Event, Found, Knobs, Record, State
from brakeline.launcher.records import Records
from brakeline.trust.errors import Distrust
from brakeline.trust.model import Floors, Offered

KNOBS = Knobs(
    guard_wait_s=60.0, guard_delays_s=(200.0, 400.0, 800.0), again_s=300.0, check_every_s=120.0, healthy_s=900.0
)
TICK_S = 20.0
EVENTS_MAX = 1500
GOOD = ("good", "rots")


@dataclass(frozen=True)
class Release:
    """A real bundle and how its program behaves.

    good | crash | hang | killer (takes the host down at once) | poisons (leaves wrong bytes where the look finds
    downloads, and crashes) | ruins (its own tree is damaged while it runs, and it crashes) | rots (is well, but its
    tree is damaged while it runs: to be noticed and mended) | ready-crash (says READY, then ends) | ready-killer (says
    READY, then takes the host down).

    Content does nothing by itself: its character is what the agent does that reads it.
    """

    version: str
    sequence: int
    character: str
    product: str = model.AGENT

    @property
    def bundle(self) -> bytes:
        return _bundle(self.version, self.sequence, self.product)

    @property
    def offered(self) -> Offered:
        return _offered(self.version, self.sequence, self.product)

    @property
    def id(self) -> str:
        return self.offered.release_id

    @property
    def is_good(self) -> bool:
        return self.character in GOOD


def program(version: str) -> bytes:
    return version.encode() * 8


def file_of(product: str) -> str:
    return "rules.json" if product == model.CONTENT else "agent.pyz"


@cache
def _bundle(version: str, sequence: int, product: str) -> bytes:
    file = file_of(product)
    entry = [file] if product == model.CONTENT else ["@python", "-I", file]
    about = {"product": product, "version": version, "sequence": sequence, "platform": "any", "entry": entry}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in (("release.json", json.dumps(about).encode()), (file, program(version))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@cache
def _offered(version: str, sequence: int, product: str) -> Offered:
    data = _bundle(version, sequence, product)
    digest = hashlib.sha256(data).hexdigest()
    return Offered(product, version, sequence, product, digest, len(data), "ro", 1, 0)


@dataclass
class Shell:
    """Where mutants reach in; the defaults are what the real shell does."""

    verify: Callable[[SimDisk, str], str] = install.verify
    count_first: bool = True  # commit before execute
    heeds_refusals: bool = True  # what could not be written down cuts off what follows
    decide: Callable[[State, Event], tuple[State, tuple[Command, ...]]] = decide
    install: Callable[[SimDisk, bytes, Offered, str], None] = install.install


@dataclass
class World:
    """Runs until settled, or raises `PowerLoss`."""

    disk: SimDisk
    releases: dict[str, Release]
    offered: Release | None
    boot: int = 0
    executed: Counter[str] = field(default_factory=Counter)
    shell: Shell = field(default_factory=Shell)
    recalled: tuple[str, ...] = ()
    at: float = 0.0
    also: Release | None = None  # of another product, offered in the same looks
    lost: bool = False  # neither slot could be read
    wrong: list[str] = field(default_factory=list)  # executed though its program was not the signed one
    falls: bool = False  # what runs takes the host down as soon as its READY was heard

    def run(self, settled: Callable[[State], bool]) -> State:
        """Boot the launcher and let time pass."""
        records = Records(self.disk)
        problem = ""
        try:
            records.prepare()
        except OSError as e:
            problem = f"state_lost: {e}"
        record, lost = records.load()
        self.lost = bool(lost)
        if not record.current:
            record = install.rebuild(self.disk)
            problem = lost
        state = State(record, KNOBS, committed=record)
        queue: deque[Event] = deque([model.Started(self.at, f"boot{self.boot}", install.installed(self.disk), problem)])
        for _ in range(EVENTS_MAX):
            if not queue:
                if self.falls:
                    raise PowerLoss
                if settled(state):
                    return state
                self.at += TICK_S
                queue.append(model.Tick(self.at))
            state, commands = self.shell.decide(state, queue.popleft())
            if not self.shell.count_first:
                commands = tuple(sorted(commands, key=lambda c: isinstance(c, model.Commit)))
            for command in commands:
                state, go_on = self._do(state, records, command, queue)
                if not go_on:
                    break
        return state

    def _do(self, state: State, records: Records, command: Command, queue: deque[Event]) -> tuple[State, bool]:
        match command:
            case model.Commit(record=record, must=must):
                return self._commit(state, records, record, must, queue)
            case model.Check(damaged=damaged):
                queue.append(model.CheckEnded(self.at, self._look(state.record, damaged), install.installed(self.disk)))
            case model.Execute(release_id=release_id, content=content):
                self._execute(release_id, content, queue)
            case model.Kill():
                queue.append(model.Exited(self.at, -9))
            case model.CollectGarbage(keep=keep):
                try:
                    install.collect(self.disk, keep)
                    install.collect(self.disk, keep, model.CONTENT)
                except OSError:
                    return state, True
        return state, True

    def _commit(
        self, state: State, records: Records, record: Record, must: bool, queue: deque[Event]
    ) -> tuple[State, bool]:
        record = replace(record, generation=state.committed.generation + 1)
        try:
            records.commit(record)
        except OSError as e:
            must = must and self.shell.heeds_refusals
            if must:
                queue.appendleft(model.CommitFailed(self.at, str(e)))
            return state, not must
        record = replace(state.record, generation=record.generation)
        return replace(state, record=record, committed=record), True

    def _look(self, record: Record, damaged: tuple[str, ...]) -> Found:
        """As `launcher.source.look` with a cell that answers: what is offered, and what of ours is damaged."""
        staged: list[model.Staged] = []
        done = (*record.quarantined, record.current, record.content)
        offered = [r for r in (self.offered, self.also) if r and r.id not in done]
        mending = [self.releases[r] for r in damaged if r in record.kept]
        for release in (*offered, *mending):
            try:
                if install.verify(self.disk, release.id):
                    self._install(release)
                self.disk.sync_dir(install.VERSIONS)
                if release in offered:
                    staged.append(model.Staged(release.product, release.id, release.sequence))
            except (OSError, Distrust):
                continue
        mended = tuple(r for r in damaged if not install.verify(self.disk, r))
        own = record.floors
        floors = Floors(sequence=own.sequence, content_sequence=own.content_sequence)
        agent = next((s for s in staged if s.product == model.AGENT), model.Staged(model.AGENT, "", 0))
        others = tuple(s for s in staged if s.product != model.AGENT)
        return Found(True, floors, self.recalled, (), agent.release_id, agent.sequence, mended=mended, others=others)

    def _install(self, release: Release) -> None:
        """From what the agent has left in its home, if it is that; else from the cell."""
        if release.character == "poisons" and self.executed[release.id]:
            with contextlib.suppress(Distrust):
                self.shell.install(self.disk, bytes(len(release.bundle)), release.offered, "any")
                return
        self.shell.install(self.disk, release.bundle, release.offered, "any")

    def _start(self, release: Release) -> None:
        """It is executed, or read: counted, and judged by what is really on the disk."""
        file = f"{install.VERSIONS}/{release.id}/{file_of(release.product)}"
        if not self.disk.exists(file) or self.disk.read(file) != program(release.version):
            self.wrong.append(f"{release.id} was executed though its program is not the signed one")
        self.executed[release.id] += 1
        if release.character in ("ruins", "rots") and self.disk.exists(file):
            self.disk.ruin(file)

    def _execute(self, release_id: str, content: str, queue: deque[Event]) -> None:
        for part in filter(None, (release_id, content)):
            wrong = self.shell.verify(self.disk, part)
            if wrong:
                queue.append(model.Refused(self.at, part, "manifest", wrong))
                return
        assert self.releases[release_id].product == model.AGENT, "content was executed"
        parts = [self.releases[part] for part in (release_id, content) if part]
        for release in parts:
            self._start(release)
        match next((r.character for r in parts if not r.is_good), "good"):
            case "good":
                queue += [model.Said(self.at, "READY"), model.Said(self.at, "HEALTHY")]
            case "crash" | "poisons" | "ruins":
                queue.append(model.Exited(self.at, 1, "it crashed"))
            case "ready-crash":
                queue += [model.Said(self.at, "READY"), model.Exited(self.at, 1, "it crashed")]
            case "killer":
                raise PowerLoss
            case "ready-killer":
                queue.append(model.Said(self.at, "READY"))
                self.falls = True
            case "hang":
                pass
