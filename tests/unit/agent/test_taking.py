"""Settings that arrive by an offer, told as stories: ready, taken, told by their digest; refused when out of bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.agent.test_decide import (
    CANDIDATE,
    ME,
    OFFER,
    OFFERED,
    PLAN,
    ROLLOUT,
    SERVER_MS,
    Story,
    begun,
    idle,
    sign,
)

from brakeline.agent import commands, events, taking
from brakeline.agent.providers.model import Planned, Refused
from brakeline.protocol.digests import settings_digest
from brakeline.protocol.messages import Candidate, Mode, Offer, Outcome, Settings, UpdateRef

OLD = Settings(Mode.ASSESS)
NEW = Settings(Mode.PATCH, 60, 1800, 7200)
PIN = (UpdateRef(taking.PACKAGE, "0123456789ab"),)
OURS = Candidate(ROLLOUT, 1, PIN, settings=NEW)


def ready() -> Story:
    """It runs by OLD, knows of NEW, and its check-in is under way."""
    story = begun().secret().reply(settings=OLD, candidates=(OURS,))
    story.now_s += 2
    return story.happens(events.Tick)


def offer(settings: Settings = NEW) -> Offer:
    answer = taking.answer(begun().state, replace(OURS, settings=settings))
    assert isinstance(answer, Planned)
    digest = answer.transaction.digest
    return Offer(OFFER, ME.endpoint_id, ROLLOUT, 1, digest, PIN, SERVER_MS, SERVER_MS + 600_000, settings=settings)


def test_it_says_by_which_settings_it_runs_and_is_ready_for_others_without_a_plan() -> None:
    body = ready().the(commands.DoCheckIn).body
    assert body.settings == settings_digest(OLD)
    assert [r.rollout_id for r in body.ready] == [ROLLOUT]
    (action,) = body.ready[0].transaction.actions
    assert (action.name, action.before, action.after) == (taking.PACKAGE, settings_digest(OLD), "0123456789ab")


def test_it_takes_them_at_once_tells_the_result_and_runs_by_them_from_then_on() -> None:
    story = ready().reply(settings=OLD, candidates=(OURS,), offers=(sign(offer()),))
    result = story.the(commands.SpoolResult).result
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok")
    assert settings_digest(NEW) in result.detail
    assert story.state.durable.settings == NEW
    assert settings_digest(story.state.durable.settings) == settings_digest(NEW)


def test_the_reply_alone_takes_them_back() -> None:
    story = ready().reply(settings=OLD, candidates=(OURS,), offers=(sign(offer()),))
    story.state = replace(story.state, link=replace(story.state.link, busy=True))  # its next check-in is under way
    story.reply(settings=OLD, halted=(ROLLOUT,))
    assert story.state.durable.settings == OLD


@pytest.mark.parametrize("wild", [replace(NEW, refresh_interval_s=1), replace(NEW, inventory_interval_s=1)])
def test_what_its_own_bounds_do_not_allow_fails_and_changes_nothing(wild: Settings) -> None:
    story = ready().reply(settings=OLD, candidates=(OURS,), offers=(sign(offer(wild)),))
    result = story.the(commands.SpoolResult).result
    assert (result.outcome, result.code) == (Outcome.FAILED, "cannot_apply")
    assert story.state.durable.settings == OLD


def test_an_offer_of_a_halted_rollout_or_of_a_stranger_changes_nothing() -> None:
    halted = ready().reply(settings=OLD, halted=(ROLLOUT,), offers=(sign(offer()),))
    assert halted.the(commands.SpoolResult).result.code == "halted"
    forged = ready().reply(settings=OLD, candidates=(OURS,), offers=(sign(offer(), b"x" * 32),))
    late = ready().reply(settings=OLD, offers=(sign(replace(offer(), expires_ms=SERVER_MS - 1)),))
    assert {s.state.durable.settings for s in (halted, forged, late)} == {OLD}


def test_an_offer_for_another_version_than_was_asked_for_changes_nothing() -> None:
    other = replace(offer(), updates=(UpdateRef(taking.PACKAGE, "ffffffffffff"),))
    story = ready().reply(settings=OLD, candidates=(OURS,), offers=(sign(other),))
    assert story.the(commands.SpoolResult).result.code == "changed"
    assert story.state.durable.settings == OLD


def test_the_same_settings_are_nothing_to_do_and_a_running_transaction_comes_first() -> None:
    same = replace(OURS, settings=OLD)
    answer = taking.answer(begun().state, same)
    assert isinstance(answer, Refused)
    assert answer.code == "nothing_to_do"
    busy = idle(candidates=(CANDIDATE,)).happens(events.CheckedIn, 0.0, None, '"e"')
    busy.now_s += 2
    busy.happens(events.PlanMade, CANDIDATE, PLAN).passes(0.01)
    busy.reply(candidates=(CANDIDATE,), offers=(sign(OFFERED),))
    answer = taking.answer(busy.state, OURS)
    assert isinstance(answer, Refused)
    assert answer.code == "busy"


def test_a_mode_that_changes_makes_all_plans_anew() -> None:
    story = idle(candidates=(CANDIDATE,))
    assert story.state.preparations
    narrower = replace(NEW, mode=Mode.ASSESS)
    wish = replace(OURS, settings=narrower)
    digest = taking.answer(story.state, wish)
    assert isinstance(digest, Planned)
    given = replace(offer(narrower), transaction_digest=digest.transaction.digest)
    story.state = replace(story.state, link=replace(story.state.link, busy=True))
    story.reply(candidates=(CANDIDATE, wish), offers=(sign(given),))
    assert story.state.preparations == ()
    assert story.state.durable.settings.mode is Mode.ASSESS
