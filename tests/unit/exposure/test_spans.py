"""Spans of OSV documents, judged as rows are."""

from __future__ import annotations

from typing import Any

from brakeline.advisories.osv.model import Span
from brakeline.exposure.match import Book, assess
from brakeline.exposure.model import Installed
from brakeline.exposure.spans import rows_of


def span(ecosystem: str, name: str, id_: str, **more: Any) -> Span:
    """A span as an importer of OSV makes it."""
    return Span(ecosystem, name, id_, **{"published": "2026-11-20T10:00:00Z", **more})


def found(version: str, *spans: Span) -> list[tuple[str, str]]:
    item = Installed("lib", "lib", version, version, ecosystem="pypi")
    return [(f.cve, f.date) for f in assess([item], Book(rows_of(spans)), "debian:12").findings]


def test_each_cve_that_a_span_names_is_found_else_its_own_id() -> None:
    two = span("pypi", "lib", "PYSEC-1", fixed="2", aliases=("CVE-2026-1", "CVE-2026-2", "GHSA-x"))
    none = span("pypi", "lib", "PYSEC-2", fixed="3", aliases=("GHSA-y",))
    assert found("1", two, none) == [(cve, "2026-11-20") for cve in ("CVE-2026-1", "CVE-2026-2", "PYSEC-2")]
    assert [cve for cve, _ in found("2", two, none)] == ["PYSEC-2"]


def test_a_list_of_versions_is_these_versions_and_no_others() -> None:
    listed = span("pypi", "lib", "PYSEC-3", versions=("1.0", "1.2"), state="open")
    assert {v: len(found(v, listed)) for v in ("1.0", "1.0.0", "1.1", "1.2", "1.3")} == {
        "1.0": 1, "1.0.0": 1, "1.1": 0, "1.2": 1, "1.3": 0,
    }  # fmt: skip


def test_a_withdrawn_span_accuses_nobody() -> None:
    assert found("1", span("pypi", "lib", "PYSEC-4", fixed="2", state="withdrawn")) == []


def test_a_span_of_all_versions() -> None:
    assert len(found("99", span("pypi", "lib", "MAL-1", state="open"))) == 1


def test_a_distribution_s_advisory_names_what_it_repairs_as_related_and_a_registry_s_does_not() -> None:
    alma = span("almalinux:9", "lib", "ALSA-1", fixed="2-1", related=("CVE-2026-1", "CVE-2026-2", "RHSA-1"))
    pypi = span("pypi", "lib", "PYSEC-1", fixed="2", related=("CVE-2026-1",))
    assert [row.cve for row in rows_of([alma])] == ["CVE-2026-1", "CVE-2026-2"]
    assert [row.cve for row in rows_of([pypi])] == ["PYSEC-1"]


def test_records_of_osv_s_own_making_are_the_cve_they_are_named_after() -> None:
    assert [row.cve for row in rows_of([span("debian:12", "curl", "DEBIAN-CVE-2026-1", fixed="2-1")])] == ["CVE-2026-1"]


def test_a_bug_fix_is_no_vulnerability_unless_it_names_one() -> None:
    """AlmaLinux publishes advisories of bugs beside those of security, and some of them repair a CVE."""
    bug = span("almalinux:9", "lib", "ALBA-1", fixed="2-1")
    assert list(rows_of([bug])) == []
    assert [row.cve for row in rows_of([bug._replace(related=("CVE-2026-1",))])] == ["CVE-2026-1"]


def test_an_alias_two_steps_away_is_the_same_vulnerability_told_once() -> None:
    said = (span("pypi", "lib", "PYSEC-1", fixed="2", aliases=("GHSA-a",)),
            span("pypi", "lib", "GHSA-a", fixed="2", aliases=("CVE-2026-1",)))  # fmt: skip
    assert [cve for cve, _ in found("1", *said)] == ["CVE-2026-1"]
    nameless = (said[0], said[1]._replace(aliases=("PYSEC-1",)))
    assert [cve for cve, _ in found("1", *nameless)] == ["GHSA-a"]
