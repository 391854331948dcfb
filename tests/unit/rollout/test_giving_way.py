"""Who gives its place in a small ring to another, and who does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.protocol.messages import ReleaseRef
from brakeline.rollout import giving_way, offering
from brakeline.rollout.evidence import CAN_PRE_EXIST
from brakeline.rollout.giving_way import FOR_GOOD, OFFERS_MAX, Answered
from brakeline.rollout.model import RESTART, Change, Phase, Pin, Progress, Wish

CHANGE = Change((Pin("x", "1"),))
REF = ReleaseRef("agent", "1.4.0", "agent/1.4.0/any/bundle.tar", "ab" * 32, 1, 14)
RELEASE = replace(CHANGE, kind="release", release=REF)
LIMITS = Answered("ep_1", 0, Progress.REFUSED, "local_limits: root of this endpoint lets nothing be changed before sat")
STOPPED = Answered("ep_2", 0, Progress.REFUSED, "halted: before the start", stopped="stopped here by Olga: at a fair")
BUSY = Answered("ep_3", 0, Progress.REFUSED, "busy: another transaction runs")


def names(*found: Answered, given: int = 0, places: int = 1, change: Change = CHANGE) -> list[str]:
    return [g.endpoint_id for g in giving_way.who(change, found, {0: given}, {0: places})]


def test_whoever_a_person_stopped_and_whoever_may_not_by_its_own_limits_give_way_and_say_why() -> None:
    gives = giving_way.who(CHANGE, (STOPPED, LIMITS), {}, {0: 1})
    assert [(g.endpoint_id, g.why) for g in gives] == [
        ("ep_1", "local_limits: root of this endpoint lets nothing be changed before sat"),
        ("ep_2", "stopped here by Olga: at a fair"),
    ]


def test_what_may_pass_is_offered_again_before_it_gives_way() -> None:
    assert names(BUSY) == []
    assert names(replace(BUSY, offers=OFFERS_MAX - 1)) == []
    (gives,) = giving_way.who(CHANGE, (replace(BUSY, offers=OFFERS_MAX),), {}, {0: 1})
    assert gives.why == "refused 3 offers, the last: busy: another transaction runs"
    assert OFFERS_MAX == offering.ATTEMPTS_MAX


@pytest.mark.parametrize("progress", [p for p in Progress if p not in (Progress.REFUSED, Progress.EXPIRED)])
def test_nothing_that_has_begun_or_is_under_way_gives_way(progress: Progress) -> None:
    assert names(replace(STOPPED, progress=progress), replace(LIMITS, progress=progress)) == []


def test_who_let_its_offers_expire_without_a_word_is_waited_for_by_name() -> None:
    expired = replace(LIMITS, progress=Progress.EXPIRED, detail="the offer expired before it was started", offers=9)
    assert names(expired) == []
    assert names(replace(expired, stopped="stopped here by Olga")) == ["ep_1"]


def test_a_person_s_retry_comes_first() -> None:
    assert names(replace(LIMITS, asked_again=True), replace(STOPPED, asked_again=True)) == []


def test_a_release_that_is_refused_again_and_again_is_news_of_the_release() -> None:
    assert names(replace(BUSY, offers=9), change=RELEASE) == []
    assert names(replace(LIMITS, detail="self_update_off: by a policy"), change=RELEASE) == ["ep_1"]


def test_so_many_give_way_as_the_ring_has_places_and_three_at_least() -> None:
    many = tuple(replace(LIMITS, endpoint_id=f"ep_{i}") for i in range(9))
    assert names(*many) == ["ep_0", "ep_1", "ep_2"]
    assert names(*many, given=2) == ["ep_0"]
    assert names(*many, given=3) == []
    assert len(names(*many, places=7)) == 7
    assert giving_way.who(CHANGE, many, {}, {1: 5}) == (), "a ring that statistics speak for is none of these"


def test_no_code_that_the_change_itself_may_have_caused_is_taken_for_good() -> None:
    known = CAN_PRE_EXIST | {"local_limits", "no_way_back", "no_manager"}
    assert known >= FOR_GOOD


def test_restarts_have_their_own_rule_and_what_stands_still_gives_nothing_away() -> None:
    assert giving_way.may(CHANGE, Phase.ROLLING, Wish.RUN)
    assert giving_way.may(CHANGE, Phase.HOLDING, Wish.RUN)
    assert not giving_way.may(replace(CHANGE, kind=RESTART), Phase.ROLLING, Wish.RUN)
    assert not giving_way.may(CHANGE, Phase.HOLDING, Wish.PAUSE)
    assert not giving_way.may(CHANGE, Phase.HALTED, Wish.RUN)
