"""People before a restart: warned in full, heard within bounds, overruled only where root says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.agent.people import (
    DEFERRALS_MAX,
    FORGOTTEN_S,
    GAP_S,
    Damaged,
    Goes,
    Waits,
    Warned,
    Word,
    judge,
    kinder,
    left,
    stood_down,
)
from brakeline.protocol.messages import PeopleTerms

H = 3600.0
TERMS = PeopleTerms(warn_s=900, deferrals=3, defer_s=3600, deadline_s=8 * 3600)
PATIENT = replace(TERMS, deadline_s=0)
BOOT = "boot-1"


def look(known: Warned | Damaged | None, up_s: float, people: int = 1, asked: bool = False,
         terms: PeopleTerms = TERMS) -> Goes | Waits:  # fmt: skip
    return judge(terms, known, BOOT, people, asked, up_s)


def waits(found: Goes | Waits) -> Waits:
    assert isinstance(found, Waits)
    return found


def minutes(w: Warned, from_s: float, until_s: float, terms: PeopleTerms = TERMS) -> tuple[Warned, list[Word], float]:
    """A look a minute, somebody there and silent: the record, what was told, and when it went on (inf = not)."""
    words: list[Word] = []
    up_s = from_s
    while up_s <= until_s:
        found = look(w, up_s, terms=terms)
        if isinstance(found, Goes):
            return w, words, up_s
        words += [found.word] if found.word else []
        w, up_s = found.warned, up_s + 60
    return w, words, float("inf")


def test_without_terms_or_people_it_goes_on_as_ever() -> None:
    assert look(None, H, terms=PeopleTerms()) == Goes()
    assert look(None, H, people=0) == Goes()


def test_people_are_warned_in_full_told_again_and_then_it_goes_on_where_root_lets_it() -> None:
    first = waits(look(None, H))
    assert (first.word, first.left_s, first.latest_s) == (Word.WARNED, 900, 8 * H)
    _, words, at_s = minutes(first.warned, H + 60, 3 * H)
    assert words == [Word.SOON, Word.SOON]
    assert H + 900 <= at_s <= H + 900 + 120
    assert look(replace(first.warned, told=2, seen_s=H + 900), H + 961) == Goes(over=True)


def test_without_a_deadline_of_root_nobody_is_overruled_and_it_goes_on_when_they_have_left() -> None:
    first = waits(look(None, H, terms=PATIENT))
    assert first.left_s is None
    w, words, at_s = minutes(first.warned, H + 60, 30 * H, PATIENT)
    assert (words, at_s) == ([], float("inf"))
    assert look(w, 31 * H, people=0, terms=PATIENT) == Goes()


def test_a_deferral_is_counted_and_ends_at_the_deadline() -> None:
    w = waits(look(None, H)).warned
    later = waits(look(w, H + 60, asked=True))
    assert (later.word, later.left_s, left(TERMS, later.warned)) == (Word.DEFERRED, 840 + 3600, 2)
    near = replace(later.warned, used=1, seen_s=8.5 * H, due_s=8.6 * H)
    assert waits(look(near, 8.5 * H + 60, asked=True)).warned.due_s == 9 * H
    used_up = replace(later.warned, used=3)
    assert waits(look(used_up, H + 120, asked=True)).word is Word.NONE_LEFT
    assert waits(look(used_up, H + 120, asked=True)).warned.due_s == used_up.due_s


def test_asking_for_ever_keeps_nobody_waiting_for_ever() -> None:
    w, up_s = waits(look(None, H)).warned, H
    for _ in range(24 * 60):
        up_s += 60
        found = look(w, up_s, asked=True)
        if isinstance(found, Goes):
            break
        w = found.warned
    assert up_s <= H + TERMS.deadline_s + 180


def test_a_deferral_stands_though_they_have_left() -> None:
    later = waits(look(waits(look(None, H)).warned, H + 60, asked=True)).warned
    assert waits(look(later, H + 120, people=0)).left_s == 840 + 3540
    assert look(replace(later, seen_s=later.due_s), later.due_s, people=0) == Goes()


@pytest.mark.parametrize("known", [Damaged(), Warned(BOOT, 5 * H, 6 * H, 5 * H), Warned(BOOT, H, 200 * H, H, 1),
                                   Warned(BOOT, H, H, H, -4)])  # fmt: skip
def test_a_damaged_record_warns_anew_and_leaves_nothing_to_put_off(known: Warned | Damaged) -> None:
    found = waits(look(known, 2 * H))
    assert (found.word, found.left_s, left(TERMS, found.warned)) == (Word.WARNED, 900, 0)


def test_after_a_gap_the_warning_runs_in_full_again() -> None:
    w = waits(look(None, H)).warned
    slept = waits(look(w, H + 10 * H))
    assert (slept.word, slept.left_s) == (Word.WARNED, 900)
    assert isinstance(look(w, H + GAP_S), Waits)


def test_what_was_put_off_stays_counted_after_an_order_was_taken_back() -> None:
    assert stood_down(None, H) is None
    used = waits(look(waits(look(None, H)).warned, H + 60, asked=True)).warned
    off = stood_down(used, H + 120)
    assert off is not None
    assert stood_down(off, H + 180) is None
    again = waits(look(off, H + 240))
    assert (again.word, left(TERMS, again.warned)) == (Word.WARNED, 2)
    assert again.warned.due_s == used.due_s
    fresh = waits(look(off, H + 121 + FORGOTTEN_S))
    assert left(TERMS, fresh.warned) == 3


def test_another_boot_begins_anew() -> None:
    assert look(Warned("boot-0", H, H, H, 3), 2 * H, people=0) == Goes()
    assert left(TERMS, waits(look(Warned("boot-0", H, H, H, 3), 2 * H)).warned) == 3


def test_an_order_can_only_be_kinder_than_root() -> None:
    root = PeopleTerms(900, 2, 3600, 7200)
    assert kinder(root, None) == root
    assert kinder(root, PeopleTerms(60, 1, 60, 60)) == root
    assert kinder(root, PeopleTerms(1800, 4, 7200, 9000)) == PeopleTerms(1800, 4, 7200, 9000)
    assert kinder(PeopleTerms(900), PeopleTerms(deadline_s=60)).deadline_s == 0, "no order overrules anybody"
    assert kinder(root, PeopleTerms(deferrals=10**9)).deferrals == DEFERRALS_MAX
    assert kinder(PeopleTerms(-5, -5, -5, -5), None) == PeopleTerms()
