"""CSAF and VEX of Red Hat and SUSE: a real document of SUSE, cut, and samples built in the published shape."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_vendors import EUS, MAIN, vex

from brakeline.advisories.importers import BadFeed
from brakeline.advisories.osv.archive import documents
from brakeline.advisories.osv.feeds import dayless, limits_of, read, wanted_of
from brakeline.advisories.osv.model import Span
from brakeline.advisories.osv.questions import page, question
from brakeline.advisories.vendors import releases

RED_HAT = Path(__file__).resolve().parents[3] / "data" / "vendors" / "redhat-cve-2023-6238.cut.json"
REAL = Path(__file__).resolve().parents[3] / "data" / "vendors" / "suse-su-2015_0011-2.cut.json"


def rows(*documents: Any, feed: str = "csaf-redhat") -> list[Span]:
    return read(feed, json.dumps(list(documents)).encode()).spans


def short(found: list[Span]) -> list[tuple[str, str, str, str, str]]:
    return [(r.ecosystem, r.name, r.state, r.fixed, r.module) for r in found]


def test_sources_of_the_ordinary_streams_with_their_modules_and_epochs() -> None:
    found = rows(vex())
    assert short(found) == [
        ("rhel:7", "curl", "open", "", ""),
        ("rhel:8", "buildah", "fixed", "2:1.33.8-4.module+el8.10.0", "container-tools:rhel8"),
        ("rhel:9", "curl", "fixed", "7.76.1-29.el9_4.1", ""),
    ]
    curl = found[2]
    assert (curl.id, curl.aliases) == ("RHSA-2024:0001", ("CVE-2024-0001",))
    assert (curl.published, curl.modified) == ("2024-03-05T00:00:00Z", "2024-08-13T15:14:45Z")
    assert curl.severity.startswith("CVSS:3.1/")
    assert (found[0].id, found[0].aliases) == ("CVE-2024-0001", ())


def test_what_is_of_no_release_here_is_counted_and_closes_nothing() -> None:
    assert read("csaf-redhat", json.dumps(vex()).encode()).elsewhere == 2  # the extended stream, the container
    only = vex(product_status={"fixed": [f"{EUS}:curl-0:7.76.1-23.el9_2.6.src"]})
    with pytest.raises(BadFeed, match="nothing of a release") as e:
        rows(only)
    assert e.value.context["elsewhere"] == 1


def test_why_something_is_not_affected_will_not_be_fixed_or_is_looked_into() -> None:
    id_ = "red_hat_enterprise_linux_7:curl"

    def one(group: str, **more: Any) -> tuple[str, str]:
        (row,) = rows(vex(product_status={group: [id_]}, **more))
        return row.state, row.reason

    flag = {"label": "vulnerable_code_not_present", "product_ids": [id_]}
    impact = {"category": "impact", "details": "Built without it", "product_ids": [id_]}
    assert one("known_not_affected", flags=[flag]) == ("not_affected", "the vulnerable code is not in it")
    assert one("known_not_affected", flags=[], threats=[impact]) == ("not_affected", "Built without it")
    assert one("known_not_affected") == ("not_affected", "")
    assert one("under_investigation") == ("open", "its vendor is still looking into it")

    def without(category: str, details: str) -> dict[str, Any]:
        return {"remediations": [{"category": category, "details": details, "product_ids": [id_]}]}

    assert one("known_affected", **without("no_fix_planned", "Will not fix")) == ("deferred", "Will not fix")
    assert one("known_affected", **without("none_available", "Fix deferred")) == ("deferred", "Fix deferred")
    assert one("known_affected", **without("none_available", "Affected")) == ("open", "")


def test_of_several_things_said_of_one_package_the_fix_goes_first() -> None:
    src, libs = f"{MAIN}:curl-0:7.76.1-29.el9_4.1.src", "red_hat_enterprise_linux_7:curl"
    both = vex(product_status={"known_not_affected": [src, libs], "fixed": [src], "known_affected": [libs]})
    assert [(r.ecosystem, r.state) for r in rows(both)] == [("rhel:7", "open"), ("rhel:9", "fixed")]


def test_a_fix_that_two_documents_name_is_one_row_with_both_cves() -> None:
    other = vex(cve="CVE-2024-0002")
    other["document"]["tracking"]["id"] = "CVE-2024-0002"
    found = [r for r in rows(vex(), other) if r.ecosystem == "rhel:9"]
    assert [(r.id, r.aliases) for r in found] == [("RHSA-2024:0001", ("CVE-2024-0001", "CVE-2024-0002"))]


def test_a_document_that_stands_there_twice_must_say_the_same() -> None:
    assert rows(vex(), vex()) == rows(vex())
    with pytest.raises(BadFeed, match="document 2: CVE-2024-0001 stands there twice"):
        rows(vex(), vex(product_status={"known_affected": ["red_hat_enterprise_linux_7:curl"]}))


def test_a_real_advisory_of_suse_by_service_pack() -> None:
    found = rows(json.loads(REAL.read_text()), feed="csaf-suse")
    assert short(found) == [
        ("sles:11.2", "bind", "fixed", "9.9.4P2-0.6.1", ""),
        ("sles:11.2", "bind-devel", "fixed", "9.9.6P1-0.5.5", ""),
        ("sles:11.2", "bind-libs-32bit", "fixed", "9.9.4P2-0.6.1", ""),
    ]
    assert {(r.id, r.aliases) for r in found} == {("SUSE-SU-2015:0011-2", ("CVE-2014-0591", "CVE-2014-8500"))}
    asked = question({"package": {"ecosystem": "SLES:11.2", "name": "bind"}, "version": "9.9.4P2-0.6.0"})
    mine = [r for r in found if (r.ecosystem, r.name) == (asked.ecosystem, asked.name)]
    assert [f[0].id for f in page(asked, mine).found] == ["SUSE-SU-2015:0011-2"]
    assert not page(asked._replace(version="9.9.4P2-0.6.1"), mine).found


def test_a_real_vex_of_red_hat_says_why_nothing_is_affected() -> None:
    found = rows(json.loads(RED_HAT.read_text()))
    assert [(r.ecosystem, r.name) for r in found] == [
        ("rhel:6", "kernel"), ("rhel:7", "kernel"), ("rhel:7", "kernel-rt"), ("rhel:8", "kernel"),
        ("rhel:8", "kernel-rt"), ("rhel:9", "kernel"), ("rhel:9", "kernel-rt"),
    ]  # fmt: skip
    assert {(r.id, r.state, r.reason) for r in found} == {
        ("CVE-2023-6238", "not_affected", "the vulnerable code is not in it")
    }


@pytest.mark.parametrize(
    ("cpe", "release"),
    [
        ("cpe:/o:suse:sle-module-basesystem:15:sp5", "sles:15.5"), ("cpe:/o:suse:sles:12:sp5", "sles:12.5"),
        ("cpe:/o:suse:sles-ltss:15", "sles:15"), ("cpe:/o:opensuse:leap:15.6", "opensuse-leap:15.6"),
        ("cpe:/o:opensuse:tumbleweed", "opensuse-tumbleweed"), ("cpe:/o:suse:sle-micro:5.5", None),
        ("cpe:/o:suse:sles_teradata:12:sp3", None), ("cpe:/o:suse:sle-module-live-patching:15:sp5", None),
        ("cpe:/o:suse:caasp:4.0", None), ("", None),
    ],
)  # fmt: skip
def test_releases_of_suse(cpe: str, release: str | None) -> None:
    assert (releases.suse(cpe) or releases.opensuse(cpe)) == release


def changed(*where: str, to: Any) -> dict[str, Any]:
    said: Any = vex()
    inner = said
    for key in where[:-1]:
        inner = inner[int(key) if key.isdigit() else key]
    inner[where[-1]] = to
    return said  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (changed("document", "publisher", to={"namespace": "https://evil.example"}), "not of Red Hat"),
        (changed("document", "csaf_version", to="1.2"), "no security advisory"),
        (changed("document", "category", to={}), "no security advisory"),  # found by fuzzing, as the two below
        (changed("document", "csaf_version", to=["2.0"]), "no security advisory"),
        (changed("document", "tracking", to={"status": {}}), "only what is final"),
        (changed("document", "tracking", to={"status": "draft"}), "only what is final"),
        (changed("vulnerabilities", "0", "cve", to="CVE-1"), "no CVE"),
        (changed("vulnerabilities", "0", "product_status", to={"fine": []}), "no status of a product"),
        (changed("vulnerabilities", "0", "product_status", to={"fixed": ["nobody"]}), "the tree has not"),
        (changed("vulnerabilities", "0", "product_status", to={"fixed": ["red_hat_enterprise_linux_7:curl"]}),
         "no version says since when"),
        (changed("product_tree", to=[]), "product_tree is an object"),
        ({"document": []}, "document is an object"), ([1], "is an object"), ("x", "is an object"),
    ],
)  # fmt: skip
def test_what_cannot_be_believed_refuses_the_file_with_its_place(document: Any, says: str) -> None:
    with pytest.raises(BadFeed, match="document 1: ") as e:
        rows(document)
    assert says in str(e.value)


def with_version(version: str) -> dict[str, Any]:
    text = json.dumps(vex()).replace("@7.76.1-29.el9_4.1?arch=src", f"@{version}?arch=src")
    return json.loads(text)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "version", ["1." + "9" * 280 + "-1", "9" * 400, "1%20 2-3", "", "1-1\u00e9", "99999999999:1-1"]
)
def test_versions_that_are_none_refuse_the_file(version: str) -> None:
    with pytest.raises(BadFeed, match="document 1: "):
        rows(with_version(version))


@pytest.mark.parametrize("times", [1, 2])
def test_an_archive_of_tar_with_one_too_large_or_twice(times: int) -> None:
    tape = io.BytesIO()
    data = json.dumps(vex()).encode()
    with tarfile.open(fileobj=tape, mode="w") as archive:
        for _ in range(times):
            entry = tarfile.TarInfo("a.json")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    with pytest.raises(BadFeed, match="twice" if times == 2 else "more than"):
        list(documents(tape.getvalue(), "x", document_max=len(data) - (times == 1)))


def test_circles_and_towers_are_bounded() -> None:
    circle = vex()
    circle["product_tree"]["relationships"] = [
        {"full_product_name": {"product_id": a}, "product_reference": "curl", "relates_to_product_reference": b}
        for a, b in (("red_hat_enterprise_linux_7:curl", "b"), ("b", "red_hat_enterprise_linux_7:curl"))
    ]
    circle["vulnerabilities"][0]["product_status"] = {"fixed": ["b"]}
    with pytest.raises(BadFeed, match="a circle"):
        rows(circle)
    tower: dict[str, Any] = {}
    for _ in range(60):
        tower = {"branches": [tower]}
    with pytest.raises(BadFeed, match="nested more than 20 deep"):
        rows(changed("product_tree", "branches", to=[tower]))


def test_archives_of_documents_and_names_of_feeds() -> None:
    data = json.dumps(vex()).encode()
    packed, tape = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("2024/cve-2024-0001.json", data)
        archive.writestr("index.txt", "cve-2024-0001.json")
    with tarfile.open(fileobj=tape, mode="w") as archive_:
        entry = tarfile.TarInfo("2024/cve-2024-0001.json")
        entry.size = len(data)
        archive_.addfile(entry, io.BytesIO(data))
    for file in (packed, tape):
        assert read("csaf-redhat-2024", file.getvalue()).spans == rows(vex())
    with pytest.raises(BadFeed, match="damaged"):
        read("csaf-redhat", tape.getvalue()[:700])
    assert (wanted_of("csaf-suse"), dayless("csaf-suse")) == ("suse", False)
    assert "extended ones" in limits_of("csaf-redhat-2024", "2024-08-13")


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(
    ["fixed", "known_affected", "cpe:/o:redhat:enterprise_linux:9", "pkg:rpm/redhat/x@1-1", "2024-01-01T00:00:00Z"]
)  # fmt: skip
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["product", "product_id", "branches", "cve", "product_status", "fixed", "flags"]), inner, max_size=3
))  # fmt: skip
PLACES = [
    ("document",), ("document", "tracking"), ("document", "publisher"), ("product_tree",),
    ("product_tree", "branches"), ("product_tree", "relationships"), ("vulnerabilities",), ("vulnerabilities", "0"),
    ("vulnerabilities", "0", "product_status"), ("vulnerabilities", "0", "remediations"),
    ("vulnerabilities", "0", "scores"), ("vulnerabilities", "0", "flags"), ("vulnerabilities", "0", "threats"),
]  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(PLACES), ANYTHING)
def test_whatever_stands_anywhere_gives_rows_or_a_bad_feed(where: tuple[str, ...], what: Any) -> None:
    document: Any = vex()
    inner = document
    for key in where[:-1]:
        inner = inner[int(key) if key.isdigit() else key]
    inner[int(where[-1]) if where[-1].isdigit() else where[-1]] = what
    with contextlib.suppress(BadFeed):
        rows(document)
