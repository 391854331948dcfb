"""Figures and order that are kept from look to look, against the same made whole, and against the formulas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brakeline.advisories.model import Epss, Severity
from brakeline.exposure.acceptance import NOBODY, Accepted
from brakeline.exposure.due import Due, due_within
from brakeline.exposure.listing import Wanted, fits, parse
from brakeline.exposure.marks import UNMARKED, Mark
from brakeline.exposure.model import FindingState
from brakeline.exposure.priority import ORDER, Facts, prioritise, sort_key
from brakeline.exposure.ranks import Rank
from brakeline.exposure.standing import Exposed
from brakeline.exposure.sums import PIECEMEAL, Figures, Sums

TODAY, TOMORROW = "2026-11-27", "2026-11-28"
IDS = tuple(f"CVE-2026-{n}" for n in (1, 2, 9, 10, 11, 100))
QUERIES = ("", "kev:yes", "role:carrier", "state:fixable_now", "due:overdue", "accepted:no", "ecosystem:pypi", "2026-1")
WHO = tuple(f"ep_{n}" for n in range(3))
World = tuple[dict[str, Exposed], dict[str, Rank], dict[str, Mark]]

places = st.dictionaries(st.sampled_from(WHO), st.sampled_from(list(FindingState)[:4]), max_size=3)
scores = st.one_of(st.none(), st.sampled_from((0.05, 0.2, 0.7)))
marks = st.sampled_from((
    UNMARKED, Mark(NOBODY, Due("2026-11-20", 7)), Mark(NOBODY, Due("2026-12-05")), Mark(NOBODY, Due("2026-12-04")),
    Mark(Accepted(1, 5), Due("2026-11-28")), Mark(Accepted(2, 5, whole=True), Due("2026-11-20", 7)),
))  # fmt: skip


@st.composite
def line(draw: st.DrawFn, cve: str) -> tuple[Exposed, Rank, Mark]:
    entry = Exposed(
        cve, draw(st.booleans()), {"curl"}, {}, {}, draw(places), draw(st.sets(st.sampled_from(WHO))),
        draw(st.sets(st.sampled_from(("debian:12", "pypi")), min_size=1)),
    )  # fmt: skip
    epss, cvss = draw(scores), draw(scores)
    facts = Facts(
        None, None if epss is None else Epss(cve, epss, 0.5), None if cvss is None else Severity(cve, "v", "3.1", 9.1),
        runs=bool(entry.endpoints), today=TODAY,
    )  # fmt: skip
    priority = prioritise(facts)
    return entry, Rank(priority, facts, sort_key(priority, facts, len(entry.endpoints))), draw(marks)


@st.composite
def steps(draw: st.DrawFn) -> dict[str, tuple[Exposed, Rank, Mark] | None]:
    """What moves: some CVEs are others now, some are gone."""
    some = draw(st.lists(st.sampled_from(IDS), max_size=3, unique=True))
    return {cve: draw(st.one_of(st.none(), line(cve))) for cve in some}


def moved(world: World, step: Mapping[str, tuple[Exposed, Rank, Mark] | None]) -> World:
    """As the server does it: new mappings, the same objects where nothing moved."""
    found: Any = tuple(map(dict, world))
    for cve, now in step.items():
        for place, of in enumerate(found):
            of.pop(cve, None) if now is None else of.__setitem__(cve, now[place])
    return found


def selected(world: World, wanted: Wanted, today: str) -> list[Exposed]:
    """Those that match, one after another, and then sorted: by rank, then by id, newest first."""
    entries, ranks, beside = world
    found = [e for e in entries.values() if fits(e, ranks[e.cve], beside[e.cve], wanted, today)]
    found.sort(key=lambda entry: entry.cve, reverse=True)
    return sorted(found, key=lambda entry: (*ranks[entry.cve].key, -len(entry.carriers)))


def formulas(world: World, today: str) -> Figures:
    """Every figure by itself, over everything."""
    entries, ranks, beside = world
    active = [e for e in entries.values() if e.endpoints]
    found = [beside[e.cve] for e in active]
    opened = [mark for mark in found if not mark.accepted.whole]
    levels = Counter(ranks[e.cve].priority.level for e in active)
    return Figures(
        len(active), sum(e.kev for e in active), len(entries) - len(active),
        dict(Counter(e.worst().value for e in active)), {one.value: levels[one] for one in ORDER if levels[one]},
        dict(sorted(Counter(name for e in active for name in e.ecosystems).items())), len(found) - len(opened),
        sum(bool(m.accepted.endpoints) for m in opened), sum(m.due.overdue for m in opened),
        sum(not m.due.overdue and due_within(m.due, today, 7) for m in opened),
    )  # fmt: skip


@given(st.lists(st.tuples(steps(), st.sampled_from((TODAY, TODAY, TOMORROW))), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_whatever_moves_figures_and_order_are_those_that_are_made_whole(history: list[tuple[Any, str]]) -> None:
    world: World = ({}, {}, {})
    kept = Sums()
    for step, today in history:
        world = moved(world, step)
        kept.look(*world, today)
        whole = Sums()
        whole.look(*world, today)
        assert kept.unlike(whole) == kept.unlike(kept.again()) == []
        assert kept.figures() == whole.figures() == formulas(world, today)
        for text in QUERIES:
            wanted = parse(text)
            naive = selected(world, wanted, today)
            assert kept.chosen(wanted) == naive
            after = naive[1].cve if len(naive) > 1 else None
            assert kept.page(wanted, None, 2) == (naive[:2], len(naive), len(naive) > 2)
            assert kept.page(wanted, after, 2) == ((naive[2:4], len(naive), len(naive) > 4) if after else
                                                   (naive[:2], len(naive), len(naive) > 2))  # fmt: skip


def many(count: int) -> World:
    entries, ranks = {}, {}
    for n in range(count):
        cve = f"CVE-2026-{n:04}"
        facts = Facts(epss=Epss(cve, n / count, 0.5))
        entries[cve] = Exposed(cve, False, {"curl"}, {}, {}, {"ep_1": FindingState.FIXABLE}, set(), {"debian:12"})
        ranks[cve] = Rank(prioritise(facts), facts, sort_key(prioritise(facts), facts, 1))
    return entries, ranks, {}


def test_only_what_moved_is_counted_anew() -> None:
    world, kept = many(100), Sums()
    kept.look(*world, TODAY)
    assert kept.moved == 100
    kept.look(*world, TODAY)
    assert kept.moved == 0
    one = Exposed("CVE-2026-0007", True, {"curl"}, {}, {}, {"ep_2": FindingState.NO_FIX}, set(), {"pypi"})
    world = ({**world[0], one.cve: one}, world[1], world[2])
    kept.look(*world, TODAY)
    assert kept.moved == 1, "and not the 99 that are the same objects"
    assert kept.figures().ecosystems == {"debian:12": 99, "pypi": 1}
    kept.look(*world, TOMORROW)
    assert kept.moved == 100, "what is due within a week is of a day"


def test_a_look_that_did_not_come_to_its_end_leaves_nothing_to_go_on_from() -> None:
    world, kept = many(50), Sums()
    kept.look(*world, TODAY)
    entries = {**world[0], "CVE-2026-9999": world[0]["CVE-2026-0001"]}  # nobody ranked it
    with pytest.raises(KeyError):
        kept.look(entries, world[1], world[2], TODAY)
    kept.look(*world, TODAY)
    assert (kept.moved, kept.unlike(kept.again())) == (50, [])


def test_an_order_that_was_damaged_is_made_anew_and_figures_that_were_are_said() -> None:
    world, kept = many(PIECEMEAL * 5), Sums()
    kept.look(*world, TODAY)
    kept.order.remove(kept.lines["CVE-2026-0003"].place)
    assert kept.unlike(kept.again()) == ["another order of the list"]
    one = Exposed("CVE-2026-0003", False, {"curl"}, {}, {}, {"ep_2": FindingState.NO_FIX}, set(), {"pypi"})
    kept.look({**world[0], one.cve: one}, world[1], world[2], TODAY)
    assert kept.unlike(kept.again()) == []
    kept.counts["cve", ""] -= 1
    assert kept.copy().unlike(kept.again()) == ["cve : 39 CVEs, should be 40"]
