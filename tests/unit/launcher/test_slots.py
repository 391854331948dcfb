"""The launcher's own update, rule by rule, without any disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from brakeline.launcher import slots
from brakeline.launcher.model import Knobs, Staged
from brakeline.launcher.slots import Confirm, Leave, Me, Save, Seen, Selector, Slot, Stage, State, Stay

AGENT = "3.0.0-aaaaaaaaaaaa"
ONE, TWO, THREE = (Slot(f"1.{n}.0-{str(n) * 12}", str(n) * 64, n) for n in (1, 2, 3))
NEW = Staged("launcher", THREE.release_id, THREE.sequence)
KNOBS = Knobs()
WEEK_S = KNOBS.launcher_calm_s


def held(**fields: Any) -> Selector:
    """Both slots were confirmed once, b is; the agent has been healthy for a week."""
    full: dict[str, Any] = {"generation": 4, "confirmed": "b", "slots": {"a": ONE, "b": TWO}, "calm": AGENT,
                            "calm_s": WEEK_S}  # fmt: skip
    return Selector(**(full | fields))


def standing(selector: Selector | None = None, me: Me | None = None) -> State:
    selector = selector or held()
    me = me or Me(selector.confirmed, selector.release(selector.confirmed))
    return State(selector, me, 100.0, 100.0, selector.calm_s)


def on_trial(**fields: Any) -> State:
    selector = slots.tried(held(**fields), "a", THREE, KNOBS)
    return State(replace(selector, tries=0), Me("a", THREE.release_id, trial=True), 100.0, 100.0, selector.calm_s)


def seen(at: float = 101.0, **fields: Any) -> Seen:
    return Seen(at, **({"agent": AGENT, "calm": True, "fresh": True} | fields))


def test_a_newer_launcher_is_tried_in_the_slot_that_nothing_runs_from() -> None:
    state, act = slots.decide(standing(), seen(staged=NEW), KNOBS)
    assert act == Stage("a")
    selector = slots.tried(state.selector, "a", THREE, KNOBS)
    assert (selector.confirmed, selector.trial, selector.tries, selector.slots["b"]) == ("b", "a", 1, TWO)
    assert selector.seconds == {"READY": 60.0, "RUNNING": 600.0, "CONFIRMED": 43_200.0}
    _, act = slots.decide(standing(held(confirmed="", slots={}), Me()), seen(staged=NEW), KNOBS)
    assert act == Stage("a")


@pytest.mark.parametrize(
    ("selector", "so", "why"),
    [
        (held(calm_s=WEEK_S - 3600), seen(), "healthy for less than 7 days"),
        (held(calm="2.9.0-bbbbbbbbbbbb"), seen(), "healthy for less than 7 days"),
        (held(), seen(calm=False), "not healthy yet"),
        (replace(slots.tried(held(), "a", ONE, KNOBS), tries=0), seen(), "is on trial"),
    ],
)  # fmt: skip
def test_it_waits(selector: Selector, so: Seen, why: str) -> None:
    state, act = slots.decide(standing(selector), replace(so, staged=NEW), KNOBS)
    assert not isinstance(act, Stage)
    assert why in slots.waits(state, so, KNOBS)


def test_what_runs_and_what_has_failed_is_not_tried_again() -> None:
    for selector in (held(slots={"a": ONE, "b": THREE}), held(failed=(THREE.release_id,))):
        _, act = slots.decide(standing(selector), seen(staged=NEW), KNOBS)
        assert act == Stay()


def test_the_agent_s_healthy_time_counts_over_restarts_and_begins_anew_with_another_agent() -> None:
    state = standing(held(calm_s=0.0))
    for at in range(101, 4000, 100):
        state, act = slots.decide(state, seen(at=float(at)), KNOBS)
    assert state.selector.calm_s == pytest.approx(3801.0)
    assert act == Stay()
    assert state.saved_s == pytest.approx(3601.0)
    state, _ = slots.decide(state, seen(at=4000.0, calm=False), KNOBS)
    state, _ = slots.decide(state, seen(at=9000.0), KNOBS)
    assert state.selector.calm_s == pytest.approx(8801.0)
    state, _ = slots.decide(state, seen(at=9100.0, agent="4.0.0-cccccccccccc"), KNOBS)
    assert state.selector.calm_s == pytest.approx(100.0)


def test_it_is_written_down_every_hour() -> None:
    state = standing(held(calm_s=0.0))
    state, act = slots.decide(state, seen(at=3699.0), KNOBS)
    assert act == Stay()
    state, act = slots.decide(state, seen(at=3701.0), KNOBS)
    assert act == Save()


def test_a_trial_confirms_itself_after_its_probation() -> None:
    state, act = slots.decide(on_trial(), seen(at=100.0 + KNOBS.launcher_probation_s), KNOBS)
    assert act == Confirm()
    assert (state.selector.confirmed, state.selector.trial, state.me.trial) == ("a", "", False)
    assert state.selector.slots == {"a": THREE, "b": TWO}, "the one before stays where it is"
    assert state.selector.last_trial is not None
    assert state.selector.last_trial.outcome == "confirmed"


@pytest.mark.parametrize("so", [{"calm": False}, {"fresh": False}, {"at": 100.0 + KNOBS.launcher_probation_s - 1}])
def test_it_does_not_do_so_before_it_has_shown_what_it_can(so: dict[str, Any]) -> None:
    _, act = slots.decide(on_trial(), seen(**({"at": 100.0 + KNOBS.launcher_probation_s} | so)), KNOBS)
    assert act == Stay()


@pytest.mark.parametrize(
    ("so", "code"), [({"calm": False}, "not_healthy"), ({"recalled": (THREE.release_id,)}, "recalled")]
)
def test_a_trial_gives_itself_up_and_is_not_tried_again(so: dict[str, Any], code: str) -> None:
    state, act = slots.decide(on_trial(), seen(at=100.0 + KNOBS.launcher_trial_s, **so), KNOBS)
    assert isinstance(act, Leave)
    assert (state.selector.confirmed, state.selector.trial, state.selector.slots) == ("b", "", {"b": TWO})
    assert state.selector.failed == (THREE.release_id,)
    assert state.selector.last_trial is not None
    assert state.selector.last_trial.code == code


def test_a_trial_that_reaches_nobody_goes_back_to_the_one_that_did_and_is_excused_twice() -> None:
    excuses: dict[str, Any] = {}
    for n in (1, 2, 3):
        state, act = slots.decide(on_trial(**excuses), seen(at=100.0 + KNOBS.launcher_trial_s, fresh=False), KNOBS)
        assert isinstance(act, Leave)
        assert (state.selector.failed == (THREE.release_id,)) == (n == 3)
        excuses = {"excused": state.selector.excused, "excuses": state.selector.excuses}


@pytest.mark.parametrize(
    ("ended", "excused"),
    [("late: it did not say READY in time", False), ("ended: with code 1", False), ("", True), ("disk: ENOSPC", True),
     ("damaged: x", True)],
)  # fmt: skip
def test_the_start_after_a_trial_reads_what_became_of_it(ended: str, excused: bool) -> None:
    was = replace(slots.tried(held(), "a", THREE, KNOBS), tries=0)
    selector = slots.begun(was, Me("b", TWO.release_id, ended=ended), {})
    assert (selector.confirmed, selector.trial, selector.slots) == ("b", "", {"b": TWO})
    assert (selector.failed == ()) == excused
    assert (selector.excused, selector.excuses) == ((THREE.release_id, 1) if excused else ("", 0))


def test_where_the_stub_had_to_choose_another_slot_that_one_is_confirmed_now() -> None:
    selector = slots.begun(held(), Me("a", ONE.release_id), {})
    assert (selector.confirmed, selector.slots) == ("a", {"a": ONE})
    lost = slots.begun(Selector(), Me("a", ONE.release_id), {"a": ONE, "b": TWO})
    assert (lost.confirmed, lost.slots) == ("a", {"a": ONE, "b": TWO})
    assert slots.begun(Selector(), Me(), {}) == Selector()


def test_a_recalled_launcher_gives_way_to_the_other_slot_then_to_the_factory_then_to_nobody() -> None:
    both = (ONE.release_id, TWO.release_id)
    for recalled, factory, goes_to in (
        (both[1:], True, "a"), (both[1:], False, "a"), (both, True, ""), (both, False, None),
    ):  # fmt: skip
        state, act = slots.decide(standing(), seen(recalled=recalled, factory=factory), KNOBS)
        assert isinstance(act, Leave) == (goes_to is not None)
        assert state.selector.confirmed == ("b" if goes_to is None else goes_to)
        assert goes_to is None or TWO.release_id in slots.settled(state.selector, state.me)


def test_a_trial_of_which_the_selector_knows_nothing_ends_itself() -> None:
    state, act = slots.decide(replace(on_trial(), selector=held()), seen(), KNOBS)
    assert isinstance(act, Leave)
    assert (state.selector.confirmed, state.selector.trial, state.selector.failed) == ("b", "", ())
