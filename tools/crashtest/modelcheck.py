"""The walk: a power cut at every operation of an update, every disk that may come of it, up to `depth` cuts in a row.

Equal disks with equal histories are looked at once. The promises, each a line of `violations`: a release that may run
exists and runs; a bad one is never confirmed and is executed three times at most, one that says READY first as often
as `runs_max` says; a good one is confirmed in the end; the record is never lost.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from tools.crashtest.simdisk import SECTOR, Image, PowerLoss, SimDisk
from tools.crashtest.world import Release, Shell, World

from brakeline.launcher import install
from brakeline.launcher.model import AGENT, CONTENT, REFUNDS_MAX, TRIES, Record, Running, State
from brakeline.launcher.records import SLOT_BYTES, Records, decode, encode

BASE = Release("1.0.0", 1, "good")
RULES = Release("1.1.0", 1, "good", CONTENT)  # the content of an endpoint that gets newer content
CUT, TAKEN_DOWN = "cut", "taken down"
REBOOTS_MAX = 12  # of a release that takes the host down; the launcher must have stopped it long before


@dataclass
class Outcome:
    """What a walk came to."""

    outcomes: int = 0
    runs: int = 0
    violations: list[str] = field(default_factory=list)
    ran_more_than_three: int = 0  # bad releases, but for those that say READY first
    ran_more_than_allowed: int = 0  # bad releases, each by its own bound (`runs_max`)
    ready_runs_max: int = 0  # how often one ran that says READY first: so the bound is seen to be reached
    good_lost: int = 0  # good releases that were not confirmed in the end, those given up not counted
    given_up: int = 0  # good releases that three power cuts in a row struck, each before READY (ADR 0014)

    def add(self, other: Outcome) -> None:
        self.outcomes += other.outcomes
        self.runs += other.runs
        self.violations += other.violations
        self.ran_more_than_three += other.ran_more_than_three
        self.ran_more_than_allowed += other.ran_more_than_allowed
        self.ready_runs_max = max(self.ready_runs_max, other.ready_runs_max)
        self.good_lost += other.good_lost
        self.given_up += other.given_up


def runs_max(character: str, cuts: int) -> int:
    """How often a bad release may be executed. An execution that the host's death ends after READY is given back, twice
    at most (ADR 0014): to one that takes the host down itself each time, to one that just ends only by our cuts."""
    if character == "ready-killer":
        return TRIES + REFUNDS_MAX
    return TRIES + min(cuts, REFUNDS_MAX) if character == "ready-crash" else TRIES


@cache
def baseline(*more: Release, current: Release = BASE, last_known_good: str = "", content: str = "") -> Image:
    """An endpoint as enrolment leaves it, everything durable."""
    disk = SimDisk()
    for release in {BASE, current, *more}:
        install.install(disk, release.bundle, release.offered, "any")
    records = Records(disk)
    records.prepare()
    records.commit(Record(1, current=current.id, last_known_good=last_known_good, content=content))
    disk.sync_dir("")
    return disk.image()


def walk(
    character: str, depth: int, shell: Shell | None = None, stop_at_first: bool = False, product: str = AGENT
) -> Outcome:
    """An update to a release of this character, with up to `depth` power cuts."""
    update = Release("2.0.0", 2, character, product)
    result = Outcome()
    seen: set[tuple[Image, int, int]] = set()
    begin = baseline(RULES, content=RULES.id) if product == CONTENT else baseline()
    todo: list[tuple[Image, int, int, int]] = [(begin, 0, 0, depth)]
    while todo:
        image, executed, boot, left = todo.pop()
        if (image, executed, left) in seen:
            continue
        seen.add((image, executed, left))
        for cut_at in cuts(image, update, executed, boot, shell) if left else (-1,):
            world = make(image, update, executed, boot, shell)
            world.disk.cut_at = cut_at
            result.runs += 1
            why = play(world, update, result, depth - left)
            after = world.executed[update.id]
            if why == CUT:
                todo += [(next_image, after, boot + 1, left - 1) for next_image in set(world.disk.images())]
            elif why == TAKEN_DOWN:  # it starts again with what was durable, and may be cut as often as before
                todo.append((world.disk.image(), after, boot + 1, left))
            if stop_at_first and result.violations:
                return result
    result.outcomes = len(seen)
    return result


def make(image: Image, update: Release, executed: int, boot: int, shell: Shell | None) -> World:
    releases = {r.id: r for r in (BASE, RULES, update)}
    counter = Counter({update.id: executed})
    return World(SimDisk.of(image), releases, update, boot, counter, shell or Shell(), at=boot * 1e6)


def cuts(image: Image, update: Release, executed: int, boot: int, shell: Shell | None) -> Iterator[int]:
    """-1 (no cut) and every operation that this boot would do."""
    world = make(image, update, executed, boot, shell)
    with contextlib.suppress(PowerLoss):
        world.run(settled(update))
    yield from (-1, *range(1, world.disk.steps + 1))


def settled(update: Release) -> Callable[[State], bool]:
    def is_settled(state: State) -> bool:
        phase = state.phase
        if not isinstance(phase, Running) or phase.trial or state.looking:
            return False
        new = update.id if update.is_good else ""
        wanted = (BASE.id, new or RULES.id) if update.product == CONTENT else (new or BASE.id, "")
        return (phase.release_id, phase.content) == wanted and not state.record.trial

    return is_settled


def play(world: World, update: Release, result: Outcome, cut: int) -> str:
    """Run until the end ("", judged), until the power is cut, or until the release itself takes the host down. `cut`:
    how often the power was cut before."""
    try:
        state = world.run(settled(update))
    except PowerLoss:
        if world.disk.steps == world.disk.cut_at:
            return CUT
        if world.boot < REBOOTS_MAX + cut:
            return TAKEN_DOWN
        count(world, update, result, cut)
        result.violations.append(f"{update.character}: the host was taken down {REBOOTS_MAX} times")
        return ""
    judge(world, state, update, result, cut)
    return ""


def count(world: World, update: Release, result: Outcome, cut: int, after: str = "") -> None:
    """Was a bad release executed more often than it may be?"""
    runs, ready = world.executed[update.id], update.character.startswith("ready-")
    if ready:
        result.ready_runs_max = max(result.ready_runs_max, runs)
    if runs > runs_max(update.character, cut):
        result.violations.append(f"{update.character}: executed {runs} times{after}")
        result.ran_more_than_allowed += 1
        result.ran_more_than_three += not ready


def judge(world: World, state: State, update: Release, result: Outcome, cut: int) -> None:
    """The promises, after so many power cuts."""
    record, lost = Records(world.disk).load()
    said = result.violations
    end = record.last_trial
    if update.is_good and end is not None and end.code == "cut_off" and end.runs == TRIES:
        result.given_up += 1
        if isinstance(state.phase, Running) and state.phase.release_id == BASE.id and not lost:
            return
    if not isinstance(state.phase, Running) or not settled(update)(state):
        said.append(f"{update.character}: ended in {state.phase} with {state.record}")
    if lost:
        said.append(f"{update.character}: the record is lost")
    if not update.is_good:
        count(world, update, result, cut)
        if update.id in record.kept:
            said.append(f"{update.character}: confirmed")
    elif update.id not in (record.current, record.content):
        said.append(f"{update.character}: not confirmed in the end")
        result.good_lost += 1
    said += [f"{update.character}: {wrong}" for wrong in world.wrong]
    if world.lost:
        said.append(f"{update.character}: both records were lost on the way")


def refusing_disk(character: str, error: int, shell: Shell | None = None, product: str = AGENT) -> Outcome:
    """An error at every operation, once and from then on: the last good release runs in every case, and what is on
    the disk afterwards heals when the disk does. `walk_refusals` adds a power cut behind the error."""
    update = Release("2.0.0", 2, character, product)
    result = Outcome()
    for fail_at in range(1, _steps(update, shell) + 1):
        for for_ever in (False, True):
            world = _refusing(update, error, fail_at, shell)
            world.disk.fail_for_ever = for_ever
            state = world.run(settled(update))
            result.runs += 1
            result.outcomes += 1
            for image in {world.disk.image(), *world.disk.images()}:
                _again(image, world, update, result)
            what = f"{os.strerror(error)} at {fail_at}"
            if not isinstance(state.phase, Running):
                result.violations.append(f"{character}: nothing runs after {what}: {state.phase}")
            if not update.is_good:
                count(world, update, result, 0, f" after {what}")
    return result


def walk_refusals(character: str, error: int, shell: Shell | None = None, stop_at_first: bool = False) -> Outcome:
    """An error at every operation, and the power goes at every operation after it."""
    update = Release("2.0.0", 2, character)
    result = Outcome()
    seen: set[tuple[Image, int]] = set()
    for fail_at in range(1, _steps(update, shell) + 1):
        whole = _refusing(update, error, fail_at, shell)
        whole.run(settled(update))
        for cut_at in range(fail_at + 1, whole.disk.steps + 1):
            world = _refusing(update, error, fail_at, shell)
            world.disk.cut_at = cut_at
            with contextlib.suppress(PowerLoss):
                world.run(settled(update))
            result.runs += 1
            for image in set(world.disk.images()):
                key = (image, world.executed[update.id])
                if key not in seen:
                    seen.add(key)
                    _again(image, world, update, result)
            if stop_at_first and result.violations:
                return result
    result.outcomes = len(seen)
    return result


def walk_restarts(error: int, shell: Shell | None = None, stop_at_first: bool = False) -> Outcome:
    """An error at every operation, the launcher's process ends soon after it, starts again, and then the power goes."""
    update = Release("2.0.0", 2, "crash")
    result = Outcome()
    seen: set[tuple[Image, int]] = set()
    for fail_at, killed_after in itertools.product(range(1, _steps(update, shell) + 1), range(1, 4)):
        for cut_after in itertools.count(1):
            world = _refusing(update, error, fail_at, shell)
            world.disk.cut_at = fail_at + killed_after
            with contextlib.suppress(PowerLoss):
                world.run(settled(update))
            world.disk.fail_at, world.disk.cut_at = -1, world.disk.steps + cut_after
            result.runs += 1
            try:
                world.run(settled(update))  # the same disk with all that is not durable: the host has not gone down
                break
            except PowerLoss:
                for image in set(world.disk.images()):
                    key = (image, world.executed[update.id])
                    if key not in seen:
                        seen.add(key)
                        _again(image, world, update, result)
            if stop_at_first and result.violations:
                return result
    result.outcomes = len(seen)
    return result


