"""A small world around `launcher.decide`: boots, a disk that may refuse, releases with a character, a cell with moods.

`World` is what outlives the launcher's process and what really happened; `Life` is one process of the launcher: the
shell of `launcher.shell` in short, with the same order of commits and commands. Every promise is asserted where it
could be broken; the world keeps its own books (`executed`, `proven`), so no lie of a record can hide anything.
Torn writes are not here but in tools/crashtest; here a commit happens or is refused. Next: sim/test_launcher_sim.py.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tools.launcher_states import state_name

from brakeline.launcher import model
from brakeline.launcher.decide import LOOK, decide
from brakeline.launcher.model import REFUNDS_MAX, TRIES, Command, Event, Found, Knobs, Record, Running, State
from brakeline.launcher.records import decode, encode

OFTEN = Knobs(check_every_s=30.0)  # looks that overlap with everything else
BAD = ("crash", "hang", "unhealthy", "asks", "killer", "greedy", "liar", "late", "late_greedy", "late_killer")
EVENTS_MAX = 200  # in a row without time passing: more is a loop


class PowerCut(Exception):
    """The host is gone, by itself or by its release."""


class Gone(Exception):
    """The launcher's process is gone; the host goes on."""


@dataclass(frozen=True)
class Release:
    """`after_s`: of one run, or of all runs together for those that turn bad late.

    Content has a character too: what the release does that is given it.
    """

    id: str
    sequence: int
    character: str
    after_s: float = 5.0
    product: str = model.AGENT


@dataclass
class Child:
    """An execution: what it will do when, ascending."""

    release: Release
    content: str
    since_s: float
    plan: list[tuple[float, str]]
    healthy: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.release.id, self.content) if self.content else (self.release.id,)


@dataclass
class World:
    """`faults`: probability that something goes wrong in a step."""

    rng: random.Random
    faults: float = 0.03
    mutant: str = ""
    knobs: Knobs = field(default_factory=Knobs)
    now_s: float = 0.0
    boot: int = 0
    booted_s: float = 0.0
    slot: bytes = field(default_factory=lambda: encode(Record()))
    disk_refuses: bool = False
    releases: dict[str, Release] = field(default_factory=dict)
    installed: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)  # their files are not what the manifest says
    mood: str = "answers"  # of the cell: answers | silent (at once) | slow (the look has to be killed)
    offered: str = ""
    content_offered: str = ""
    recalls: set[str] = field(default_factory=set)
    pardons: set[str] = field(default_factory=set)
    cache: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())  # the documents of the last answer
    executed: Counter[str] = field(default_factory=Counter)  # before they had proven themselves
    proven: set[str] = field(default_factory=set)
    served_s: Counter[str] = field(default_factory=Counter)  # uptime of all runs of a release
    delays: int = 0  # rests that the host guard has begun
    seen: set[tuple[str, str, str]] = field(default_factory=set)  # state, event, next state
    story: list[str] = field(default_factory=list)

    @property
    def at(self) -> float:
        """Monotonic seconds of this boot."""
        return 20.0 + self.now_s - self.booted_s

    @property
    def durable(self) -> Record:
        record = decode(self.slot)
        assert record is not None
        return record

    def wrong(self, times: float = 1.0) -> bool:
        return self.rng.random() < self.faults * times

    def tell(self, line: str) -> None:
        self.story.append(f"{self.now_s:10.1f} boot {self.boot}: {line}")

    def publish(self, character: str, product: str = model.AGENT) -> Release:
        number = len(self.releases) + 1
        # one that turns bad late does so only after it has passed its probation
        after_s = self.rng.uniform(700, 90_000) if character.startswith("late") else self.rng.choice((0.1, 5, 59, 400))
        made = Release(f"{number}.0.0-{number:012x}", number, character, after_s, product)
        self.releases[made.id] = made
        return made

    def settle(self, current: str, last_known_good: str = "", content: str = "") -> None:
        """As after an enrolment: these count as confirmed."""
        self.proven |= {r for r in (current, last_known_good, content) if r}
        self.installed |= self.proven
        sequence = self.releases[current].sequence
        record = Record(generation=1, current=current, last_known_good=last_known_good, content=content)
        self.slot = encode(replace(record, floors=replace(record.floors, sequence=sequence)))

    def reboot(self, off_s: float) -> None:
        self.now_s += off_s
        self.boot, self.booted_s = self.boot + 1, self.now_s

    def plan(self, release: Release) -> list[tuple[float, str]]:
        """What an execution will do, as (seconds after its start, what)."""
        ready_s, healthy_s = self.rng.uniform(0.2, 8), self.rng.choice((9.0, 100.0, 900.0))
        fine = [(ready_s, "READY"), (healthy_s, "HEALTHY")]
        end_s = release.after_s
        left_s = max(1.0, end_s - self.served_s[release.id])
        match release.character:
            case "good":
                return fine
            case "crash":
                return [(end_s, "exit 1")]
            case "hang":
                return []
            case "unhealthy":
                return fine[:1]
            case "asks":
                return sorted([*fine[:1], (end_s, f"exit {LOOK}")])
            case "killer":
                return sorted([*fine, (end_s, "host")])
            case "greedy":
                return sorted([*fine, (end_s, "budget")])
            case "liar":
                return sorted([*fine, (end_s + 100, "exit 3")])
            case "late":
                return sorted([*fine, (left_s, "exit 1")])
            case "late_greedy":
                return sorted([*fine, (left_s, "budget")])
            case "late_killer":
                return sorted([*fine, (left_s, "host")])
        raise AssertionError(release.character)


