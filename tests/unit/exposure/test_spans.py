"""Spans of OSV documents, judged as rows are."""

from __future__ import annotations

from typing import NamedTuple

from brakeline.exposure.match import Book, assess
from brakeline.exposure.model import Installed
from brakeline.exposure.spans import rows_of


class Said(NamedTuple):
    """A span as an importer of OSV makes it."""

    ecosystem: str
    name: str
    id: str
    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""
    versions: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    state: str = "fixed"
    published: str = "2026-11-20T10:00:00Z"
    withdrawn: str = ""
    module: str = ""
    related: tuple[str, ...] = ()
    reason: str = ""


def found(version: str, *spans: Said) -> list[tuple[str, str]]:
    item = Installed("lib", "lib", version, version, ecosystem="pypi")
    return [(f.cve, f.date) for f in assess([item], Book(rows_of(spans)), "debian:12").findings]


def test_each_cve_that_a_span_names_is_found_else_its_own_id() -> None:
    two = Said("pypi", "lib", "PYSEC-1", fixed="2", aliases=("CVE-2026-1", "CVE-2026-2", "GHSA-x"))
    none = Said("pypi", "lib", "PYSEC-2", fixed="3", aliases=("GHSA-y",))
    assert found("1", two, none) == [(cve, "2026-11-20") for cve in ("CVE-2026-1", "CVE-2026-2", "PYSEC-2")]
    assert [cve for cve, _ in found("2", two, none)] == ["PYSEC-2"]


def test_a_list_of_versions_is_these_versions_and_no_others() -> None:
    listed = Said("pypi", "lib", "PYSEC-3", versions=("1.0", "1.2"), state="open")
    assert {v: len(found(v, listed)) for v in ("1.0", "1.0.0", "1.1", "1.2", "1.3")} == {
        "1.0": 1, "1.0.0": 1, "1.1": 0, "1.2": 1, "1.3": 0,
    }  # fmt: skip


def test_a_withdrawn_span_accuses_nobody() -> None:
    assert found("1", Said("pypi", "lib", "PYSEC-4", fixed="2", state="withdrawn")) == []


def test_a_span_of_all_versions() -> None:
    assert len(found("99", Said("pypi", "lib", "MAL-1", state="open"))) == 1