def _steps(update: Release, shell: Shell | None) -> int:
    quiet = make(_begin(update), update, 0, 0, shell)
    quiet.run(settled(update))
    return quiet.disk.steps


def _begin(update: Release) -> Image:
    return baseline(RULES, content=RULES.id) if update.product == CONTENT else baseline()


def _refusing(update: Release, error: int, fail_at: int, shell: Shell | None) -> World:
    world = make(_begin(update), update, 0, 0, shell)
    world.disk.fail_at, world.disk.fail_with = fail_at, error
    return world


def _again(image: Image, before: World, update: Release, result: Outcome) -> None:
    """The power has gone after the errors, the disk is mended: whatever was durable must heal."""
    after = make(image, update, before.executed[update.id], before.boot + 1, before.shell)
    result.runs += 1
    judge(after, after.run(settled(update)), update, result, 1)


def torn_records() -> Outcome:
    """A slot of which any set of sectors was written: it is the old record, the new one, or no record."""
    old, new = Record(7, current=BASE.id), Record(9, current=BASE.id, trial="2.0.0-0123456789ab", trial_sequence=2)
    many = tuple(f"1.0.{n}-0123456789ab" for n in range(24))
    long = replace(new, recalled=many, quarantined=many[:1])
    result = Outcome()
    for before, after in itertools.permutations((old, new, long, replace(long, trial="")), 2):
        slots = encode(before), encode(after)
        for written in itertools.product((0, 1), repeat=SLOT_BYTES // SECTOR):
            torn = b"".join(slots[w][i * SECTOR : (i + 1) * SECTOR] for i, w in enumerate(written))
            result.outcomes += 1
            if decode(torn) not in (before, after, None):
                result.violations.append(f"a torn record is believed: sectors {written}")
    return result


def both_at_once(agent: str, content: str) -> Outcome:
    """A release of each product in the same look: one after the other, and each comes to its own end."""
    update, rules = Release("2.0.0", 2, agent), Release("2.1.0", 2, content, CONTENT)
    world = make(baseline(RULES, content=RULES.id), update, 0, 0, None)
    world.also = world.releases[rules.id] = rules
    ends = (update.id if agent == "good" else BASE.id, rules.id if content == "good" else RULES.id)

    def is_settled(state: State) -> bool:
        phase = state.phase
        done = isinstance(phase, Running) and not phase.trial and (phase.release_id, phase.content) == ends
        done = done and not state.looking and not state.record.trial
        return done and {*state.record.kept, *state.record.quarantined} >= {update.id, rules.id}

    state = world.run(is_settled)
    result = Outcome(outcomes=1, runs=1)
    if not is_settled(state):
        result.violations.append(f"{agent} agent, {content} content: ended in {state.phase} with {state.record}")
    for release in (update, rules):
        if release.character != "good" and world.executed[release.id] != TRIES:
            result.violations.append(f"{release.id} was executed {world.executed[release.id]} times")
    return result


def killer_confirmed(shell: Shell | None = None) -> Outcome:
    """A confirmed release begins to take the host down at every start; no recall can be had for a long time."""
    killer = Release("2.0.0", 2, "killer")
    image = baseline(killer, current=killer, last_known_good=BASE.id)
    result = Outcome(outcomes=1)
    executed = Counter[str]()
    for boot in range(1, 4):
        world = World(
            SimDisk.of(image), {BASE.id: BASE, killer.id: killer}, None, boot, executed, shell or Shell(), at=0.0
        )
        try:
            state = world.run(lambda s: isinstance(s.phase, Running) and s.phase.release_id == BASE.id)
        except PowerLoss:
            image = world.disk.image()
            continue
        result.runs = boot
        if not isinstance(state.phase, Running):
            result.violations.append(f"killer: nothing runs: {state.phase}")
        break
    if executed[killer.id] > 1:
        result.violations.append(
            f"killer: executed {executed[killer.id]} times in a row though another release is good"
        )
    return result
