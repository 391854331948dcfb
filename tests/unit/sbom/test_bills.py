"""Bills out and in: the same bytes for the same bill, read back by others and by us; hostile files are bounded."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from hypothesis import given, settings
from hypothesis import strategies as st

from brakeline.advisories.osv.model import Span
from brakeline.exposure.match import Book
from brakeline.sbom import cyclonedx, decide, reading, spdx, spdx3, systems, vex
from brakeline.sbom.model import BILL_BYTES_MAX, BadBill, Bill, Component, Mention, Status
from brakeline.sbom.spdx3_graph import CONTEXT
from brakeline.sbom.texts import text

NGINX = Component(
    "nginx", "1.22.1-9", "deb", "pkg:deb/debian/nginx@1.22.1-9?arch=amd64&distro=debian-12", "nginx", "1.22.1-9"
)
JINJA = Component("jinja2", "3.1.2", "pypi", "pkg:pypi/jinja2@3.1.2", where="/opt/app/site-packages")
BILL = Bill("web-01", "debian 12", 1_795_400_000_123, (NGINX, JINJA, JINJA), ("/srv: not looked at",), (
    Mention("CVE-2024-1", JINJA.purl, Status.AFFECTED, "", "", "3.1.3"),
    Mention("CVE-2024-2", NGINX.purl, Status.NOT_AFFECTED, "vulnerable_code_not_present", "built without it"),
))  # fmt: skip


def encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def test_cyclonedx_is_read_by_its_own_library_and_says_what_is_not_known() -> None:
    document = cyclonedx.write(BILL, "0.1.0")
    assert document == cyclonedx.write(BILL, "0.1.0")
    bom: Any = Bom.from_json(document)  # type: ignore[attr-defined]
    urls = {NGINX.purl.replace("?arch=amd64&", "?arch=amd64&"), JINJA.purl}
    assert {c.purl.to_string() for c in bom.components} == urls
    assert bom.metadata.component.name == "web-01"
    assert bom.metadata.timestamp == datetime.fromtimestamp(BILL.made_ms // 1000, UTC)
    assert {(v.id, v.analysis.state.value) for v in bom.vulnerabilities} == {
        ("CVE-2024-1", "in_triage"), ("CVE-2024-2", "not_affected")
    }  # fmt: skip
    assert document["metadata"]["properties"] == [{"name": "brakeline:not-known", "value": "/srv: not looked at"}]
    assert document["compositions"][0]["aggregate"] == "incomplete"
    assert len({c["bom-ref"] for c in document["components"]}) == 3


@pytest.mark.parametrize("write", [cyclonedx.write, spdx.write, spdx3.write])
def test_what_is_written_is_read_again(write: Any) -> None:
    found = reading.read(encoded(write(BILL, "0.1.0")))
    assert (found.subject, found.version, found.left_out) == ("web-01", "debian 12", ())
    assert {(c.name, c.version, c.ecosystem) for c in found.components} == {
        ("nginx", "1.22.1-9", "debian:12"), ("jinja2", "3.1.2", "pypi")
    }  # fmt: skip


@pytest.mark.parametrize("ms", [0, 951_782_400_000, 1_709_164_800_000, 1_795_400_000_000, 4_107_542_399_000])
def test_times_are_the_calendars(ms: int) -> None:
    assert cyclonedx.stamp(ms) == datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_what_cannot_be_assessed_is_kept_and_told() -> None:
    said = {"bomFormat": "CycloneDX", "specVersion": "1.4", "components": [
        {"name": "firmware", "version": "1", "components": [{"name": "deep", "purl": "pkg:pypi/deep@2"}]},
        {"name": "x", "purl": "pkg:deb/debian/x@1"}, {"name": "y", "purl": "pkg:swid/y@1"}, {"purl": "pkg:pypi/a@1"},
        {"name": "libssl3", "purl": "pkg:deb/debian/libssl3@3?distro=bookworm&upstream=openssl%403.0"},
    ]}  # fmt: skip
    found = reading.read(encoded(said))
    assert [(c.name, c.ecosystem, c.source, c.source_version) for c in found.components] == [
        ("firmware", "", "", ""), ("deep", "pypi", "", ""), ("x", "", "", ""), ("y", "", "", ""),
        ("libssl3", "debian:12", "openssl", "3.0"),
    ]  # fmt: skip
    assert len(found.left_out) == 4
    assert found.left_out[0] == "firmware 1: no package URL says which ecosystem it is of"


DEEP: dict[str, Any] = {"name": "a"}
for _ in range(40):
    DEEP = {"name": "a", "components": [DEEP]}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no JSON"), (b'{"a":"\xff"}', "no UTF-8"), (b"[" * 200_000, "nested deeper"), (b"[]", "no object"),
        (b"{}", "neither"), (b'{"bomFormat":"CycloneDX","components":[]}', "names no component"),
        (b'{"bomFormat":"CycloneDX","components":{"a":1}}', "names no component"),
        (encoded({"bomFormat": "CycloneDX", "components": [DEEP]}), "nested deeper than 20"),
        (b'{"spdxVersion":"SPDX-3.0"}', "neither"),
        (b'{"@context":["https://spdx.org/rdf/3.0.1/x"]}', "not SPDX's own"),
        (encoded({"@context": [CONTEXT, {"name": "https://evil.example/"}]}), "not SPDX's own"),
        (encoded({"@context": CONTEXT, "@graph": 1}), "@graph is a list"),
        (encoded({"@context": CONTEXT, "@graph": [1, {"type": "Tool"}]}), "names no component"),
        (b" " * (BILL_BYTES_MAX + 1), "48 MiB"),
    ],
    ids=range(14),
)  # fmt: skip
def test_a_file_that_is_no_bill_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(BadBill, match=why):
        reading.read(data)


def test_spdx_3_says_what_is_not_known_and_who_made_it() -> None:
    document = spdx3.write(BILL, "0.1.0")
    assert document == spdx3.write(BILL, "0.1.0")
    of = {
        kind: [e for e in document["@graph"] if e["type"] == kind] for kind in {e["type"] for e in document["@graph"]}
    }
    (whole,), (relation,), (creation,) = of["software_Sbom"], of["Relationship"], of["CreationInfo"]
    ids = [e["spdxId"] for e in document["@graph"] if e is not creation]
    assert len(set(ids)) == len(ids)
    for one in document["@graph"]:  # every reference leads somewhere
        for key in ("createdBy", "createdUsing", "rootElement", "element", "to"):
            assert set(one.get(key, ())) <= set(ids)
        assert one is creation or one["creationInfo"] == creation["@id"]
    assert of["SpdxDocument"][0]["comment"] == "Not known: /srv: not looked at"
    assert (relation["completeness"], relation["relationshipType"]) == ("incomplete", "contains")
    assert relation["from"] == whole["rootElement"][0]
    nginx = next(e for e in of["software_Package"] if e["name"] == "nginx")
    assert (nginx["software_packageUrl"], nginx["software_packageVersion"]) == (NGINX.purl, NGINX.version)
    assert creation["created"] == cyclonedx.stamp(BILL.made_ms)


def test_spdx_3_of_others_with_identifiers_beside_and_a_circle_of_roots() -> None:
    said = {"@context": CONTEXT, "@graph": [
        {"type": "SpdxDocument", "spdxId": "urn:d", "name": "image", "rootElement": ["urn:b"],
         "creationInfo": {"type": "CreationInfo", "created": "2026-01-01T00:00:00Z"}},
        {"type": "software_Sbom", "spdxId": "urn:b", "rootElement": ["urn:d"]},
        {"type": "software_Package", "spdxId": "urn:p", "name": "jinja2", "software_packageVersion": "3.1.2",
         "externalIdentifier": [{"externalIdentifierType": "cpe23", "identifier": "cpe:2.3:a"},
                                {"externalIdentifierType": "packageUrl", "identifier": "pkg:pypi/jinja2@3.1.2"}]},
        {"type": "software_Package", "spdxId": "urn:q", "name": "firmware"}, {"type": "software_File", "name": "x"},
    ]}  # fmt: skip
    found = reading.read(encoded(said))
    assert (found.format, found.subject, found.serial, found.made) == (
        "SPDX 3.0.1", "image", "urn:d", "2026-01-01T00:00:00Z"
    )  # fmt: skip
    assert [(c.name, c.ecosystem) for c in found.components] == [("jinja2", "pypi"), ("firmware", "")]
    assert found.left_out == ("firmware: no package URL says which ecosystem it is of",)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["urn:p", "software_Package"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "spdxId", "name", "rootElement", "creationInfo", "software_packageUrl",
                         "externalIdentifier", "externalIdentifierType", "components", "purl", "packages", "Programs"]),
        inner, max_size=4,
    ),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(ANYTHING)
def test_whatever_stands_in_a_bill_gives_components_or_a_bad_bill(what: Any) -> None:
    parts = what if isinstance(what, list) else [what]
    for said in ({"@context": CONTEXT, "@graph": parts}, {"@context": what, "@graph": parts},
                 {"bomFormat": "CycloneDX", "components": what}, {"spdxVersion": "SPDX-2.3", "packages": what},
                 {"Programs": parts}, {"SPApplicationsDataType": parts, "SPSoftwareDataType": parts}):  # fmt: skip
        with contextlib.suppress(BadBill):
            reading.read(encoded(said))


@pytest.mark.parametrize(
    "changed", [{"documentDescribes": 7}, {"packages": [{"name": "a", "SPDXID": {}}, {"name": "b", "SPDXID": []}]}]
)
def test_a_bill_whose_ids_are_no_ids_is_read_all_the_same(changed: dict[str, Any]) -> None:
    said = {"spdxVersion": "SPDX-2.3", "name": "x", "packages": [{"name": "a", "SPDXID": "p"}, {"name": "b"}]}
    assert [c.name for c in reading.read(encoded(said | changed)).components] == ["a", "b"]


@pytest.mark.parametrize("url", ["pkg:pypi/a%00b@1", "pkg:pypi/a@1%00", "pkg:deb/debian/a@1?distro=debian-12%0a"])
def test_a_package_url_that_hides_signs_which_no_store_can_keep_is_left_out_with_the_reason(url: str) -> None:
    found = reading.read(encoded({"bomFormat": "CycloneDX", "components": [{"name": "a", "purl": url}]}))
    assert found.left_out == ("a: a package URL has signs that are no text",)
    assert (found.components[0].name, found.components[0].ecosystem) == ("a", "")


def test_texts_of_others_are_cut_and_cleaned() -> None:
    cleaned = text("a\x00b\n\x1b[31m" + "x" * 9_999)
    assert cleaned.startswith("a b  [31mx")
    assert len(cleaned) == 500
    assert text("\ud800") == "?" or text("\ud800") == ""
    assert text(7) == ""


OPENVEX = {
    "@context": "https://openvex.dev/ns/v0.2.0", "author": "Example GmbH", "timestamp": "2026-01-01T00:00:00Z",
    "statements": [
        {"vulnerability": {"name": "cve-2024-1"}, "status": "not_affected", "justification": "component_not_present",
         "products": [{"@id": "pkg:oci/image", "subcomponents": [{"@id": "pkg:pypi/jinja2@3.1.2"}]}]},
        {"vulnerability": "CVE-2024-2", "status": "fixed", "products": [{"identifiers": {"purl": "pkg:npm/a"}}]},
    ],
}  # fmt: skip


def test_openvex_is_read_with_its_author() -> None:
    found = vex.read(encoded(OPENVEX))
    assert (found.author, [s.vulnerability for s in found.statements]) == ("Example GmbH", ["CVE-2024-1", "CVE-2024-2"])
    assert found.statements[0].products == ("pkg:pypi/jinja2@3.1.2",)
    assert found.statements[0].justification == "component_not_present"


def test_vex_goes_out_and_in_again() -> None:
    written = vex.write("web-01", BILL.mentions, BILL.made_ms, "0.1.0")
    found = vex.read(encoded(written))
    assert [(s.vulnerability, s.status, s.products) for s in found.statements] == [
        ("CVE-2024-1", Status.AFFECTED, (JINJA.purl,)), ("CVE-2024-2", Status.NOT_AFFECTED, (NGINX.purl,)),
    ]  # fmt: skip
    of_bill = vex.read(encoded(cyclonedx.write(BILL, "0.1.0")))
    assert {(s.vulnerability, s.status) for s in of_bill.statements} == {
        ("CVE-2024-1", Status.INVESTIGATED), ("CVE-2024-2", Status.NOT_AFFECTED)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"products": []}, "names no product"), ({"status": "fine"}, "known: not_affected"),
        ({"justification": ""}, "says not_affected and not why"), ({"vulnerability": {}}, "names no vulnerability"),
        ({"products": [{"@id": "everything"}]}, "names no product"),
    ],
)  # fmt: skip
def test_a_statement_that_would_hide_too_much_is_refused(change: dict[str, Any], why: str) -> None:
    said = json.loads(json.dumps(OPENVEX))
    said["statements"][0] |= change
    with pytest.raises(BadBill, match=why):
        vex.read(encoded(said))


MAC = {  # in the documented form; not recorded on a real Mac
    "SPApplicationsDataType": [
        {"_name": "Firefox", "version": "133.0", "path": "/Applications/Firefox.app"},
        {"_name": "No Version", "path": "/Applications/No Version.app"},
    ],
    "SPInstallHistoryDataType": [
        {"_name": "Firefox", "install_version": "133.0", "package_source": "package_source_other"},
        {"_name": "XProtectPlistConfigData", "install_version": "5281", "package_source": "package_source_apple"},
    ],
    "SPSoftwareDataType": [{"os_version": "macOS 14.5 (23F79)"}],
}
WINDOWS = {  # in the documented form; not recorded on a real Windows
    "System": "Windows Server 2022 21H2 20348.2700",
    "Programs": [
        {"DisplayName": "7-Zip 24.08 (x64)", "DisplayVersion": "24.08", "InstallLocation": "C:\\7-Zip\\"},
        {"DisplayName": "7-Zip 24.08 (x64)", "DisplayVersion": "24.08"},
        {"DisplayName": "A part of the system", "DisplayVersion": "1", "SystemComponent": 1},
        {"DisplayName": "Update for 7-Zip", "ParentKeyName": "7-Zip"}, {"DisplayVersion": "1"},
    ],
    "HotFixes": [{"HotFixID": "KB5044281", "Description": "Security Update"}, {"HotFixID": "File 1"}],
}  # fmt: skip


def test_what_a_mac_and_a_windows_say_of_themselves_is_a_bill_of_a_system_and_its_programs() -> None:
    mac, windows = reading.read(encoded(MAC)), reading.read(encoded(WINDOWS))
    assert [(c.name, c.version, c.where) for c in mac.components] == [
        ("macos", "14.5", ""),
        ("Firefox", "133.0", "/Applications/Firefox.app"), ("No Version", "", "/Applications/No Version.app"),
        ("XProtectPlistConfigData", "5281", "receipt of package_source_apple"),
    ]  # fmt: skip
    assert [(c.name, c.version) for c in windows.components] == [
        ("7-Zip 24.08 (x64)", "24.08"), ("KB5044281", "installed")
    ]  # fmt: skip
    assert (mac.format, mac.version, windows.version) == (
        "macOS, recorded", "macOS 14.5 (23F79)", "Windows Server 2022 21H2 20348.2700"
    )  # fmt: skip
    assert "not assessed" in mac.left_out[0]
    assert "neither the system" in windows.left_out[0]  # it says no build
    found, missing = decide.assessed(mac.components + windows.components, Book(()))
    assert (found, len(missing)) == ([], 5)  # an update is none of them: it closes what its Windows has open
    assert decide.windows_of(windows.components) is None


def test_a_mac_is_judged_by_its_version() -> None:
    rows = [Span("macos:14", "macos", "CVE-2026-1", fixed="14.6"),
            Span("macos:14", "macos", "CVE-2026-2", fixed="14.5"),
            Span("macos:15", "macos", "CVE-2026-3", fixed="15.6")]  # fmt: skip
    components = reading.read(encoded(MAC)).components
    found, missing = decide.assessed(components, Book((), spans=rows))
    assert [(f.package, f.installed, f.cve, f.fixed) for f, _ in found] == [("macos", "14.5", "CVE-2026-1", "14.6")]
    assert [m.package for m in missing] == ["Firefox", "No Version", "XProtectPlistConfigData"]
    none = decide.assessed(components, Book((), spans=rows[2:]))[1]
    assert none[0] == ("macos", "14.5", "no_data", "no advisory data for macos:14 is loaded", 1)


RECORDED = {
    "System": "Microsoft Windows 11 Pro",
    "Version": "23H2",
    "Build": "10.0.22631.3296",
    "Architecture": "AMD64",
}


@pytest.mark.parametrize(
    ("changed", "product"),
    [
        ({}, "Windows 11 Version 23H2 for x64-based Systems"),
        ({"Architecture": "ARM64"}, "Windows 11 Version 23H2 for ARM64-based Systems"),
        ({"System": "Microsoft Windows 10 Enterprise LTSC", "Version": "1809", "Architecture": "x86"},
         "Windows 10 Version 1809 for 32-bit Systems"),
        ({"System": "Microsoft Windows Server 2022 Standard", "Version": "21H2"}, "Windows Server 2022"),
        ({"System": "Microsoft Windows Server 2012 R2 Datacenter", "Version": ""}, "Windows Server 2012 R2"),
        ({"System": "Microsoft Windows Server 2019 Standard", "Installation": "Server Core"},
         "Windows Server 2019 (Server Core installation)"),
        ({"System": "Microsoft Windows 7 Professional"}, None), ({"Version": ""}, None), ({"Build": "22631"}, None),
        ({"Architecture": "MIPS"}, None), ({"System": ["x"]}, None), ({"Build": "10.0.22631." + "9" * 300}, None),
    ],
)  # fmt: skip
def test_a_windows_is_named_as_microsoft_names_it_or_not_judged(changed: dict[str, Any], product: str | None) -> None:
    found = reading.read(encoded(WINDOWS | RECORDED | changed))
    system = decide.windows_of(found.components)
    assert (system[0].name if system else None) == product
    assert system is None or (system[0].version, system[1]) == ("10.0.22631.3296", ("KB5044281",))
    assert ("judged" in found.left_out[0]) is (product is not None)


@pytest.mark.parametrize(
    ("said", "is_"),
    [("macOS 14.5 (23F79)", ("14.5", "macos:14")), ("15.1.1", ("15.1.1", "macos:15")), ("macOS 26", ("26", "macos:26")),
     ("iOS 18", None), ("macOS " + "1" * 300, None), ("", None)],
)  # fmt: skip
def test_a_version_of_macos(said: str, is_: tuple[str, str] | None) -> None:
    found = systems.mac(said)
    assert (found[1:] if found else None) == is_
