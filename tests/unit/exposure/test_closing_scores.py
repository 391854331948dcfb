"""What updates close, weighed: the likeliest of what each endpoint gets rid of, and the worst of all."""

from __future__ import annotations

import pytest
from pyroaring import BitMap

from brakeline.advisories.model import Advisory
from brakeline.exposure.closing import closing, likeliest
from brakeline.exposure.flips import LOSSES, Bound, flips, marks, verdict
from brakeline.exposure.match import Book
from brakeline.exposure.model import Installed, Role, Unit

DEBIAN = "debian:12"
BOOK = Book(
    [Advisory("curl", "CVE-1", "2-1"), Advisory("curl", "CVE-2", "2-1"), Advisory("bash", "CVE-3", "2-1")],
    frozenset({"CVE-3"}),
)  # fmt: skip
CURL, BASH = Installed("curl", "curl", "1-1", "1-1"), Installed("bash", "bash", "1-1", "1-1")
SCORES = ({"CVE-1": 0.2, "CVE-2": 0.6}, {"CVE-1": 9.8})


def test_each_endpoint_counts_by_the_likeliest_that_is_closed_there() -> None:
    fleet = {"a": ([CURL], DEBIAN, ""), "b": ([CURL, BASH], DEBIAN, ""), "c": ([BASH], DEBIAN, "")}
    pins = {"a": {"curl": "2-1"}, "b": {"curl": "2-1", "bash": "2-1"}, "c": {}}
    found = closing(fleet, pins, BOOK, SCORES)
    assert (found.epss, found.cvss) == (0.6, 9.8)
    assert found.at_risk == pytest.approx(0.6 + 1.0)  # what is exploited counts as 1; who closes nothing, as nothing
    assert closing(fleet, pins, BOOK).epss is None
    assert closing(fleet, pins, BOOK).at_risk == 1.0


def test_nothing_said_is_nothing_counted() -> None:
    assert likeliest((), frozenset(), {}) == 0.0
    assert likeliest({"CVE-1"}, frozenset(), {}) == 0.0
    assert likeliest({"CVE-1", "CVE-9"}, frozenset({"CVE-9"}), {"CVE-1": 0.2}) == 1.0


def test_marks_flip_by_what_is_installed_and_none_is_exempt() -> None:
    unit = Unit(DEBIAN, "curl", "1-1")
    holders = {(unit, Role.ACTIVE): BitMap(range(30))}
    gone = flips(holders, marks({unit}, BOOK, frozenset({"CVE-1", "CVE-2", "CVE-8"}), frozenset()))
    assert (gone.before, gone.lost, gone.gained) == (60, 60, 0)
    hold = verdict(gone, Bound(), "", 0, 0, "marks of high severity")
    assert hold is not None
    assert (hold.kind, "take away 60 marks of high severity on 30 endpoints" in hold.reason) == (LOSSES, True)
    more = flips(holders, marks({unit}, BOOK, frozenset(), frozenset({"CVE-1", "CVE-3"})))
    assert (more.gained, more.exploited, more.named) == (30, 0, ())
    held = verdict(more, Bound(), "", 0, 0)
    assert held is not None
    assert held.until_ms > 0
    assert marks({unit}, BOOK, frozenset({"CVE-3"}), frozenset()) == {}  # nobody has it by this unit
