"""An order of a drill can do nothing but report: told at once, in any mode, and nothing of the machine is touched."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.agent.test_decide import ME, OFFER, ROLLOUT, SERVER_MS, Story, begun, sign

from brakeline.agent import commands, drilling, events
from brakeline.agent.model import SessionPhase
from brakeline.agent.providers.model import Planned, Refused
from brakeline.protocol.messages import (
    DRILL_FAILURE,
    DRILL_PACKAGE,
    Candidate,
    DrillOrder,
    Mode,
    Offer,
    Outcome,
    ReleaseRef,
    Settings,
    UpdateRef,
)

ASSESS = Settings(Mode.ASSESS)
PIN = (UpdateRef(DRILL_PACKAGE, "dr-01"),)
OURS = Candidate(ROLLOUT, 1, PIN, drill=DrillOrder())
RELEASE = ReleaseRef("agent", "9.9.9", "agent/9.9.9/any/bundle.tar", "0" * 64, 1)
ACTS = (
    commands.AskHelper,
    commands.StartPlan,
    commands.StartScan,
    commands.StartRefresh,
    commands.AskLauncher,
    commands.AskRestart,
)


def ready() -> Story:
    """It knows of the drill, and its check-in is under way."""
    story = begun().secret().reply(settings=ASSESS, candidates=(OURS,))
    story.now_s += 2
    return story.happens(events.Tick)


def offer(*, fails: bool, **parts: object) -> Offer:
    answer = drilling.answer(OURS)
    assert isinstance(answer, Planned)
    made = Offer(OFFER, ME.endpoint_id, ROLLOUT, 1, answer.transaction.digest, PIN, SERVER_MS, SERVER_MS + 600_000,
                 drill=DrillOrder(fails))  # fmt: skip
    return replace(made, **parts)  # type: ignore[arg-type]


def test_it_says_that_it_knows_drills_and_is_ready_without_a_plan_also_where_it_only_assesses() -> None:
    body = ready().the(commands.DoCheckIn).body
    assert body.drills
    assert [r.rollout_id for r in body.ready] == [ROLLOUT]
    assert [(a.name, a.after) for a in body.ready[0].transaction.actions] == [(DRILL_PACKAGE, "dr-01")]


@pytest.mark.parametrize(
    ("fails", "outcome", "code"), [(True, Outcome.FAILED, DRILL_FAILURE), (False, Outcome.INSTALLED, "ok")]
)
def test_the_end_that_the_order_names_is_told_and_nothing_else_is_done(
    fails: bool, outcome: Outcome, code: str
) -> None:
    story = ready()
    before = story.state
    story.reply(settings=ASSESS, candidates=(OURS,), offers=(sign(offer(fails=fails)),))
    result = story.the(commands.SpoolResult).result
    assert (result.outcome, result.code, result.changes) == (outcome, code, ())
    assert "nothing was changed" in result.detail
    assert not result.services_failed
    assert all(story.none(act) for act in ACTS[:2] + ACTS[4:])
    assert [s.phase for s in story.state.durable.sessions] == [SessionPhase.ENDED]
    assert replace(story.state.durable, sessions=(), time=before.durable.time) == before.durable


@pytest.mark.parametrize(
    "more",
    [
        {"release": RELEASE}, {"settings": Settings(Mode.PATCH)}, {"undoes": ROLLOUT},
        {"updates": (UpdateRef("libssl3", "3"),)}, {"updates": (*PIN, UpdateRef("libssl3", "3"))},
    ],
)  # fmt: skip
def test_a_drill_that_names_anything_else_is_refused_and_does_neither(more: dict[str, object]) -> None:
    story = ready().reply(settings=ASSESS, candidates=(OURS,), offers=(sign(offer(fails=True, **more)),))
    result = story.the(commands.SpoolResult).result
    assert (result.outcome, result.code) == (Outcome.REFUSED, "refused")
    assert story.state.durable.settings == ASSESS
    assert all(story.none(act) for act in (commands.AskHelper, commands.AskLauncher))
    assert isinstance(drilling.answer(replace(OURS, **more)), Refused)  # type: ignore[arg-type]


def test_the_same_order_is_told_once_and_none_of_a_halted_drill_or_of_a_stranger() -> None:
    story = ready().reply(settings=ASSESS, candidates=(OURS,), offers=(sign(offer(fails=True)),))
    story.state = replace(story.state, link=replace(story.state.link, busy=True))
    assert story.reply(settings=ASSESS, candidates=(OURS,), offers=(sign(offer(fails=True)),)).none(
        commands.SpoolResult
    )
    halted = ready().reply(settings=ASSESS, halted=(ROLLOUT,), offers=(sign(offer(fails=True)),))
    assert halted.the(commands.SpoolResult).result.code == "halted"
    forged = ready().reply(settings=ASSESS, candidates=(OURS,), offers=(sign(offer(fails=True), b"x" * 32),))
    assert forged.none(commands.SpoolResult)
