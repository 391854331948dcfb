"""CVSS feeds: scores come from vectors, one a CVE; what is no vector refuses the file with its place."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.importers import BadFeed
from brakeline.advisories.severity import BadVector, cvss, scored

V2 = "AV:N/AC:L/Au:N/C:P/I:P/A:P"
V30 = "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"
V31 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
V40 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
LOW = "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"


def metric(vector: str, kind: str = "Primary", **more: Any) -> dict[str, Any]:
    return {"source": "nvd@nist.gov", "type": kind, "cvssData": {"vectorString": vector, "baseScore": 1.1, **more}}


def nvd(*cves: dict[str, Any], **head: Any) -> bytes:
    said = {"resultsPerPage": len(cves), "format": "NVD_CVE", "version": "2.0", "timestamp": "2026-11-20T08:00:01.123"}
    return json.dumps({**said, **head, "vulnerabilities": [{"cve": c} for c in cves]}).encode()


def lines(*rows: Any, head: Any = None) -> bytes:
    return "\n".join(map(json.dumps, [head or {"issued": "2026-11-20T00:00:00Z", "source": "us"}, *rows])).encode()


@pytest.mark.parametrize(
    ("vector", "version", "score"), [(V2, "2.0", 7.5), (V30, "3.0", 10.0), (V31, "3.1", 9.8), (V40, "4.0", 9.3)]
)
def test_each_version_of_the_standard(vector: str, version: str, score: float) -> None:
    assert scored(vector) == (version, score)


def test_nvd_s_json_gives_the_newest_version_and_what_it_claims_is_not_believed() -> None:
    found = cvss(nvd(
        {"id": "CVE-2025-1", "metrics": {"cvssMetricV31": [metric(V31)], "cvssMetricV2": [metric(V2)]}},
        {"id": "CVE-2025-2", "metrics": {"cvssMetricV40": [metric(V40)], "cvssMetricV31": [metric(V31)]}},
        {"id": "CVE-2025-3", "metrics": {}},
        {"id": "CVE-2025-4"},
    ), "n.json")  # fmt: skip
    assert found.issued == "2026-11-20T08:00:01Z"
    assert [(r.cve, r.version, r.score) for r in found.rows] == [("CVE-2025-1", "3.1", 9.8), ("CVE-2025-2", "4.0", 9.3)]
    assert found.rows[0].source == "nvd@nist.gov"


def test_the_primary_source_counts_before_a_higher_score_of_another() -> None:
    said = {"id": "CVE-2025-1", "metrics": {"cvssMetricV31": [metric(V31, "Secondary"), metric(LOW)]}}
    assert cvss(nvd(said), "n").rows[0].vector == LOW


def test_lines_of_anybody() -> None:
    found = cvss(lines({"cve": "CVE-2025-1", "vector": V31}, {"cve": "CVE-2025-2", "vector": V2}), "l.jsonl")
    assert [(r.cve, r.score, r.source) for r in found.rows] == [("CVE-2025-1", 9.8, "us"), ("CVE-2025-2", 7.5, "us")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "line 1 does not say when"),
        (b"{]", "line 1 is not one JSON object"),
        (lines({"cve": "CVE-2025-1", "vector": V31}, head={"source": "us"}), "line 1 does not say when"),
        (lines(), "expected 1 to"),
        (lines({"cve": "CVE-2025-1"}), "line 2 misses cve or vector"),
        (lines({"cve": "CVE-2025-1", "vector": 9.8}), "line 2 misses cve or vector"),
        (lines({"cve": "x", "vector": V31}), "line 2: no CVE id"),
        (lines({"cve": "CVE-2025-1", "vector": V31 + "/AV:N"}), "line 2: "),
        (lines({"cve": "CVE-2025-1", "vector": "9.8"}), "line 2: "),
        (lines({"cve": "CVE-2025-1", "vector": V31}, {"cve": "CVE-2025-1", "vector": V2}), "line 3: .*twice"),
        (nvd({"id": "CVE-2025-1", "metrics": {"cvssMetricV31": [metric("x" * 300)]}}), "entry 1: longer than"),
        (nvd({"id": "CVE-2025-1", "metrics": {"cvssMetricV31": [metric("CVSS:3.1/AV:N")]}}), "entry 1: "),
        (nvd({"id": "CVE-2025-1"}, {"id": "CVE-2025-1", "metrics": {"cvssMetricV31": [metric(V31)]}} | {"id": "y"}),
         "entry 2: no CVE id"),
        (nvd(*[{"id": "CVE-2025-1", "metrics": {"cvssMetricV31": [metric(V31)]}}] * 2), "entry 2 stands there twice"),
        (nvd({"id": "CVE-2025-1"}, timestamp="now"), "when it was issued"),
        (nvd({"id": "CVE-2025-1"}), "expected 1 to"),
        (b'{"format":"NVD_CVE","vulnerabilities":7,"timestamp":""}', "not NVD's JSON"),
        (nvd({"id": "CVE-2025-1"}).replace(b"2025", b"20\xa925"), "not NVD's JSON"),
    ],
)  # fmt: skip
def test_what_is_none_refuses_the_file_and_is_numbered(data: bytes, says: str) -> None:
    with pytest.raises(BadFeed, match=says):
        cvss(data, "c")


@given(st.text(max_size=60) | st.text("AVCPRUISMNLHX:/.1234tu", max_size=60).map(lambda t: "CVSS:3.1/" + t)
       | st.text("AVCPRUISTMNLHX:/", max_size=60).map(lambda t: "CVSS:4.0/" + t))  # fmt: skip
def test_whatever_stands_for_a_vector_is_scored_or_refused(vector: str) -> None:
    with contextlib.suppress(BadVector):
        assert 0 <= scored(vector)[1] <= 10
