"""What four public databases say, whole: counts taken from the files by other means, and answers told by hand."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from brakeline.advisories.importers import unpacked
from brakeline.advisories.osv.archive import documents
from brakeline.advisories.osv.documents import spans
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.model import Said, Span
from brakeline.advisories.osv.questions import Question, holds, page, question
from brakeline.advisories.versions.pep440 import pep440_key
from brakeline.core.debversion import BadVersion

DATA = Path(__file__).resolve().parents[2] / "data" / "osv"


@cache
def said(feed: str) -> Said:
    return read(feed, (DATA / f"{feed}.jsonl.zst").read_bytes())


def published(feed: str) -> int:
    """Rows of every document as it stands there, also of one that stands there twice."""
    data = unpacked((DATA / f"{feed}.jsonl.zst").read_bytes(), feed)
    return sum(len(spans(document, feed.removeprefix("osv-"))[0]) for _, document in documents(data, feed))


def answered(feed: str, ecosystem: str, name: str, version: str) -> set[str]:
    asked = question({"package": {"ecosystem": ecosystem, "name": name}, "version": version})
    rows = sorted(r for r in said(feed).spans if r.name == asked.name and r.ecosystem.startswith(asked.ecosystem))
    return {rows[0].id for rows in page(asked, sorted(rows, key=lambda r: (r.id, r.ecosystem))).found}


@pytest.mark.long
def test_almalinux_every_fix_by_major_release_with_its_module_stream() -> None:
    found = said("osv-almalinux")
    assert (found.documents, published("osv-almalinux")) == (5_680, 71_329)
    assert (len({r.id for r in found.spans}), len(found.spans)) == (5_637, 69_160)  # 37 stand there more than once
    assert Counter(r.ecosystem for r in found.spans) == {
        "almalinux:8": 39_984, "almalinux:9": 23_051, "almalinux:10": 6_125,
    }  # fmt: skip
    assert all(not r.introduced and r.fixed and r.state == "fixed" for r in found.spans)
    modular = [r for r in found.spans if r.module]
    assert (len(modular), len([r for r in modular if r.module != "?"]) > 19_367) == (20_750, True)
    assert {r.module for r in modular if r.name == "nodejs"} == {f"nodejs:{n}" for n in range(10, 25, 2)}


def test_go_with_its_withdrawn_ones_and_several_ranges() -> None:
    found = said("osv-go")
    assert (found.documents, len({r.id for r in found.spans})) == (4_291, 4_291)
    assert len({r.id for r in found.spans if r.state == "withdrawn"}) == 17
    assert len([r for r in found.spans if r.fixed]) == 5_309
    assert len(found.spans) == 7_579


def test_pypi_ranges_decide_and_lists_stay_where_there_is_nothing_else() -> None:
    found = said("osv-pypi")
    assert (found.documents, len({r.id for r in found.spans})) == (2_661, 2_661)
    assert len({r.id for r in found.spans if r.state == "withdrawn"}) == 10
    assert len({r.id for r in found.spans if r.severity}) == 202
    assert len([r for r in found.spans if r.last_affected]) == 1
    assert all(r.name == r.name.lower() and "_" not in r.name for r in found.spans)


def test_rustsec_in_the_complement_of_what_is_patched() -> None:
    found = said("rustsec")
    assert (found.documents, len({r.id for r in found.spans})) == (1_205, 1_205)
    assert len({r.id for r in found.spans if r.state == "withdrawn"}) == 13
    rows = [(r.introduced, r.fixed) for r in found.spans if r.id == "RUSTSEC-2018-0003"]
    assert rows == [("0.3.2", "0.3.4"), ("0.4.0-0", "0.4.5"), ("0.5.0-0", "0.5.1"), ("0.6.0-0", "0.6.3")]


@pytest.mark.parametrize(
    ("feed", "ecosystem", "name", "version", "yes", "no"),
    [
        ("osv-pypi", "PyPI", "Jinja2", "2.10", "PYSEC-2019-217", "PYSEC-2014-8"),
        ("osv-go", "Go", "github.com/gin-gonic/gin", "v1.5.0", "GO-2020-0001", "GO-0"),
        ("rustsec", "crates.io", "prost", "0.6.0", "RUSTSEC-2020-0002", "RUSTSEC-0"),
    ],
)
def test_answers_told_by_hand(feed: str, ecosystem: str, name: str, version: str, yes: str, no: str) -> None:
    found = answered(feed, ecosystem, name, version)
    assert yes in found
    assert no not in found


def test_every_row_answers_for_its_first_and_not_for_its_fixed_version() -> None:
    """Over all simple rows of PyPI: the fix closes the row, and what it was introduced in is open."""
    counted = 0
    for row in said("osv-pypi").spans:
        if row.introduced and row.fixed and not row.versions:
            assert _alone(row, row.introduced)
            assert not _alone(row, row.fixed)
            counted += 1
    assert counted > 1_000


def test_lists_and_ranges_of_pypi_agree_but_for_what_contradicts_itself() -> None:
    """Its makers list the versions that their ranges come to, worked out by them: a second answer to each question."""
    agreed, differ, no_version = 0, set(), 0
    for _, document in documents(unpacked((DATA / "osv-pypi.jsonl.zst").read_bytes(), "pypi"), "pypi"):
        for affected in document.get("affected", []):
            if not affected.get("versions") or {r["type"] for r in affected.get("ranges", [])} <= {"GIT"}:
                continue
            found, _ = spans({**document, "affected": [affected]}, "pypi")
            for version in affected["versions"]:
                if not is_version(version):
                    no_version += 1
                elif any(holds(row, version) for row in found):
                    agreed += 1
                else:
                    differ.add((document["id"], version))
    assert (agreed, no_version) == (140_729, 108)
    assert differ == {
        ("PYSEC-2021-114", "2.11.6"), ("PYSEC-2023-177", "23.9.0"), ("PYSEC-2023-177", "23.9.0.post1"),  # and fixed in
        *(("PYSEC-2023-61", f"{line}{stage}1") for line in ("3.2", "4.2") for stage in ("a", "b", "rc")),  # from 3.2 on
    }  # fmt: skip


def is_version(version: str) -> bool:
    try:
        return bool(pep440_key(version))
    except BadVersion:
        return False


def _alone(row: Span, version: str) -> bool:
    return bool(page(Question(row.ecosystem, row.name, version), [row._replace(state="open")]).found)
