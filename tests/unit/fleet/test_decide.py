"""Counters and inventories: the decision tables, and that no two machines can share an identity for long."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.fleet.decide import (
    RECENT_KEPT,
    Accept,
    AlreadyHeld,
    Apply,
    Cloned,
    Duplicate,
    Held,
    Late,
    Resync,
    decide_counter,
    fits,
    merge,
)
from brakeline.fleet.model import CounterState
from brakeline.protocol.digests import package_key
from brakeline.protocol.messages import Inventory, Package

HEARD = CounterState("b2", ((3, "c"), (5, "e"), (6, "f"), (9, "i")), ("b0", "b1"))


@pytest.mark.parametrize(
    ("boot", "counter", "digest", "verdict"),
    [
        ("b2", 10, "x", Accept),  # the next one
        ("b2", 4000, "x", Accept),  # counters may jump: they are reserved on disk in blocks
        ("b2", 9, "i", Duplicate),  # the very message again
        ("b2", 5, "e", Duplicate),  # an older one again
        ("b2", 9, "other", Cloned),  # the same counter for something else
        ("b2", 5, "other", Cloned),
        ("b2", 8, "x", Late),  # skipped, and overtaken on another connection
        ("b2", 4, "x", Late),
        ("b2", 7, "x", Late),
        ("b2", 2, "x", Cloned),  # far behind: a copy of an older state
        ("b3", 0, "x", Accept),  # the machine was started anew
        ("b1", 99, "x", Cloned),  # a boot id that was followed by another one
        ("b0", 99, "x", Cloned),
    ],
)
def test_counter_table(boot: str, counter: int, digest: str, verdict: type) -> None:
    assert type(decide_counter(HEARD, boot, counter, digest)) is verdict


def test_the_first_message_of_an_identity_is_accepted() -> None:
    verdict = decide_counter(CounterState(), "b1", 0, "a")
    assert verdict == Accept(CounterState("b1", ((0, "a"),), ()))


def test_a_new_boot_retires_the_one_before() -> None:
    verdict = decide_counter(HEARD, "b3", 1, "x")
    assert isinstance(verdict, Accept)
    assert verdict.state.retired == ("b0", "b1", "b2")


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_whoever_only_rises_is_always_accepted_and_no_message_twice(steps: list[int]) -> None:
    state, counter, sent = CounterState(), 0, []
    for step in steps:
        counter += step
        verdict = decide_counter(state, "b", counter, str(counter))
        assert isinstance(verdict, Accept)
        state = verdict.state
        sent.append(counter)
        assert len(state.recent) <= RECENT_KEPT
        for old in sent:
            assert not isinstance(decide_counter(state, "b", old, str(old)), Accept)


class Machine:
    """Counts as agents do: by one, and far ahead after a refusal."""

    def __init__(self, name: str, boot: str, counter: int) -> None:
        self.name, self.boot, self.counter = name, boot, counter

    def speak(self, state: CounterState, same_words: bool) -> tuple[CounterState, bool]:
        """The state afterwards, and whether the cell has found the clone."""
        self.counter += 1
        digest = f"{self.boot}{self.counter}" + ("" if same_words else self.name)
        verdict = decide_counter(state, self.boot, self.counter, digest)
        if isinstance(verdict, Accept):
            return verdict.state, False
        if not isinstance(verdict, Cloned):
            self.counter = (self.counter // 1000 + 1) * 1000
        return state, isinstance(verdict, Cloned)


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 5), st.booleans(), st.booleans())
def test_two_machines_with_one_identity_are_found(
    turns: list[bool], head_start: int, other_boot: bool, same_words: bool
) -> None:
    """Both go on from one copied state, in any order; once both have spoken in turn a few times, it is known."""
    state = CounterState("b", ((10, "original"),), ())
    one, other = Machine("one", "b", 10), Machine("other", "b-other" if other_boot else "b", 10 + head_start)
    for turn in [*turns, *[True, False] * 40]:
        state, found = (one if turn else other).speak(state, same_words)
        if found:
            return
    raise AssertionError("two machines spoke in turn and were not found")


def test_a_jump_ahead_does_not_hide_a_clone() -> None:
    """A clone that was refused jumps ahead and is taken; the first machine's next message gives it away."""
    state = CounterState("b", ((3, "c"), (1003, "clone")), ())
    assert isinstance(decide_counter(state, "b", 4, "first machine"), Cloned)


# --- inventory -----------------------------------------------------------------------------------------------------


def package(name: str, version: str = "1") -> Package:
    return Package(name, "amd64", version, name, version)


def delta(base: int, sequence: int, *changed: Package, removed: tuple[str, ...] = (), digest: str = "d") -> Inventory:
    return Inventory(base, sequence, digest, changed, removed)


@pytest.mark.parametrize(
    ("sent", "verdict"),
    [
        (delta(0, 1), type(None)),  # a full one always fits
        (delta(0, 99), type(None)),
        (delta(7, 8), type(None)),  # the next delta
        (delta(6, 7, digest="held"), AlreadyHeld),  # its acknowledgement was lost
        (delta(0, 7, digest="held"), AlreadyHeld),
        (delta(6, 7), Resync),  # same number, other content
        (delta(8, 9), Resync),  # a delta is missing
        (delta(7, 9), Resync),
    ],
)
def test_sequence_table(sent: Inventory, verdict: type) -> None:
    assert type(fits(Held(7, "held"), sent)) is verdict


packages_strategy = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["1", "2", "3"])).map(
    lambda d: {package_key(n, "amd64"): package(n, v) for n, v in d.items()}
)


@given(packages_strategy, packages_strategy)
def test_full_and_delta_lead_to_what_the_endpoint_has(before: dict[str, Package], after: dict[str, Package]) -> None:
    full = delta(0, 9, *after.values())
    changed = tuple(p for k, p in after.items() if before.get(k) != p)
    small = delta(8, 9, *changed, removed=tuple(before.keys() - after.keys()))
    for sent in (full, small):
        change = merge(before, sent)
        assert isinstance(change, Apply)
        result = before | {package_key(p.name, p.architecture): p for p in change.upserts}
        for key in change.removals:
            del result[key]
        assert result == after
        assert change.total == len(after)
        assert all(before.get(package_key(p.name, p.architecture)) != p for p in change.upserts)  # only differences


def test_removing_what_is_not_held_asks_for_everything() -> None:
    assert isinstance(merge({}, delta(3, 4, removed=("a:amd64",))), Resync)
    assert isinstance(merge({}, replace(delta(3, 4), changed=(package("a"), package("a", "2")))), Resync)
