"""Content before it is live: by which name, is it newer, has the seed anything to say; and how old what is live is."""

from __future__ import annotations

import pytest

from brakeline.advisories.arrivals import Arrival, Content, NotNewer, check, kind_of, limits_of, settled
from brakeline.advisories.importers import BadFeed
from brakeline.advisories.model import FeedState
from brakeline.advisories.standing import EPSS_DAYS_MAX, epss_note, missing, standing, too_old, usable
from brakeline.core.days import DAY_MS, number
from brakeline.core.errors import Invalid

TODAY, TOMORROW = "2026-11-26", "2026-11-27"
NOW = number(TODAY) * DAY_MS + 3_600_000
EPSS = FeedState(
    "epss", "v of 2026-11-20", "aa", 100, "2026-11-20", NOW, NOW, kind="epss", issued="2026-11-20T00:00:00Z"
)
KEV = FeedState("cisa-kev", "2025.08.25", "bb", 1404, "2025-08-25", NOW, NOW, kind="kev", origin="file", tried="file")
NEW = Arrival("epss", "epss", "e", "cc", "file")


def content(issued: str, rows: int = 100) -> Content:
    return Content("v", issued, issued[:10], [None] * rows)


@pytest.mark.parametrize(
    ("feed", "kind"),
    [("epss", "epss"), ("cisa-kev", "kev"), ("cvss", "cvss"), ("cvss-2025", "cvss"), ("cvss-a_b.c", "cvss")],
)
def test_a_feed_s_name_says_its_kind(feed: str, kind: str) -> None:
    assert kind_of(feed) == kind


@pytest.mark.parametrize(
    "feed", ["", "kev", "EPSS", "cvss-", "cvss--x", "cvss-A", "cvss-" + "a" * 40, "debian-changelog"]
)
def test_no_other_name_can_be_imported(feed: str) -> None:
    with pytest.raises(Invalid, match="there are epss, cisa-kev, cvss"):
        kind_of(feed)


def test_what_takes_the_place_of_what_is_live_is_newer_whole_and_not_of_the_future() -> None:
    check(NEW, content("2026-11-21T00:00:00Z"), EPSS, TOMORROW)
    check(NEW, content("2026-11-27T00:00:00Z"), EPSS, TOMORROW)
    check(NEW, content("2020-01-01T00:00:00Z"), None, TOMORROW)  # the first may be as old as it is
    for old in ("2026-11-20T00:00:00Z", "2026-11-19T23:59:59Z", ""):
        with pytest.raises(NotNewer):
            check(NEW, content(old), EPSS, TOMORROW)
    with pytest.raises(BadFeed, match="future"):
        check(NEW, content("2026-11-28T00:00:00Z"), None, TOMORROW)
    with pytest.raises(BadFeed, match="most of the feed is gone"):
        check(NEW, content("2026-11-21T00:00:00Z", 49), EPSS, TOMORROW)
    check(NEW, content("2026-11-21T00:00:00Z", 50), EPSS, TOMORROW)


def test_without_a_time_of_issue_the_newest_entry_s_day_counts() -> None:
    arrival = Arrival("cisa-kev", "kev", "k", "cc", "file")
    check(arrival, content("2025-08-25T01:00:00Z"), KEV, TOMORROW)  # the same day, and a time in it
    with pytest.raises(NotNewer):
        check(arrival, content("2025-08-25"), KEV, TOMORROW)


def test_the_seed_is_silent_where_something_newer_came_by_another_way() -> None:
    seed = Arrival("cisa-kev", "kev", "k", "cc", version="2025.08.25")
    assert settled(seed, KEV)
    assert not settled(Arrival("cisa-kev", "kev", "k", "cc", version="2026.01.01"), KEV)  # a newer product
    assert not settled(seed, None)
    assert not settled(seed, KEV._replace(sha256=""))
    assert not settled(seed, KEV._replace(origin="seed"))
    same = KEV._replace(sha256="cc", origin="seed")
    assert settled(seed, same)
    assert settled(seed, same._replace(problem="a file was bad", tried="file"))  # which is still so, and stays said
    assert not settled(seed, same._replace(problem="the seed was bad", tried="seed"))
    assert not settled(Arrival("cisa-kev", "kev", "k", "bb", "file"), KEV)


def test_limits_name_the_day() -> None:
    assert limits_of(NEW, content("2026-11-20T00:00:00Z")).startswith("EPSS of 2026-11-20 speaks of attempts anywhere")
    assert limits_of(Arrival("x", "advisories", "x", "", limits="knows little"), content("")) == "knows little"


@pytest.mark.parametrize(
    ("day", "age", "old", "says"),
    [("2026-11-26", 0, False, "of 2026-11-26, 0 days old"), ("2026-11-25", 1, False, "of 2026-11-25, 1 day old"),
     ("2026-11-22", 4, True, "older than it should be. brakeline content import epss FILE"),
     ("2026-10-26", 31, True, "31 days old: not used any more."), ("2027-01-01", 0, False, "0 days old")],
)  # fmt: skip
def test_how_old_it_is(day: str, age: int, old: bool, says: str) -> None:
    found = standing(EPSS._replace(issued=f"{day}T00:00:00Z"), "", 0, NOW)
    assert (found.age_days, found.old, says in found.says) == (age, old, True)


def test_nothing_live_has_no_age_and_says_what_that_means() -> None:
    never = standing(EPSS._replace(sha256="", issued="", content_day="", problem="bad"), "https://x", 7, NOW)
    assert (never.age_days, never.old, never.problem, never.asked_ms) == (None, True, "bad", 7)
    assert never.says.startswith("nothing of it is live. Nothing says how likely exploitation is")
    assert (
        missing("cvss", "cvss", "", 0).says
        == "Nothing says how bad a flaw would be. brakeline content import cvss FILE"
    )


def test_epss_speaks_of_thirty_days_and_then_no_more() -> None:
    last = EPSS._replace(issued="2026-10-27T00:00:00Z")
    late = EPSS._replace(issued="2026-10-26T00:00:00Z")
    assert usable((KEV, last), NOW)
    assert not usable((KEV, late), NOW)
    assert not usable((KEV,), NOW)
    assert (too_old((last,), NOW), too_old((), NOW)) == ("", "")
    assert too_old((late,), NOW).startswith(f"EPSS is {EPSS_DAYS_MAX + 1} days old and is not used")
    assert epss_note((last,), NOW, told=True) == "of 2026-10-27, 30 days old"
    assert epss_note((last,), NOW, told=False) == "EPSS of 2026-10-27, 30 days old lists none of them"
    assert epss_note((late,), NOW, told=False) == "EPSS is too old to be used (of 2026-10-26, 31 days old)"
    assert epss_note((KEV,), NOW, told=False) == ""
