"""Which of several statements of one vendor counts."""

from __future__ import annotations

from brakeline.advisories.model import Advisory
from brakeline.exposure.authority import settled

OPEN = Advisory("curl", "CVE-2026-1", "", state="open", id="CVE-2026-1")
DLA = Advisory("curl", "CVE-2026-1", "2-1", id="DLA-1")
DERIVED = Advisory("curl", "CVE-2026-1", "3-1")


def test_a_fix_in_an_advisory_counts_where_the_record_still_says_open() -> None:
    assert settled([OPEN, DLA], "deb") == [DLA]
    assert settled([OPEN._replace(state="deferred"), DLA], "rpm") == [DLA]
    assert settled([OPEN, DERIVED], "deb") == [DERIVED]  # the vendor's changelog is the vendor's word, too
    assert settled([OPEN], "deb") == [OPEN]


def test_a_fix_of_another_cve_stream_or_branch_says_nothing_of_what_is_open() -> None:
    for other in (DLA._replace(cve="CVE-2026-2"), DLA._replace(module="nodejs:18"), DLA._replace(introduced="1-1")):
        assert settled([OPEN, other], "rpm") == [OPEN, other]


def test_what_was_derived_yields_to_a_record() -> None:
    assert settled([DERIVED, DLA], "deb") == [DLA]
    harmless = OPEN._replace(state="not_affected")
    assert settled([DERIVED, harmless], "deb") == [harmless]
    assert settled([DERIVED, harmless._replace(cve="CVE-2026-2")], "deb")[0] == DERIVED
    assert settled([DERIVED], "deb") == [DERIVED]


def test_two_fixes_stay_two_and_registries_are_left_alone() -> None:
    later = DLA._replace(id="DLA-2", fixed="4-1")
    assert settled([DLA, later], "deb") == [DLA, later]
    assert settled([OPEN, DLA], "pypi") == [OPEN, DLA]