class Life:
    """One process of the launcher."""

    def __init__(self, world: World) -> None:
        self.world = world
        record = world.durable
        self.state = State(record, world.knobs, committed=record)
        self.events: deque[Event] = deque([model.Started(world.at, f"b{world.boot}", frozenset(world.installed))])
        self.child: Child | None = None
        self.look: tuple[float, Callable[[], Event]] | None = None
        self.looked = False
        self.told = set(record.recalled)
        self.kill_at_s = 0.0
        self.in_a_row = 0
        self.over = False

    @property
    def running(self) -> Release | None:
        return self.child.release if self.child else None

    def step(self, gap_s: float = 0.0) -> None:
        """One event; time passes when there is none."""
        if not self.events:
            self.wait(gap_s or self.world.rng.choice((1.0, 5.0, 20.0, 60.0, 60.0, 60.0)))
        self.in_a_row += 1
        assert self.in_a_row < EVENTS_MAX, "it goes round in circles without time passing"
        self.take(self.events.popleft())

    def wait(self, gap_s: float) -> None:
        """Until the next thing happens; as the shell, which looks at everything each time."""
        world, self.in_a_row = self.world, 0
        assert isinstance(self.state.phase, Running) == (self.child is not None), "it is wrong about what runs"
        assert self.state.looking == (self.look is not None), "it is wrong about whether it looks"
        dues = [world.now_s + gap_s]
        dues += [self.look[0]] if self.look else []
        if self.child:
            dues += [self.child.since_s + self.child.plan[0][0]] if self.child.plan else []
            dues += [self.kill_at_s] if self.kill_at_s else []
        before_s, world.now_s = world.now_s, max(world.now_s + 0.01, min(dues))
        if self.child:
            world.served_s.update(dict.fromkeys(self.child.parts, world.now_s - before_s))
        if self.look and world.now_s >= self.look[0]:
            self.events.append(self.look[1]())
            self.look, self.looked = None, True
        self.watch()
        self.events.append(model.Tick(world.at))

    def watch(self) -> None:
        """What the release does by now."""
        world = self.world
        while self.child and self.child.plan and world.now_s >= self.child.since_s + self.child.plan[0][0]:
            what = self.child.plan.pop(0)[1]
            if what == "host":
                world.tell(f"{' with '.join(self.child.parts)} takes the host down")
                raise PowerCut
            if what == "budget":
                self.events.append(model.OverBudget(world.at, "memory: a lot"))
            elif what.startswith("exit"):
                self.exited(int(what.split()[1]))
            else:
                self.child.healthy |= what == "HEALTHY"
                self.events.append(model.Said(world.at, what))
        if self.child and self.kill_at_s and world.now_s >= self.kill_at_s:
            self.exited(-9)

    def exited(self, status: int) -> None:
        self.child, self.kill_at_s = None, 0.0
        self.events.append(model.Exited(self.world.at, status, "the end of its log"))

    def take(self, event: Event) -> None:
        """Decide and do."""
        world = self.world
        if isinstance(event, model.CheckEnded) and event.found is not None:
            self.told = (self.told | set(event.found.recalled)) - set(event.found.pardoned)
        if self.child and self.child.healthy and world.now_s - self.child.since_s >= world.knobs.probation_s - 0.1:
            world.proven |= set(self.child.parts)
        before = self.state
        self.state, commands = decide(before, event)
        world.seen.add((state_name(before.phase), type(event).__name__, state_name(self.state.phase)))
        self.judge(before)
        for command in sorted(commands, key=_late) if world.mutant == "execute before commit" else commands:
            if world.wrong(0.05):
                world.tell("power cut between two commands")
                raise PowerCut
            if not self.do(command):
                break

    def judge(self, before: State) -> None:
        world, record = self.world, self.state.record
        for confirmed in (record.current, record.content):
            assert not confirmed or confirmed in world.proven, f"{confirmed} was never confirmed"
        assert not record.content or world.releases[record.content].product == model.CONTENT
        guard, was = self.state.guard, before.guard
        world.delays += "it rests" in guard and "it rests" not in was

    def do(self, command: Command) -> bool:
        """False = what follows must not be done."""
        world = self.world
        match command:
            case model.Commit(record=record, must=must):
                return self.commit(record, must)
            case model.Check(damaged=damaged):
                assert self.look is None, "two looks at once"
                world.tell("looks")
                took_s = world.knobs.check_s if world.mood == "slow" else world.rng.uniform(0.2, 5)
                start = world.durable
                self.look = world.now_s + took_s, lambda: self.found(start, damaged)
            case model.Execute(release_id=release_id, content=content):
                self.execute(release_id, content)
            case model.Kill(why=why):
                world.tell(f"kills: {why}")
                if self.child is not None:  # else it has just ended, and decide is told next
                    self.kill_at_s = world.now_s + world.rng.uniform(0.1, world.knobs.stop_s)
            case model.CollectGarbage(keep=keep):
                world.installed &= keep
            case model.Log(line=line):
                world.tell(line)
            case model.Exit():
                self.over = True
        return True

    def commit(self, record: Record, must: bool) -> bool:
        world = self.world
        if world.disk_refuses:
            world.tell("the disk refuses the record")
            if must:
                self.events.appendleft(model.CommitFailed(world.at, "no space"))
            return not must
        was = world.durable.floors
        assert record.floors.sequence >= was.sequence, "the floor of releases goes down"
        assert record.floors.content_sequence >= was.content_sequence, "the floor of content goes down"
        generation = self.state.committed.generation + 1
        if world.mutant != "commits are lost":
            world.slot = encode(replace(record, generation=generation))
        record = replace(self.state.record, generation=generation)
        self.state = replace(self.state, record=record, committed=record)
        return True

    def execute(self, release_id: str, content: str) -> None:
        """The promises of every execution."""
        world = self.world
        assert self.child is None, "two releases at once"
        assert self.looked, "executed before a look has ended"
        assert world.releases[release_id].product == model.AGENT, "content was executed"
        parts = (release_id, content) if content else (release_id,)
        unproven = [part for part in parts if part not in world.proven]
        assert len(unproven) <= 1, "two releases on probation at once"
        for part in parts:
            self.may_run(part)
        for part in parts:
            if part in world.broken or part not in world.installed or world.wrong(0.5):
                world.tell(f"{part} cannot be executed")
                self.events.append(model.Refused(world.at, part, "manifest", "a file is not what it should be"))
                return
        for part in unproven:
            world.executed[part] += 1
            assert world.executed[part] <= TRIES + REFUNDS_MAX, f"{part} was executed too often"
        acts = [world.releases[part] for part in parts]
        world.tell(f"executes {' with '.join(parts)}, {' and '.join(r.character for r in acts)}")
        self.child = Child(world.releases[release_id], content, world.now_s, together([world.plan(r) for r in acts]))

    def may_run(self, release_id: str) -> None:
        world, record = self.world, self.state.record
        assert release_id not in self.told, f"{release_id} is recalled"
        assert release_id not in (*record.recalled, *record.quarantined), f"{release_id} is forbidden"
        assert release_id != record.suspect, f"{release_id} should rest"
        if release_id not in world.proven:
            runs = world.durable.attempt(release_id).runs
            assert runs > world.executed[release_id], f"{release_id}: an execution that is not counted on disk"

    def found(self, start: Record, damaged: tuple[str, ...]) -> Event:
        """What a look comes to that began when the disk held `start`; as `launcher.source.look`."""
        world = self.world
        fresh = world.mood == "answers"
        if world.mood == "slow" or world.wrong():
            return model.CheckEnded(world.at, None, frozenset(world.installed), "no answer in time")
        if fresh:
            world.cache = frozenset(world.recalls), frozenset(world.pardons)
        recalled, pardoned = world.cache
        staged, content = (
            self.staged(start, offer) if fresh and offer not in recalled else ""
            for offer in (world.offered, world.content_offered)
        )
        if fresh and not world.disk_refuses:
            mended_now = {r for r in damaged if r in start.kept}
            world.installed |= mended_now
            world.broken -= mended_now
        mended = tuple(r for r in damaged if r in world.installed and r not in world.broken)
        sequence = world.releases[staged].sequence if staged else 0
        floors = replace(start.floors, time_ms=int(world.now_s * 1000)) if fresh else start.floors
        others = (model.Staged(model.CONTENT, content, world.releases[content].sequence),) if content else ()
        found = Found(
            fresh, floors, tuple(sorted(recalled)), tuple(sorted(pardoned)), staged, sequence, mended=mended,
            others=others,
        )  # fmt: skip
        return model.CheckEnded(world.at, found, frozenset(world.installed))

    def staged(self, start: Record, offer: str) -> str:
        world = self.world
        if not offer or offer in (*start.quarantined, start.current, start.content):
            return ""
        if world.releases[offer].sequence < start.floors.of(world.releases[offer].product):
            return ""
        if offer not in world.installed or offer in world.broken:
            if world.disk_refuses:
                return ""
            world.installed.add(offer)
            world.broken.discard(offer)
        return offer


def together(plans: list[list[tuple[float, str]]]) -> list[tuple[float, str]]:
    """What a release does with its content: good words only if both allow them, harm if either does any."""
    said = [{what: at for at, what in plan if what in ("READY", "HEALTHY")} for plan in plans]
    words = [(max(s[word] for s in said), word) for word in said[0] if all(word in s for s in said)]
    return sorted([*words, *((at, what) for plan in plans for at, what in plan if what not in ("READY", "HEALTHY"))])


def _late(command: Command) -> bool:
    return isinstance(command, model.Commit)
