"""The words of a lead beside a cell's own policies: whom they concern, what comes of them, what stands against them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.cells.model import REFUSALS, Refusal
from brakeline.core.errors import Conflict, Fault, Invalid
from brakeline.protocol.messages import Conffiles, Mode, Settings
from brakeline.remediation import led
from brakeline.remediation.decide import effective
from brakeline.remediation.led import Concerned, NameIsOwn
from brakeline.remediation.model import POLICIES_MAX, SettingsPolicy, Words
from brakeline.remediation.words import NeverOpen, parsed
from brakeline.rollout.wished import Offered, SettingsHalted, SettingsUnderWay, Wished, digest, told

HOURS = "mon,tue,wed,thu,fri 22:00/05:00"
PATCH = SettingsPolicy("po_1", "patch", "", Mode.PATCH, None, None, 1, "Olga")
NIGHTS = Wished("nights", windows=(HOURS,), conffiles=Conffiles.KEEP)
FORMER = led.policy_of(replace(NIGHTS, windows=("sat 00:00/24:00",)), "ro_9", 5, "conductor")


def own(**words: object) -> SettingsPolicy:
    return replace(PATCH, id="po_2", name="own", mode=None, words=Words(**words))  # type: ignore[arg-type]


def test_an_endpoint_is_concerned_where_the_words_make_a_difference_and_nowhere_else() -> None:
    careful = own(windows=(HOURS,), conffiles=Conffiles.HOLD)
    found = led.targets((Concerned("ep_1", (PATCH,)), Concerned("ep_2", (PATCH, careful))), NIGHTS)
    assert set(found) == {"ep_1"}
    assert found["ep_1"] == replace(effective((PATCH,)), windows=(HOURS,), conffiles=Conffiles.KEEP)


def test_of_the_words_and_a_cell_s_own_policies_the_most_careful_wins() -> None:
    careful = own(conffiles=Conffiles.HOLD)
    (settings,) = led.targets((Concerned("ep_1", (PATCH, careful)),), NIGHTS).values()
    assert (settings.conffiles, settings.mode) == (Conffiles.HOLD, Mode.PATCH)


def test_what_was_led_under_the_name_is_replaced_or_taken_away_and_nothing_else() -> None:
    (settings,) = led.targets((Concerned("ep_1", (PATCH, FORMER)),), NIGHTS).values()
    assert settings.windows == (HOURS,)
    assert led.beside((PATCH, FORMER), Wished("nights")) == (PATCH,)
    same_name = replace(FORMER, led="")
    assert same_name in led.beside((PATCH, same_name), NIGHTS)


@pytest.mark.parametrize(
    ("known", "wished", "kind", "says"),
    [
        (replace(PATCH, name="nights"), NIGHTS, NameIsOwn, "is this cell's own"),
        (replace(FORMER, filter="tag:db"), NIGHTS, NameIsOwn, "was led for tag:db"),
        (PATCH, replace(NIGHTS, windows=("mon-fri 22:00/05",)), Invalid, ""),
        (PATCH, replace(NIGHTS, windows=("sat 1:00/2:00",)), Invalid, "is not written as this version writes it"),
        (PATCH, replace(NIGHTS, name="  "), Invalid, "under a name"),
        (PATCH, replace(NIGHTS, nice=40), Invalid, "nice is 0 to 19"),
        (PATCH, replace(NIGHTS, refresh_interval_s=5), Invalid, "an interval is 60"),
    ],
)
def test_what_stands_against_it_is_said(known: SettingsPolicy, wished: Wished, kind: type[Fault], says: str) -> None:
    with pytest.raises(kind) as refused:
        led.refuse((), (known,), wished)
    assert says in (refused.value.detail or "")
    led.refuse((), (PATCH,), NIGHTS)


def test_no_endpoint_is_left_without_a_minute_and_the_policy_in_the_way_is_named() -> None:
    days = own(windows=("mon-fri 09:00/17:00",))
    with pytest.raises(NeverOpen, match="those of policy 'own' have no minute in common"):
        led.refuse((Concerned("ep_1", (PATCH, days)),), (PATCH, days), NIGHTS)


@pytest.mark.parametrize(
    ("fault", "number"),
    [(SettingsUnderWay("x"), Refusal.UNDER_WAY), (SettingsHalted("x"), Refusal.QUARANTINED),
     (NameIsOwn("x"), Refusal.NAME), (NeverOpen("x"), Refusal.NEVER_OPEN), (Invalid("x"), Refusal.WORDS),
     (Fault("x"), Refusal.OTHER)],
)  # fmt: skip
def test_a_reason_leaves_the_cell_as_a_number_that_the_conductor_has_words_for(fault: Fault, number: Refusal) -> None:
    assert led.refusal_of(fault) == number
    assert REFUSALS[number]


def test_on_trial_the_words_hold_for_who_was_offered_them_until_they_are_a_policy() -> None:
    offered = Offered(Settings(), NIGHTS, "ro_1")
    trial = led.on_trial((PATCH,), offered)
    assert trial is not None
    assert trial.windows == (HOURS,)
    assert led.on_trial((PATCH,), Offered(Settings())) is None
    assert led.under_way(offered, frozenset({"ro_1"})) is None
    assert led.under_way(offered, frozenset({"ro_2"})) is offered
    plain = Offered(Settings(), None, "ro_1")
    assert led.under_way(plain, frozenset({"ro_1"})) is plain, "of a rollout of the cell's own nothing changes"


def test_what_only_narrowed_is_not_what_an_endpoint_has() -> None:
    had = {"ep_1": Settings(Mode.PATCH), "ep_2": Settings(Mode.PATCH)}
    proven = {"ep_1": Settings(Mode.ASSESS, nice=10), "ep_2": Settings(Mode.PATCH, refresh_interval_s=60),
              "ep_3": Settings(Mode.ASSESS)}  # fmt: skip
    assert led.kept(had, proven) == {"ep_2": proven["ep_2"], "ep_3": proven["ep_3"]}


def test_words_are_made_of_what_people_type_and_named_by_all_that_is_in_them() -> None:
    made = led.wished_of("nights ", "", "leave", parsed(windows=(HOURS,), conffiles="keep"))
    assert made == NIGHTS
    assert told(made) == (f"maintenance windows: {HOURS}", "changed configuration files: keep")
    assert digest(made) != digest(replace(made, filter="tag:db")) != digest(replace(made, name="other"))
    with pytest.raises(Invalid, match="assess, patch or leave"):
        led.wished_of("nights", "", "sometimes", Words())
    assert led.wished_of("nights", "", "leave", Words()).takes_away


def test_a_conductor_makes_no_more_policies_than_people_may() -> None:
    many = tuple(replace(PATCH, id=f"po_{i}", name=f"p{i}") for i in range(POLICIES_MAX))
    led.refuse((), many[1:], NIGHTS)
    with pytest.raises(Conflict, match="merge or delete some") as refused:
        led.refuse((), many, NIGHTS)
    assert led.refusal_of(refused.value) is Refusal.OTHER
    led.refuse((), (*many[1:], FORMER), NIGHTS)
    led.refuse((), many, Wished("nights"))
