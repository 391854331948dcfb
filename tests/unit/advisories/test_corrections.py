"""What a new version of a feed says otherwise, in words."""

from __future__ import annotations

from brakeline.advisories.corrections import corrections
from brakeline.advisories.model import Advisory
from brakeline.advisories.osv.model import Span

FLASK = Span("pypi", "flask", "PYSEC-1", fixed="2.0", aliases=("CVE-2026-1",))


def test_a_corrected_range_is_told_with_both_and_a_new_advisory_is_none() -> None:
    new = [FLASK._replace(introduced="1.0", fixed="1.5"), FLASK._replace(part=1, introduced="2.0", fixed="2.1"),
           FLASK._replace(id="PYSEC-2")]  # fmt: skip
    (found,) = corrections([FLASK], new)
    assert found[:6] == ("pypi", "flask", "PYSEC-1", "corrected", "fixed: below 2.0",
                         "fixed: from 1.0 below 1.5; fixed: from 2.0 below 2.1")  # fmt: skip
    assert found.names == ("CVE-2026-1",)
    assert corrections(new, new) == []
    assert corrections([FLASK], [FLASK._replace(summary="better said")]) == []


def test_withdrawn_and_vanished_advisories() -> None:
    gone = FLASK._replace(id="PYSEC-3", versions=tuple(f"1.{n}" for n in range(9)), fixed="")
    old = [FLASK, gone]
    new = [FLASK._replace(state="withdrawn", withdrawn="2026-11-01T00:00:00Z")]
    assert [(c.id, c.kind, c.before, c.after) for c in corrections(old, new)] == [
        ("PYSEC-1", "withdrawn", "fixed: below 2.0", "withdrawn: below 2.0"),
        ("PYSEC-3", "removed", "fixed: 1.0, 1.1, 1.2, 1.3, 1.4 and 4 more", ""),
    ]


def test_rows_of_our_own_form_go_by_cve_where_they_have_no_id() -> None:
    row = Advisory("curl", "CVE-2026-1", "2-1", module="a:1")
    (found,) = corrections([row], [row._replace(fixed="", state="open")])
    assert found[:6] == ("debian:12", "curl", "CVE-2026-1", "corrected", "fixed of a:1: below 2-1",
                         "open of a:1: every version")  # fmt: skip
    assert found.names == ("CVE-2026-1",)
