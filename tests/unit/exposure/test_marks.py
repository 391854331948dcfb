"""What stands beside vulnerabilities, taken together."""

from __future__ import annotations

from brakeline.exposure.acceptance import Accepted
from brakeline.exposure.due import Due
from brakeline.exposure.marks import Mark, earliest


def test_the_earliest_day_of_what_is_closed_counts_and_what_is_accepted_everywhere_does_not() -> None:
    marks = {
        "CVE-1": Mark(due=Due("2026-12-03")), "CVE-2": Mark(due=Due("2026-12-01")),
        "CVE-3": Mark(due=Due("2026-11-01")),
        "CVE-4": Mark(due=Due()), "CVE-5": Mark(Accepted(3, 9, True), Due("2026-01-01")),
    }  # fmt: skip
    assert earliest(("CVE-1", "CVE-2", "CVE-4", "CVE-5", "CVE-9"), marks) == "2026-12-01"
    assert earliest(("CVE-4", "CVE-5"), marks) == ""
    assert earliest((), marks) == ""
