"""Priority across a fleet: the worst place counts, and nothing is late before its advisory was there."""

from __future__ import annotations

import pytest

from brakeline.advisories.model import Epss, Severity
from brakeline.core.days import DAY_MS, number
from brakeline.exposure.index import Exposed
from brakeline.exposure.model import FindingState
from brakeline.exposure.priority import Level
from brakeline.exposure.ranks import Known, of_finding, open_days, ranked, standing

TODAY = "2026-11-26"
NOW = number(TODAY) * DAY_MS + 1000
KNOWN = Known(
    {}, {"CVE-1": Epss("CVE-1", 0.6, 0.99)}, {"CVE-2": Severity("CVE-2", "v", "3.1", 9.8)}, TODAY, NOW
)  # fmt: skip


def entry(cve: str, source: str = "curl", dated: str = "2026-11-20", endpoints: tuple[str, ...] = ("ep_1",)) -> Exposed:
    return Exposed(cve, False, {source}, {source: "2"}, {source: dated}, dict.fromkeys(endpoints, FindingState.FIXABLE))


def test_one_endpoint_that_faces_the_internet_is_enough() -> None:
    both = [entry("CVE-1", endpoints=("ep_1", "ep_2"))]
    assert ranked(both, KNOWN, {"ep_2"}, {})["CVE-1"].priority.level is Level.ACT
    assert ranked(both, KNOWN, {"ep_3"}, {})["CVE-1"].priority.level is Level.ATTEND


def test_what_is_only_carried_is_tracked_and_what_nobody_has_is_not_called_so() -> None:
    carried = Exposed("CVE-1", False, {"linux"}, {}, {}, {}, {"ep_1"})
    assert ranked([carried], KNOWN, {"ep_1"}, {})["CVE-1"].priority.level is Level.TRACK
    assert ranked([Exposed("CVE-1", False)], KNOWN, set(), {})["CVE-1"].priority.level is Level.ATTEND


def test_an_old_source_with_a_new_flaw_is_not_late() -> None:
    since = {"curl": NOW - 100 * DAY_MS}
    assert ranked([entry("CVE-1")], KNOWN, set(), since)["CVE-1"].facts.open_days == 6
    assert ranked([entry("CVE-1", dated="2026-01-01")], KNOWN, set(), since)["CVE-1"].facts.open_days == 100
    assert ranked([entry("CVE-1", dated="2026-01-01")], KNOWN, set(), since)["CVE-1"].priority.level is Level.ACT


@pytest.mark.parametrize(
    ("since", "dated", "days"),
    [(None, "2026-01-01", None), (NOW - 5 * DAY_MS, "", 5), (NOW - 5 * DAY_MS, "2026-11-26", 0),
     (NOW, "2027-01-01", 0), (NOW - 5 * DAY_MS, "2020-01-01", 5)],
)  # fmt: skip
def test_for_how_long(since: int | None, dated: str, days: int | None) -> None:
    assert open_days(since, dated, NOW) == days


def test_a_finding_is_judged_by_its_own_endpoint() -> None:
    here = of_finding("CVE-1", KNOWN, internet=True, runs=True, since_ms=NOW, dated=TODAY)
    inside = of_finding("CVE-1", KNOWN, internet=False, runs=True, since_ms=NOW, dated=TODAY)
    carried = of_finding("CVE-1", KNOWN, internet=True, runs=False, since_ms=NOW, dated=TODAY)
    assert [r.priority.level for r in (here, inside, carried)] == [Level.ACT, Level.ATTEND, Level.TRACK]
    assert here.key < inside.key < carried.key


def test_what_did_not_move_is_taken_over_and_what_is_scored_anew_is_not() -> None:
    entries = [entry(f"CVE-{n}") for n in range(1, 5)]
    before = ranked(entries, KNOWN, {"ep_1"}, {})
    moved = [*entries[:3], entry("CVE-4", endpoints=("ep_1", "ep_2")), entry("CVE-5")]
    newer = KNOWN._replace(epss={**KNOWN.epss, "CVE-3": Epss("CVE-3", 0.9, 0.99)})
    same = {one.cve: one for one in entries}
    found = ranked(moved, newer, {"ep_1"}, {}, before, same)
    assert found == ranked(moved, newer, {"ep_1"}, {})
    assert [found[f"CVE-{n}"] is before[f"CVE-{n}"] for n in range(1, 5)] == [True, True, False, False]
    tomorrow = newer._replace(today="2026-11-27")
    assert ranked(moved, tomorrow, {"ep_1"}, {}, found, same) == ranked(moved, tomorrow, {"ep_1"}, {})


def test_a_source_that_stands_open_since_another_day_is_ranked_anew() -> None:
    entries = {one.cve: one for one in (entry("CVE-1"), entry("CVE-2", "jq"))}
    was, now = {"curl": NOW - DAY_MS, "jq": NOW}, {"curl": NOW - 100 * DAY_MS, "jq": NOW}
    same = standing(entries, was, now)
    assert list(same) == ["CVE-2"]
    assert standing(entries, was, dict(was)) is entries
    before = ranked(entries.values(), KNOWN, set(), was)
    assert ranked(entries.values(), KNOWN, set(), now, before, same) == ranked(entries.values(), KNOWN, set(), now)
