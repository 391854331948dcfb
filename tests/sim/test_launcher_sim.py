"""Histories of one launcher among power cuts, refusing disks, bad releases and a moody cell: `decide` and its promises.

Each seed is one history: trouble first, then calm; in the calm the launcher must come to run a good release by itself.
What is asserted at every step stands in `tests/support_launcher_sim.py`. A failing seed prints its story; a seed that
has once found a fault is kept in `ONCE_FAILED` with what it found.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tests.support_launcher_sim import BAD, OFTEN, Gone, Life, PowerCut, World
from tools.launcher_states import DOCUMENT, STATES, TRANSITIONS, document

from brakeline.launcher.model import AGENT, CONTENT, Running, StopAsked

ROOT = Path(__file__).parents[2]
SEEDS = 300
STEPS = 500
HOUR_S = 3600.0
HEALED_S = 3 * HOUR_S  # with a cell that offers a good release: one look an hour, a trial, a guard's wait
# Without any cell: a release on probation that says nothing is given a day, thrice; a suspect rests 1 h, 6 h, 24 h.
ALONE_S = 4 * 24 * HOUR_S + 8 * HOUR_S
ONCE_FAILED = {
    11: "a look behind a commit that failed never began, and no other was begun after it",
    51: "a disk that refused made it forget a recall",
    97: "a recall and a mended file in one look: the order to end the release was lost",
    260: "a newer release was confirmed in place of the one that had passed",
    650: "told to stop, it did not count the execution",
    1419: "the last known good rested, was forgotten, and never ran again",
}


def history(seed: int, mutant: str = "") -> World:
    """Trouble, then calm. Raises `AssertionError` when a promise is broken."""
    world = World(random.Random(seed), mutant=mutant)
    rng = world.rng
    if rng.random() < 0.5:
        world.knobs = OFTEN
    old, current = (
        world.publish("good"),
        world.publish(rng.choice(("good", "good", "late", "late_greedy", "late_killer"))),
    )
    content = world.publish(rng.choice(("good", "good", "late", "late_greedy", "late_killer")), CONTENT)
    world.settle(current.id, old.id if rng.random() < 0.7 else "", content.id if rng.random() < 0.5 else "")
    life = Life(world)
    for _ in range(STEPS):
        life = lived(world, life, trouble)
    calm(world, life)
    return world


def lived(world: World, life: Life, before: Callable[[World, Life], None] = lambda *_: None) -> Life:
    """One step; the launcher's next process if this one has ended."""
    try:
        before(world, life)
        life.step()
        if not life.over:
            return life
        if world.wrong(10):
            world.reboot(60.0)
    except PowerCut:
        world.reboot(world.rng.choice((15.0, 600.0, 90_000.0)) if world.faults else 15.0)
    except Gone:
        world.now_s += 1.0
    world.tell("the launcher starts")
    return Life(world)


def trouble(world: World, life: Life) -> None:
    """People, the network, the disk and the power, each now and then."""
    rng = world.rng
    if life.events:
        return
    if world.wrong(0.5):
        world.disk_refuses = not world.disk_refuses
    if world.wrong(0.7):
        world.mood = rng.choice(("answers", "answers", "silent", "slow"))
    if world.wrong():
        made = world.publish(rng.choice(("good", "good", *BAD)))
        world.offered = rng.choice((made.id, made.id, "", *of(world, AGENT)))
    if world.wrong():
        made = world.publish(rng.choice(("good", "good", *BAD)), CONTENT)
        world.content_offered = rng.choice((made.id, made.id, "", *of(world, CONTENT)))
    if world.wrong(0.3):
        recall(world, rng.choice(tuple(world.releases)))
    if world.recalls and world.wrong(0.3):
        pardon(world, rng.choice(sorted(world.recalls)))
    if world.installed and world.wrong(0.2):
        world.broken.add(rng.choice(sorted(world.installed)))
    if not life.state.stopping and world.wrong(0.3):
        world.tell("told to stop")
        life.events.append(StopAsked(world.at))
    if world.wrong(0.3):
        world.tell("the launcher is killed")
        raise Gone
    if world.wrong(0.3):
        world.tell("power cut")
        raise PowerCut


def of(world: World, product: str) -> list[str]:
    return [r.id for r in world.releases.values() if r.product == product]


def recall(world: World, release_id: str) -> None:
    world.recalls.add(release_id)
    world.pardons.discard(release_id)


def pardon(world: World, release_id: str) -> None:
    world.recalls.discard(release_id)
    world.pardons.add(release_id)


def calm(world: World, life: Life) -> None:
    """No more trouble: a good release runs before long, with a cell that offers one, or alone if there is one here."""
    world.faults, world.disk_refuses = 0.0, False
    record = world.durable
    here = [
        r
        for r in (record.current, record.last_known_good)
        if r in world.installed - world.broken - life.told - world.cache[0]
    ]
    good = any(world.releases[r].character == "good" for r in here) and not record.trial and not life.state.record.trial
    if good and world.rng.random() < 0.5:
        world.mood, within_s = world.rng.choice(("silent", "slow")), ALONE_S
    else:
        world.offered = world.publish("good").id
        world.content_offered = world.publish("good", CONTENT).id if world.rng.random() < 0.5 else ""
        world.mood, within_s = "answers", HEALED_S
        for release in world.releases.values():
            # An agent on probation answers for its pair: with content that went bad after it was confirmed, a good one
            # is given up (ADR 0017). Somebody recalls such content; of agents, half.
            if release.character != "good" and (release.product == CONTENT or world.rng.random() < 0.5):
                recall(world, release.id)
    world.tell(f"calm: the cell is {world.mood}, offers {world.offered}")
    until_s = world.now_s + within_s
    while not healed(world, life):
        assert world.now_s < until_s, f"no good release runs: {life.state.phase} {life.state.record}"
        life = lived(world, life)


