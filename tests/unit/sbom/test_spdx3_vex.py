"""VEX in SPDX 3: written and read back, SPDX's own example, what replaces what, and files that mean harm."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brakeline.sbom import reading, spdx3, spdx3_vex, texts, vex
from brakeline.sbom.model import TEXT_MAX, BadBill, Bill, Component, Mention, Status
from brakeline.sbom.spdx3_graph import CONTEXT

DATA = Path(__file__).resolve().parents[2] / "data" / "feeds"
JINJA = Component("jinja2", "3.1.2", "pypi", "pkg:pypi/jinja2@3.1.2")
NGINX = Component("nginx", "1.22.1-9", "debian:12", "pkg:deb/debian/nginx@1.22.1-9?arch=amd64&distro=debian-12")
AGAIN = Component("jinja2", "3.1.2", "pypi", "pkg:pypi/jinja2@3.1.2", where="/srv/other")
MENTIONS = (
    Mention("CVE-2024-1", JINJA.purl, Status.AFFECTED, fixed="3.1.4"),
    Mention("CVE-2024-1", NGINX.purl, Status.NOT_AFFECTED, "vulnerable_code_not_present", "not compiled in"),
    Mention("CVE-2024-2", NGINX.purl, Status.INVESTIGATED, detail="asked the vendor"),
    Mention("GHSA-xxxx", NGINX.purl, Status.FIXED),
)
BILL = Bill("web-01", "debian 12", 1_764_000_000_000, (JINJA, AGAIN, NGINX), ("/srv: not looked at",), MENTIONS)


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def said(data: bytes) -> set[tuple[str, tuple[str, ...], str, str, str]]:
    found = vex.read(data).statements
    return {(s.vulnerability, s.products, s.status.value, s.justification, s.detail) for s in found}


EXPECTED = {
    ("CVE-2024-1", (JINJA.purl,), "affected", "", "Update to 3.1.4."),
    ("CVE-2024-1", (NGINX.purl,), "not_affected", "vulnerable_code_not_present", "not compiled in"),
    ("CVE-2024-2", (NGINX.purl,), "under_investigation", "", "asked the vendor"),
    ("GHSA-XXXX", (NGINX.purl,), "fixed", "", ""),
}


def test_alone_and_beside_a_bill_it_goes_out_and_comes_in_again() -> None:
    alone = spdx3_vex.write("web-01", MENTIONS, BILL.made_ms, "0.1.0")
    beside = spdx3.write(BILL, "0.1.0")
    assert said(encoded(alone)) == said(encoded(beside)) == EXPECTED
    assert alone == spdx3_vex.write("web-01", MENTIONS, BILL.made_ms, "0.1.0")
    assert (vex.read(encoded(alone)).format, vex.read(encoded(alone)).author) == ("SPDX 3.0.1", "Brakeline")
    assert [c.name for c in reading.read(encoded(beside)).components] == ["jinja2", "nginx"]


def test_every_reference_leads_somewhere_and_both_copies_of_a_package_are_meant() -> None:
    graph = spdx3.write(BILL, "0.1.0")["@graph"]
    ids = {one["spdxId"] for one in graph if "spdxId" in one}
    for one in graph:
        for key in ("to", "element", "rootElement"):
            assert set(one.get(key, ())) <= ids
        assert one.get("from", next(iter(ids))) in ids
    affected = next(one for one in graph if "VexAffected" in one["type"])
    assert len(affected["to"]) == 2
    (document,) = (one for one in graph if one["type"] == "SpdxDocument")
    assert document["profileConformance"] == ["core", "software", "security"]
    without = spdx3.write(Bill("web-01", "", 0, (JINJA,)), "0.1.0")["@graph"]
    assert {tuple(one["profileConformance"]) for one in without if "profileConformance" in one} == {
        ("core", "software")
    }


def test_spdx_s_own_example_says_what_its_last_amendment_says() -> None:
    found = vex.read((DATA / "spdx3-vex.json").read_bytes())
    assert (found.author, found.issued, found.format) == ("Norio Kobota", "2024-05-08T00:00:00Z", "SPDX 3.0.1")
    (statement,) = found.statements
    assert (statement.vulnerability, statement.status) == ("CVE-1234-1234", Status.FIXED)
    assert statement.products == ("pkg:github/example/my-package/releases/tag/v1.0",)


def test_chainguard_s_openvex_is_found_by_the_cve_that_it_gives_as_an_alias() -> None:
    found = vex.read((DATA / "openvex-urllib3.json").read_bytes()).statements
    assert [s.vulnerability for s in found] == ["CGA-7QJW-GGH3-PP9F", "CVE-2023-45803", "GHSA-G4MX-Q9VG-27P4"]
    assert {s.products for s in found} == {
        ("pkg:pypi/urllib3@1.26.16%2Bcgr.0", "pkg:pypi/urllib3@1.26.16%2Bcgr.1"),
    }  # fmt: skip


def test_names_of_a_vulnerability_count_as_statements_and_are_bounded_before_they_fill_the_memory() -> None:
    one = {"vulnerability": {"name": "A", "aliases": [f"B-{n}" for n in range(49)]}, "status": "fixed",
           "products": [{"@id": JINJA.purl}]}  # fmt: skip
    said = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": [one] * 401}
    with pytest.raises(BadBill, match="each name of a vulnerability counted"):
        vex.read(encoded(said))
    assert len(vex.read(encoded({**said, "statements": [one] * 400})).statements) == 20_000


def graph(*more: dict[str, Any], **changed: Any) -> bytes:
    package = {"type": "software_Package", "spdxId": "urn:p", "software_packageUrl": JINJA.purl}
    flaw = {"type": "security_Vulnerability", "spdxId": "urn:v", "name": "CVE-2024-1"}
    return encoded({"@context": CONTEXT, "@graph": [package, flaw, assessed("urn:1", **changed), *more]})


def assessed(id_: str, kind: str = "NotAffected", **changed: Any) -> dict[str, Any]:
    return {"type": f"security_Vex{kind}VulnAssessmentRelationship", "spdxId": id_, "from": "urn:v", "to": ["urn:p"],
            "security_justificationType": "componentNotPresent"} | changed  # fmt: skip


def amended(by: str, *to: str) -> dict[str, Any]:
    return {
        "type": "Relationship",
        "spdxId": f"urn:{by}-{to}",
        "relationshipType": "amendedBy",
        "from": by,
        "to": [*to],
    }


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"to": []}, "names no product"), ({"to": ["urn:v"]}, "names no product"),
        ({"to": ["urn:q"]}, "names no product"),
        ({"security_assessedElement": "urn:of-another-document"}, "names no product"),  # and not the whole in its stead
        ({"from": "urn:q"}, "names no vulnerability"), ({"from": ["urn:v"]}, "names no vulnerability"),
        ({"security_justificationType": ""}, "says not_affected and not why"),
        ({"security_withdrawnTime": "2026-01-01T00:00:00Z"}, "nothing of any product"),
    ],
)  # fmt: skip
def test_what_would_hide_too_much_is_refused(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(BadBill, match=why):
        vex.read(graph(**changed))


def test_amendments_in_a_circle_refuse_the_file_and_a_long_chain_ends() -> None:
    other = assessed("urn:2", "Affected")
    with pytest.raises(BadBill, match="in a circle"):
        vex.read(graph(other, amended("urn:1", "urn:2"), amended("urn:2", "urn:1")))
    chain = [assessed(f"urn:{n}", "Affected") for n in range(2, 5_002)]
    links = [amended(f"urn:{n}", f"urn:{n + 1}") for n in range(1, 5_001)]
    (statement,) = vex.read(graph(*chain, *links)).statements
    assert statement.status is Status.AFFECTED


def test_of_several_the_newest_is_first_and_of_one_time_the_more_cautious() -> None:
    time = "2026-01-01T00:00:00Z"
    late = assessed("urn:3", "Fixed", security_publishedTime="2026-02-01T00:00:00Z")
    same = assessed("urn:2", "Affected", security_publishedTime=time)
    found = vex.read(graph(same, late, security_publishedTime=time)).statements
    assert [s.status for s in found] == [Status.FIXED, Status.AFFECTED, Status.NOT_AFFECTED]


def test_the_part_that_was_assessed_is_meant_and_not_the_whole() -> None:
    whole = {"type": "software_Package", "spdxId": "urn:w", "software_packageUrl": "pkg:oci/image"}
    (statement,) = vex.read(graph(whole, to=["urn:w"], security_assessedElement="urn:p")).statements
    assert statement.products == (JINJA.purl,)


def test_what_many_assessments_point_at_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 8 MiB can point two million times at one long text."""
    asked: list[object] = []

    def counted(value: object, most: int = TEXT_MAX) -> str:
        asked.append(value)
        return texts.text(value, most)

    monkeypatch.setattr(spdx3_vex, "text", counted)
    cves = [{"externalIdentifierType": "cve", "identifier": f"CVE-2024-{n % 9}"} for n in range(500)]
    flaw = {"type": "security_Vulnerability", "spdxId": "urn:w", "externalIdentifier": cves}
    many = [assessed(f"urn:{n}", **{"from": "urn:w"}, to=["urn:p"] * 500) for n in range(2, 52)]
    found = vex.read(graph(flaw, *many)).statements
    assert len(found) == 1 + 50 * 9
    assert len(asked) < 2_000


WORDS = st.sampled_from([
    "urn:v", "urn:p", "urn:1", "security_Vulnerability", "amendedBy", CONTEXT, "SpdxDocument", "cve", "CVE-2024-1",
    "security_VexNotAffectedVulnAssessmentRelationship", JINJA.purl,
])  # fmt: skip
KEYS = st.sampled_from([
    "type", "@type", "spdxId", "@id", "from", "to", "relationshipType", "creationInfo", "createdBy", "name",
    "externalIdentifier", "externalIdentifierType", "identifier", "software_packageUrl", "security_publishedTime",
    "security_justificationType", "security_assessedElement",
])  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=14,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(ANYTHING, max_size=4), st.dictionaries(KEYS, ANYTHING, max_size=3))
def test_whatever_stands_there_gives_statements_or_a_refusal(more: list[Any], changed: dict[str, Any]) -> None:
    with contextlib.suppress(BadBill):
        vex.read(graph(*more, assessed("urn:1") | changed))
