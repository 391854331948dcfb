"""Apple's releases of macOS, on samples in the shape of the SOFA feed."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brakeline.advisories.importers import BadFeed
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.questions import page, question


def line(name: str, *releases: tuple[str, str, dict[str, bool]], **more: Any) -> dict[str, Any]:
    return {"OSVersion": name, "Latest": {}, "SecurityReleases": [
        {"UpdateName": f"macOS {version}", "ProductVersion": version, "ReleaseDate": f"{day}T00:00:00Z",
         "CVEs": cves, "ActivelyExploitedCVEs": [c for c, yes in cves.items() if yes], **more}
        for version, day, cves in releases
    ]}  # fmt: skip


def file(*lines: Any) -> bytes:
    return json.dumps({"UpdateHash": "x", "OSVersions": list(lines), "Models": {}}).encode()


SONOMA = line("Sonoma 14", ("14.10", "2024-09-16", {"CVE-2024-2": False}), ("14.5", "2024-05-13", {"CVE-2024-1": True}),
              ("14.6", "2024-07-29", {"CVE-2024-1": True, "CVE-2024-2": False}))  # fmt: skip
SEQUOIA = line("Sequoia 15", ("15.0", "2024-09-16", {"CVE-2024-2": False}))


def test_a_cve_is_fixed_from_the_lowest_version_of_its_line() -> None:
    found = read("apple-macos", file(SONOMA, SEQUOIA))
    assert [(r.ecosystem, r.name, r.id, r.fixed) for r in found.spans] == [
        ("macos:14", "macos", "CVE-2024-1", "14.5"), ("macos:14", "macos", "CVE-2024-2", "14.6"),
        ("macos:15", "macos", "CVE-2024-2", "15.0"),
    ]  # fmt: skip
    assert (found.issued, found.documents) == ("2024-09-16T00:00:00Z", 4)
    asked = question({"package": {"ecosystem": "macos:14", "name": "macos"}, "version": "14.5.1"})
    mine = [r for r in found.spans if r.ecosystem == asked.ecosystem]
    assert [f[0].id for f in page(asked, mine).found] == ["CVE-2024-2"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (file(line("Sonoma", ("14.5", "2024-05-13", {}))), "no line of versions"),
        (file(line("Sonoma 14", ("15.5", "2024-05-13", {}))), "no version of 14"),
        (file(line("Sonoma 14", ("14.5", "yesterday", {}))), "ReleaseDate is a time"),
        (file(line("Sonoma 14", ("14.5", "2024-05-13", {"x": True}))), "no CVE"),
        (file(), "no OSVersions"), (file(line("Sonoma 14", ("14.5", "2024-05-13", {}))), "nothing of a release"),
        (b"[{}, {}]", "no OSVersions"), (b"\xff", "line 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_refuses_the_file(data: bytes, says: str) -> None:
    with pytest.raises(BadFeed) as e:
        read("apple-macos", data)
    assert says in str(e.value)


ANY = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers() | st.sampled_from(["14.5", "Sonoma 14"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["OSVersion", "SecurityReleases", "CVEs", "ProductVersion"]), inner)
    ),
)


@settings(max_examples=100, deadline=None)
@given(ANY, st.sampled_from(["OSVersion", "SecurityReleases"]))
def test_whatever_stands_anywhere_gives_rows_or_a_bad_feed(what: Any, place: str) -> None:
    for each in (SONOMA | {place: what}, what):
        with contextlib.suppress(BadFeed):
            read("apple-macos", file(each))
