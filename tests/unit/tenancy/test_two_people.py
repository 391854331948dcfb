"""Two people, by attack: each way in which one person could pass for two, and what a single person has to wait for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.tenancy.model import ROLE_PERMISSIONS
from brakeline.tenancy.two_people import (
    DAY_MS,
    FRESH_MS,
    HOUR_MS,
    NOBODY,
    OPEN_MS,
    RELATED_MS,
    Act,
    Approve,
    Approver,
    Change,
    Event,
    Facts,
    Member,
    Refuse,
    Request,
    TakeOver,
    Verdict,
    Way,
    judge,
    related,
    seconds,
    times,
    way,
)

NOW = 1_795_400_000_000
LONG_AGO = NOW - 100 * DAY_MS


def member(name: str, role: str = "owner", *, enabled: bool = True) -> Member:
    return Member(f"pe_{name}", name, ROLE_PERMISSIONS[role], enabled)


OLGA, SVEN, ANNA, OTTO = member("olga"), member("sven"), member("anna", "approver"), member("otto", "operator")
OLD = tuple(Event(LONG_AGO, "created", m.person_id, NOBODY) for m in (OLGA, SVEN, ANNA, OTTO))


def facts(*members: Member, events: tuple[Event, ...] = ()) -> Facts:
    return Facts(members, OLD + events)


def event(change: Change, whom: Member, by: Member | None, *, days_ago: float = 1, before: str = "owner") -> Event:
    at_ms = NOW - round(days_ago * DAY_MS)
    return Event(at_ms, change, whom.person_id, by.person_id if by else NOBODY, ROLE_PERMISSIONS[before])


def request(first: Member | None = OLGA, act: Act = Act.RESUME, how: Way = Way.TWO, **fields: object) -> Request:
    not_before_ms, expires_ms = times(how, NOW, NOW)
    made = Request(
        "ap_1", act, "ro_1", {"reason": "false alarm"}, ("Resume ro_1",), "generation 7", NOW, "se_1", "Olga",
        first.person_id if first else NOBODY, how, not_before_ms, expires_ms,
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]


def agreed(
    who: Member, known: Facts, asked: Request | None = None, *, at_ms: int = NOW + 60_000, since_ms: int = 1000,
    kind: str = "person", digest: str = "",
) -> Verdict:  # fmt: skip
    asked = asked or request()
    approver = Approver(who.person_id, who.name, kind, who.permissions, at_ms - since_ms)
    return judge(asked, approver, digest or asked.digest, known, at_ms)


def refused(verdict: Verdict) -> str:
    assert isinstance(verdict, Refuse), verdict
    return verdict.code


def test_somebody_else_agrees() -> None:
    assert agreed(SVEN, facts(OLGA, SVEN)) == Approve()
    assert agreed(ANNA, facts(OLGA, ANNA)) == Approve()
    assert refused(agreed(OTTO, facts(OLGA, OTTO, ANNA))) == "permission"


def test_the_same_person_in_two_browsers_is_one_person() -> None:
    assert refused(agreed(OLGA, facts(OLGA, SVEN))) == "same"


@pytest.mark.parametrize("kind", ["token", "system"])
def test_a_token_is_never_the_second(kind: str) -> None:
    assert refused(agreed(SVEN, facts(OLGA, SVEN), kind=kind)) == "token"


def test_a_session_that_proved_itself_too_long_ago_asks_for_the_password() -> None:
    assert refused(agreed(SVEN, facts(OLGA, SVEN), since_ms=FRESH_MS + 1)) == "stale"
    assert agreed(SVEN, facts(OLGA, SVEN), since_ms=FRESH_MS) == Approve()
    assert refused(agreed(SVEN, facts(OLGA, SVEN), since_ms=-FRESH_MS - 1)) == "stale"  # the clock was set back


@pytest.mark.parametrize("change", ["created", "raised", "link"])
@pytest.mark.parametrize("both", [(OLGA, SVEN), (SVEN, OLGA)])
def test_accounts_that_one_of_them_has_made_or_opened_this_week_are_one(
    change: Change, both: tuple[Member, Member]
) -> None:
    """In either direction: else the puppet would ask and its maker agree."""
    by, whom = both
    young = facts(OLGA, SVEN, ANNA, events=(event(change, whom, by, days_ago=6.9),))
    assert refused(agreed(SVEN, young)) == "related"
    assert agreed(ANNA, young) == Approve()
    assert agreed(SVEN, facts(OLGA, SVEN, events=(event(change, whom, by, days_ago=7),))) == Approve()


def test_a_chain_of_accounts_is_one_too() -> None:
    carl, dora = member("carl"), member("dora")
    chain = (event("created", carl, OLGA), event("created", dora, carl), event("link", SVEN, dora))
    known = facts(OLGA, carl, dora, SVEN, ANNA, events=chain)
    for puppet in (carl, dora, SVEN):
        assert refused(agreed(puppet, known)) == "related"
    assert related(OLGA.person_id, known, NOW) == {"pe_olga", "pe_carl", "pe_dora", "pe_sven", NOBODY}
    assert [m.name for m in seconds(OLGA.person_id, Act.RESUME, known, NOW)] == ["anna"]


def test_what_nobody_known_did_counts_as_done_by_the_first() -> None:
    """A new way into Sven's account made by the machine's own token: Olga may be the one at the machine."""
    known = facts(OLGA, SVEN, ANNA, events=(event("link", SVEN, None),))
    assert refused(agreed(SVEN, known)) == "related"
    assert refused(agreed(OLGA, known, request(first=SVEN))) == "related", "nor the other way round"
    assert agreed(ANNA, known) == Approve()


def test_in_its_first_week_an_organisation_is_one_person() -> None:
    first_start = (event("created", OLGA, None), event("link", OLGA, None), event("created", SVEN, OLGA))
    known = Facts((OLGA, SVEN), first_start)
    assert {way(m.person_id, Act.RESUME, known, NOW) for m in (OLGA, SVEN)} == {Way.ALONE}
    assert refused(agreed(SVEN, known, request(how=Way.ALONE))) == "wait"


def test_a_single_person_waits_an_hour() -> None:
    known = facts(OLGA, OTTO)  # an operator cannot agree
    assert way("pe_olga", Act.RESUME, known, NOW) is Way.ALONE
    asked = request(how=Way.ALONE)
    assert refused(agreed(OLGA, known, asked, at_ms=NOW + HOUR_MS - 1)) == "wait"
    assert agreed(OLGA, known, asked, at_ms=NOW + HOUR_MS) == Approve(single=True)
    assert refused(agreed(OLGA, known, asked, at_ms=NOW + HOUR_MS + DAY_MS)) == "expired"


def test_somebody_who_came_meanwhile_is_asked() -> None:
    asked = request(how=Way.ALONE)
    assert refused(agreed(OLGA, facts(OLGA, SVEN), asked, at_ms=NOW + 2 * HOUR_MS)) == "same"
    assert agreed(SVEN, facts(OLGA, SVEN), asked, at_ms=NOW + 2 * HOUR_MS) == Approve()


def test_new_colleagues_of_a_single_person_change_nothing() -> None:
    known = facts(OLGA, SVEN, events=(event("created", SVEN, OLGA), event("link", SVEN, OLGA)))
    assert way("pe_olga", Act.RESUME, known, NOW) is Way.ALONE
    later = request(how=Way.ALONE)
    assert refused(agreed(SVEN, known, later)) == "wait", "nor do they agree at once"
    assert agreed(SVEN, known, later, at_ms=NOW + HOUR_MS) == Approve(single=True)


@pytest.mark.parametrize("change", ["link", "lowered", "disabled"])
@pytest.mark.parametrize("by", [OLGA, None])
def test_whoever_got_rid_of_the_second_waits_a_day(change: Change, by: Member | None) -> None:
    """Else one stolen account would make itself the only one, and need an hour."""
    sven = {"link": SVEN, "lowered": member("sven", "viewer"), "disabled": member("sven", enabled=False)}[change]
    known = facts(OLGA, sven, events=(event(change, sven, by),))
    assert way("pe_olga", Act.RESUME, known, NOW) is Way.BEREFT
    asked = request(how=Way.BEREFT)
    assert refused(agreed(OLGA, known, asked, at_ms=NOW + DAY_MS - 1)) == "wait"
    assert agreed(OLGA, known, asked, at_ms=NOW + DAY_MS) == Approve(single=True)
    assert refused(agreed(OLGA, known, request(how=Way.ALONE), at_ms=NOW + 2 * HOUR_MS)) == "wait", (
        "asked before the second was got rid of"
    )
    assert refused(agreed(OLGA, known, request(how=Way.TWO))) == "same", "asked as an act of two people"


def test_a_third_person_who_disables_somebody_leaves_no_trace_on_the_first() -> None:
    gone = member("sven", enabled=False)
    known = facts(OLGA, gone, member("otto", "operator"), events=(event("disabled", gone, OTTO),))
    assert way("pe_olga", Act.RESUME, known, NOW) is Way.ALONE


def test_what_a_token_of_nobody_asked_for_takes_two_people_all_the_same() -> None:
    asked = request(first=None)
    verdict = agreed(OLGA, facts(OLGA, SVEN), asked)
    assert verdict == TakeOver(Way.TWO, 0, NOW + 60_000 + OPEN_MS)
    alone = agreed(OLGA, facts(OLGA), asked)
    assert isinstance(alone, TakeOver)
    assert (alone.way, alone.not_before_ms) == (Way.ALONE, NOW + HOUR_MS), "its hour began when it was asked for"


@pytest.mark.parametrize(
    "other",
    [
        {"act": Act.UNFREEZE}, {"object_id": "ro_2"}, {"parameters": {"reason": "another"}}, {"says": ("Else",)},
        {"situation": "generation 8"}, {"approval_id": "ap_2"},
    ],
)  # fmt: skip
def test_an_approval_of_something_else_is_none_of_this(other: dict[str, Any]) -> None:
    asked = request()
    changed = request(**other)
    assert changed.digest != asked.digest
    assert refused(agreed(SVEN, facts(OLGA, SVEN), asked, digest=changed.digest)) == "other"


@pytest.mark.parametrize("state", ["done", "rejected", "overtaken", "failed"])
def test_what_is_over_is_over(state: str) -> None:
    assert refused(agreed(SVEN, facts(OLGA, SVEN), request(state=state))) == "over"


def test_an_approval_can_be_repeated_by_the_same_person_until_it_is_done() -> None:
    half = request(state="approved", decided_by_id="pe_sven", decided_by="Sven")
    assert agreed(SVEN, facts(OLGA, SVEN, ANNA), half) == Approve()
    assert refused(agreed(ANNA, facts(OLGA, SVEN, ANNA), half)) == "over"


def test_an_asker_who_may_nothing_any_more_takes_his_requests_along() -> None:
    assert refused(agreed(SVEN, facts(member("olga", enabled=False), SVEN))) == "gone"
    assert refused(agreed(SVEN, facts(SVEN))) == "gone"


def test_a_request_of_two_people_is_open_for_an_hour() -> None:
    known = facts(OLGA, SVEN)
    assert agreed(SVEN, known, at_ms=NOW + OPEN_MS - 1) == Approve()
    assert refused(agreed(SVEN, known, at_ms=NOW + OPEN_MS)) == "expired"
    assert request().standing(NOW + OPEN_MS) == "expired"


def test_roles_are_agreed_to_by_those_who_manage_people() -> None:
    asked = request(act=Act.ROLES)
    assert refused(agreed(ANNA, facts(OLGA, ANNA, SVEN), asked)) == "permission"
    assert agreed(SVEN, facts(OLGA, ANNA, SVEN), asked) == Approve()


PEOPLE = st.sampled_from([OLGA, SVEN, ANNA])
EVENTS = st.lists(
    st.builds(
        event, st.sampled_from(["created", "raised", "link", "lowered", "disabled"]), PEOPLE,
        st.one_of(st.none(), PEOPLE), days_ago=st.floats(0, 10),
    ),
    max_size=6,
)  # fmt: skip


@given(EVENTS, st.integers(0, 3 * DAY_MS), st.sampled_from(Way))
def test_nobody_is_ever_two_people_and_nobody_alone_is_ever_quick(events: list[Event], later_ms: int, how: Way) -> None:
    known, asked = facts(OLGA, SVEN, ANNA, events=tuple(events)), request(how=how)
    mine = agreed(OLGA, known, asked, at_ms=NOW + later_ms)
    if isinstance(mine, Approve):
        assert mine.single
        assert later_ms >= HOUR_MS
        assert not seconds("pe_olga", Act.RESUME, known, NOW + later_ms)
    theirs = agreed(SVEN, known, asked, at_ms=NOW + later_ms)
    if theirs == Approve():
        assert "pe_sven" not in related("pe_olga", known, NOW + later_ms)


@given(EVENTS)
def test_being_related_goes_both_ways(events: list[Event]) -> None:
    known = facts(OLGA, SVEN, ANNA, events=tuple(events))
    assert ("pe_sven" in related("pe_olga", known, NOW)) == ("pe_olga" in related("pe_sven", known, NOW))


def test_a_week_is_a_week() -> None:
    assert RELATED_MS == 7 * DAY_MS
