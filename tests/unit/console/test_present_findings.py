"""What people read of due days and acceptances, in lists, on the overview and on an endpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.console.present_findings import acceptance_row, due_text, finding_notes, overdue_needs
from brakeline.console.samples_updates import CLOSED
from brakeline.console.views import Tone
from brakeline.exposure.acceptance import Acceptance, Standing
from brakeline.exposure.accepting import AcceptanceView
from brakeline.exposure.answers import FleetExposure, OpenFinding, Vulnerability
from brakeline.exposure.model import Finding, FindingState

NOW = 1_795_400_000_000  # 2026-11-23
DAY = 86_400_000


@pytest.mark.parametrize(
    ("change", "text", "tone"),
    [
        ({}, "2026-12-03", Tone.IDLE), ({"due": ""}, "none set", Tone.IDLE),
        ({"overdue_days": 1}, "2026-12-03 (1 day over)", Tone.BAD),
        ({"overdue_days": 9, "accepted": 3}, "2026-12-03 (9 days over), accepted on 3", Tone.BAD),
        ({"accepted": 9, "accepted_whole": True, "accepted_until_ms": NOW}, "accepted until 2026-11-23", Tone.IDLE),
    ],
)  # fmt: skip
def test_by_when(change: dict[str, object], text: str, tone: Tone) -> None:
    found: Vulnerability = replace(CLOSED, **change)  # type: ignore[arg-type]
    assert due_text(found) == (text, tone)


def test_one_finding_says_the_most_important_of_it() -> None:
    finding = Finding("curl", "curl", "1", "CVE-1", "2", "", "", "1", "1")
    f = OpenFinding(finding, FindingState.FIXABLE, "", None, due="2026-12-03")
    assert finding_notes(f) == ["due 2026-12-03"]
    assert finding_notes(replace(f, overdue_days=2)) == ["2 days over"]
    assert finding_notes(replace(f, overdue_days=2, accepted_until_ms=NOW)) == ["accepted until 2026-11-23"]
    assert finding_notes(replace(f, due="")) == []


def test_what_is_overdue_needs_a_person_and_nothing_else_does() -> None:
    summary = FleetExposure(1, 1, 0, 0, 1, 5, 0, 0, {}, 0, (), (), overdue=2)
    (need,) = overdue_needs(summary)
    assert (need.link.text, need.link.href) == ("2 vulnerabilities", "/vulnerabilities?q=due%3Aoverdue")
    assert overdue_needs(replace(summary, overdue=1))[0].link.text == "1 vulnerability"
    assert overdue_needs(replace(summary, overdue=0)) == ()


def test_an_acceptance_says_who_and_what_became_of_it() -> None:
    one = Acceptance("ac_1", "CVE-2026-1", "", "why", False, NOW - DAY, "Ada", "Ada and Bert", 2, NOW + 5 * DAY)
    row = acceptance_row(AcceptanceView(one, Standing.FORCE, 3), NOW)
    assert (row.whom.text, row.endpoints, row.ends) == ("every endpoint", "3", True)
    assert row.by.startswith("Ada and Bert, ")
    since = acceptance_row(AcceptanceView(one, Standing.EXPLOITED, None), NOW)
    assert ("counts as open" in since.note, since.endpoints, since.ends) == (True, "none", True)
    over = acceptance_row(AcceptanceView(one, Standing.EXPIRED, None), NOW + 6 * DAY)
    assert (over.until, over.ends) == ("2026-11-28", False)
