"""Rows of Red Hat's and SUSE's documents, judged against inventories as every other row is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support_oval import red_hat, rpm
from tests.support_vendors import vex

from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.model import Span
from brakeline.exposure.match import Book, assess, judge
from brakeline.exposure.model import Assessment, Installed
from brakeline.exposure.offers import offers
from brakeline.exposure.spans import rows_of
from brakeline.protocol.messages import PendingUpdate, UpdateState

SUSE = Path(__file__).resolve().parents[2] / "data" / "vendors" / "suse-su-2015_0011-2.cut.json"


def judged(feed: str, document: Any, system: str, item: Installed) -> Assessment:
    spans = read(feed, json.dumps(document).encode()).spans
    mine = [span for span in spans if span.ecosystem == system and span.name in (item.source, item.package)]
    return assess([item], Book(rows_of(mine)), system)


def libcurl(version: str, **more: str) -> Installed:
    return Installed("libcurl", "curl", version, version, ecosystem="rpm", **more)


def test_a_binary_of_red_hat_is_judged_by_its_source() -> None:
    old = judged("csaf-redhat", vex(), "rhel:9", libcurl("7.76.1-29.el9_4"))
    assert [(f.package, f.source, f.cve, f.fixed) for f in old.findings] == [
        ("libcurl", "curl", "CVE-2024-0001", "7.76.1-29.el9_4.1")
    ]
    assert judged("csaf-redhat", vex(), "rhel:9", libcurl("7.76.1-29.el9_4.1")).findings == ()


def test_an_extended_stream_s_older_fix_does_not_close_the_ordinary_one() -> None:
    between = judged(
        "csaf-redhat", vex(), "rhel:9", libcurl("7.76.1-26.el9_3")
    )  # above the fix of 9.2, below that of 9.4
    assert [f.cve for f in between.findings] == ["CVE-2024-0001"]


def test_what_will_not_be_fixed_stands_open_and_what_is_not_affected_is_explained() -> None:
    id_ = "red_hat_enterprise_linux_7:curl"
    wont = {"category": "no_fix_planned", "details": "Will not fix", "product_ids": [id_]}
    deferred = vex(product_status={"known_affected": [id_]}, remediations=[wont])
    assert [f.cve for f in judged("csaf-redhat", deferred, "rhel:7", libcurl("99-1")).findings] == ["CVE-2024-0001"]
    flag = {"label": "vulnerable_code_not_present", "product_ids": [id_]}
    never = judged(
        "csaf-redhat", vex(product_status={"known_not_affected": [id_]}, flags=[flag]), "rhel:7", libcurl("1-1")
    )
    assert never.findings == ()
    assert [(d.code, d.reason) for d in never.dismissed] == [("not_affected", "the vulnerable code is not in it")]


def test_a_build_of_a_module_is_judged_by_fixes_of_its_stream_alone() -> None:
    mine = vex(product_status={"fixed": ["AppStream-8.10.0.Z.MAIN:container-tools:rhel8:8100020240808093819:afee755d:"
                                         "buildah-2:1.33.8-4.module+el8.10.0.src"]})  # fmt: skip

    def open_on(version: str, module: str) -> int:
        item = Installed("buildah", "buildah", version, version, ecosystem="rpm", module=module)
        return len(judged("csaf-redhat", mine, "rhel:8", item).findings)

    assert open_on("2:1.33.7-2.module+el8.10.0", "container-tools:rhel8") == 1
    assert open_on("2:1.33.8-4.module+el8.10.0", "container-tools:rhel8") == 0
    assert open_on("2:1.24.0-1.module+el8.9.0", "container-tools:4.0") == 0


def test_packages_of_suse_by_their_own_names() -> None:
    document = json.loads(SUSE.read_text())
    item = Installed("bind-libs-32bit", "bind", "9.9.4P2-0.5.1", "9.9.4P2-0.5.1", ecosystem="rpm")
    found = judged("csaf-suse", document, "sles:11.2", item).findings
    assert [(f.package, f.cve) for f in found] == [
        ("bind-libs-32bit", "CVE-2014-0591"), ("bind-libs-32bit", "CVE-2014-8500"),
    ]  # fmt: skip


def suse(name: str, source: str, version: str) -> Installed:
    return Installed(name, source, version, version, ecosystem="rpm")


def test_an_open_flaw_that_suse_tells_of_a_source_stands_open_on_what_was_built_of_it() -> None:
    """Its fixes are of packages, its open flaws of sources."""
    row = Span("sles:15.5", "bind", "CVE-2026-1", state="open", reason="its vendor is still looking into it")
    fixed = Span("sles:15.5", "bind-utils", "SUSE-SU-2026:1", fixed="9.18-2", aliases=("CVE-2026-2",))
    book = Book((), spans=[row, fixed])
    found = assess([suse("bind-utils", "bind", "9.18-1"), suse("bind", "bind", "9.18-1")], book, "sles:15.5")
    assert [(f.package, f.source, f.cve, f.fixed) for f in found.findings] == [
        ("bind", "bind", "CVE-2026-1", ""), ("bind-utils", "bind", "CVE-2026-1", ""),
        ("bind-utils", "bind-utils", "CVE-2026-2", "9.18-2"),
    ]  # fmt: skip
    assert (found.packages, found.assessed) == (2, 2)  # each package once, under however many names
    assert not assess([suse("bind-utils", "dhcp", "9.18-2")], book, "sles:15.5").findings


def test_a_package_that_oval_of_red_hat_names_is_judged_beside_its_source_and_each_cve_told_once() -> None:
    oval = read("oval-redhat", red_hat(None, rpm("1", "libcurl", "0:7.76.1-29.el8_9"))).spans
    csaf = [Span("rhel:8", "curl", "RHSA-2024:0001", fixed="7.76.1-29.el8_9", aliases=("CVE-2024-0001",))]
    for spans in (oval, [*oval, *csaf]):
        found = assess([libcurl("7.76.1-28.el8")], Book((), spans=spans), "rhel:8")
        assert [(f.package, f.cve, f.fixed) for f in found.findings] == [
            ("libcurl", "CVE-2024-0001", "7.76.1-29.el8_9")
        ]
        assert found.packages == 1
        assert not assess([libcurl("7.76.1-29.el8_9")], Book((), spans=spans), "rhel:8").findings
    update = PendingUpdate("libcurl", "", "", "7.76.1-29.el8_9", "", True, UpdateState.AVAILABLE)
    judgement = judge([libcurl("7.76.1-28.el8")], Book((), spans=oval), "rhel:8")[0]
    assert {(source, offered.version) for (_, source, _), offered in offers(judgement, [update]).items()} == {
        ("curl", "7.76.1-29.el8_9"), ("libcurl", "7.76.1-29.el8_9")
    }  # fmt: skip