def healed(world: World, life: Life) -> bool:
    """A good release has said READY; where a cell offers one, it is that and it is confirmed; content likewise."""
    phase, record = life.state.phase, life.state.record
    if not isinstance(phase, Running) or not phase.ready or phase.killed or life.events:
        return False
    good = world.releases[phase.release_id].character == "good"
    if world.mood != "answers":
        return good
    content = not world.content_offered or record.content == phase.content == world.content_offered
    return good and content and record.current == phase.release_id == world.offered


@cache
def checked(seed: int) -> tuple[int, frozenset[tuple[str, str, str]]]:
    """A history that keeps the promises: executions on probation, and the transitions that were made."""
    try:
        world = history(seed)
    except AssertionError as e:
        raise AssertionError(f"seed {seed}: {e}") from e
    return world.executed.total(), frozenset(world.seen)


@pytest.mark.parametrize("block", range(6))
def test_every_history_keeps_the_promises(block: int) -> None:
    executed = sum(checked(seed)[0] for seed in range(block * SEEDS // 6, (block + 1) * SEEDS // 6))
    assert executed > 20, "the histories must try releases, or they prove nothing"


def test_the_table_of_transitions_is_what_histories_reach() -> None:
    reached = {step for seed in range(SEEDS) for step in checked(seed)[1] if step[0] != step[2]}
    assert reached - set(TRANSITIONS) == set(), "not in the table"
    assert set(TRANSITIONS) - reached == set(), "in the table, but no history reaches it"
    assert {name for begin, _, end in TRANSITIONS for name in (begin, end)} == set(STATES)


def test_the_document_of_states_is_what_the_table_says() -> None:
    assert (ROOT / DOCUMENT).read_text() == document(), "run: python -m tools.launcher_states --rewrite"


@pytest.mark.parametrize("seed", ONCE_FAILED, ids=ONCE_FAILED.values())
def test_what_once_failed_stays_mended(seed: int) -> None:
    assert checked(seed)[1]


@pytest.mark.long
@pytest.mark.timeout(1800)  # 200 CPU-seconds, beside whatever else the machine does
def test_many_more_histories() -> None:
    for seed in range(SEEDS, 2000):
        checked(seed)


@pytest.mark.parametrize("mutant", ["execute before commit", "commits are lost"])
def test_a_shell_with_the_wrong_order_is_caught(mutant: str) -> None:
    """The histories are only worth something if they notice such a shell."""

    def all_of_them() -> None:
        for seed in range(SEEDS):
            history(seed, mutant)

    with pytest.raises(AssertionError, match="not counted on disk"):
        all_of_them()


def test_the_same_seed_gives_the_same_history() -> None:
    assert history(7).story == history(7).story


# --- power cuts of a good release ----------------------------------------------------------------------------------


def good_host(seed: int, *, with_another: bool) -> tuple[World, Life]:
    """A good confirmed release that has run for a random while, and a cell that is maybe not there."""
    world = World(random.Random(seed), faults=0.0)
    old, current = world.publish("good"), world.publish("good")
    world.settle(current.id, old.id if with_another else "")
    world.mood = world.rng.choice(("answers", "silent", "slow"))
    return world, until(world, Life(world), lambda life: life.running is not None)


def until(world: World, life: Life, true: Callable[[Life], bool], within_s: float = 2 * 24 * HOUR_S) -> Life:
    """Time passes until something is true."""
    until_s = world.now_s + within_s
    while not true(life):
        assert world.now_s < until_s, f"it did not come true: {life.state.phase}"
        life = lived(world, life)
    return life


def passed(world: World, life: Life, until_s: float) -> Life:
    return until(world, life, lambda _: world.now_s >= until_s)


@pytest.mark.parametrize("with_another", [True, False])
def test_two_unrelated_power_cuts_cost_one_delay_at_most(with_another: bool) -> None:
    """Unrelated: the release has survived between them. Each may come at any second after a start."""
    for seed in range(100):
        world, life = good_host(seed, with_another=with_another)
        for _ in range(2):
            later_s = world.now_s + world.rng.choice((1.0, 100.0, 599.0, 5000.0)) * world.rng.random()
            life = passed(world, life, later_s)
            world.reboot(30.0)
            life = Life(world)
            cut_s = world.now_s
            life = until(world, life, lambda life: life.running is not None)
            knobs = world.knobs
            waited_s = 120.0 if with_another else knobs.guard_delays_s[0] + 120.0
            assert world.now_s - cut_s <= knobs.guard_wait_s + waited_s, f"seed {seed}"
            life = passed(world, life, world.now_s + knobs.survive_s + 3700.0)
        assert world.delays <= 1, f"seed {seed}\n" + "\n".join(world.story)


def test_a_delay_is_served_in_full_however_often_the_launcher_starts() -> None:
    for seed in range(50):
        world, life = good_host(seed, with_another=False)
        world.reboot(30.0)
        life = Life(world)
        while life.running is None:
            life = lived(world, life)
            if life.running is None and world.rng.random() < 0.05:
                life = Life(world)  # killed, and started again by the service manager
        up_s = world.now_s - world.booted_s
        assert up_s >= world.knobs.guard_delays_s[0] - 1, f"seed {seed}: only {up_s:.0f} s"
        assert up_s <= 2 * world.knobs.guard_delays_s[0] + world.knobs.guard_wait_s, f"seed {seed}"
