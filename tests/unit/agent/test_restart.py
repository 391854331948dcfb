"""The agent's part in a restart by order: whom it believes, when it asks, what it tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.agent import restart
from brakeline.agent.commands import AskRestart, Report, StandDown
from brakeline.agent.events import RestartAnswered
from brakeline.agent.model import Durable, Instant, Self, Session, SessionPhase, State
from brakeline.protocol import codec
from brakeline.protocol.messages import RESTART_CONTEXT, PeopleWait, RestartOrder, RestartStanding, SignedOrder
from brakeline.trust import ed25519

SEED = bytes(range(32))
ENDPOINT = "ep_01JD0000000000000000000001"
AT = Instant(1000.0, 5)
ME = Self(ENDPOINT, ed25519.public_key(SEED).hex(), "0.1", "boot-1", can_patch=True, restarts_a_day=1)
STATE = State(ME, Durable())


def signed(endpoint: str = ENDPOINT, seed: bytes = SEED) -> SignedOrder:
    payload = codec.encode(RestartOrder(endpoint, "ro_x", "boot-1", 1, 2))
    return SignedOrder(payload.decode(), ed25519.sign(seed, RESTART_CONTEXT + payload).hex())


def test_an_order_is_passed_to_the_helper_once_a_minute() -> None:
    state = restart.take(STATE, signed())
    state, asked = restart.begin(state, AT)
    assert [type(c) for c in asked] == [AskRestart]
    assert restart.begin(state, replace(AT, monotonic_s=AT.monotonic_s + 59))[1] == ()
    assert len(restart.begin(state, replace(AT, monotonic_s=AT.monotonic_s + 60))[1]) == 1


@pytest.mark.parametrize("phase", [SessionPhase.ASKED, SessionPhase.RUNNING])
def test_never_within_a_transaction_or_while_a_release_is_under_way(phase: SessionPhase) -> None:
    for release in ("", "2.0.0-abc"):
        session = Session("of_1", "tx_1", "ro_1", 1, phase, 10, release=release)
        state = replace(restart.take(STATE, signed()), durable=Durable(sessions=(session,)))
        assert restart.begin(state, AT)[1] == ()


@pytest.mark.parametrize("order", [signed(seed=bytes(32)), signed("ep_01JD0000000000000000000002")])
def test_what_our_cell_has_not_signed_for_us_is_dropped_and_told(order: SignedOrder) -> None:
    state, said = restart.begin(restart.take(STATE, order), AT)
    assert [type(c) for c in said] == [Report]
    assert state.restart is None


def test_the_cell_takes_an_order_back_by_leaving_it_out() -> None:
    state = restart.take(restart.take(STATE, signed()), None)
    assert restart.begin(state, AT) == (state, ())


def test_a_passing_refusal_is_tried_again_and_a_lasting_one_is_told() -> None:
    state = restart.take(STATE, signed())
    for code in ("busy", "settling", "boot_loop", "window", "expired"):
        assert restart.answered(state, RestartAnswered(AT, code, "x")) == (state, ())
    told, _ = restart.answered(state, RestartAnswered(AT, "limit", "one a day"))
    assert restart.standing(told) == RestartStanding(True, "limit: one a day")
    assert told.news
    assert restart.begin(restart.take(told, signed()), AT)[1] == ()


def test_an_endpoint_without_helper_or_consent_says_so() -> None:
    assert restart.standing(STATE) == RestartStanding(True, "")
    assert not restart.standing(replace(STATE, me=replace(ME, can_patch=False))).allowed
    assert not restart.standing(replace(STATE, me=replace(ME, restarts_a_day=0))).allowed


WAIT = PeopleWait(2, 1_000_000, 0, 3, 9_000_000)


def test_for_whom_an_order_waits_is_news_once_however_clocks_drift() -> None:
    state = restart.take(STATE, signed())
    told, _ = restart.answered(state, RestartAnswered(AT, "people", "x", WAIT))
    assert told.news
    assert restart.standing(told) == RestartStanding(True, "", WAIT)
    drifted = replace(WAIT, until_ms=WAIT.until_ms + 40_000, latest_ms=WAIT.latest_ms - 40_000)
    assert restart.answered(told, RestartAnswered(AT, "people", "x", drifted)) == (told, ())
    later = replace(WAIT, until_ms=5_000_000, deferred=1)
    assert restart.answered(told, RestartAnswered(AT, "people", "x", later))[0].people == later
    assert restart.answered(told, RestartAnswered(AT, "", "no answer"))[0].news
    gone, _ = restart.answered(told, RestartAnswered(AT, "busy", "x"))
    assert restart.standing(gone).people is None


def test_people_who_were_warned_hear_that_an_order_was_taken_back_once() -> None:
    told, _ = restart.answered(restart.take(STATE, signed()), RestartAnswered(AT, "people", "x", WAIT))
    state, said = restart.begin(restart.take(told, None), AT)
    assert said == (StandDown(),)
    assert (state.people, state.warned) == (None, False)
    assert restart.begin(state, AT) == (state, ())
    before = replace(STATE, warned=True)  # by a process before this one
    assert restart.begin(before, AT)[1] == (StandDown(),)


def test_a_refusal_after_a_warning_calls_it_off_too() -> None:
    told, _ = restart.answered(restart.take(STATE, signed()), RestartAnswered(AT, "people", "x", WAIT))
    refused, _ = restart.answered(told, RestartAnswered(AT, "limit", "one a day"))
    assert restart.begin(refused, AT)[1] == (StandDown(),)
