"""Ubuntu's notices, Arch's groups and Debian's list of advisories, in their published shapes."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brakeline.advisories.importers import BadFeed
from brakeline.advisories.osv.feeds import dayless, read
from brakeline.advisories.osv.model import Span

DAY = "2026-11-20"
# USN-1005-1 with its real sources and versions, told of releases that are known here; cut to what is read
NOTICE: dict[str, Any] = {
    "id": "1005-1", "title": "poppler vulnerabilities", "timestamp": 1287446400.5, "isummary": "",
    "cves": ["CVE-2010-3702", "https://launchpad.net/bugs/1"],
    "releases": {
        "jammy": {"sources": {"poppler": {"version": "0.12.4-0ubuntu5.1", "description": ""}},
                  "binaries": {"libpoppler5": {"version": "0.12.4-0ubuntu5.1"}}},
        "karmic": {"sources": {"poppler": {"version": "0.12.0-0ubuntu2.3"}}},
    },
}  # fmt: skip
SITE: dict[str, Any] = {
    "notices": [{
        "id": "USN-8472-1", "title": "containerd", "type": "USN", "published": "2026-06-25T13:18:21.382313",
        "cves_ids": ["CVE-2026-53492"], "releases": [{"codename": "focal", "version": "20.04"}],
        "release_packages": {"focal": [
            {"name": "containerd-app", "version": "1.7.24-0ubuntu1~20.04.2+esm2", "is_source": True},
            {"name": "containerd", "version": "1.7.24-0ubuntu1~20.04.2+esm2", "is_source": False},
        ]},
    }, {"id": "LSN-0099-1", "published": "2026-06-25T13:18:21"}],
}  # fmt: skip
AVG: dict[str, Any] = {
    "name": "AVG-5", "packages": ["libtiff", "lib32-libtiff"], "status": "Fixed", "severity": "Critical",
    "type": "arbitrary code execution", "affected": "4.0.8-1", "fixed": "4.0.8-2", "ticket": "54842",
    "issues": ["CVE-2016-10095", "CVE-2015-7554"], "advisories": ["ASA-201707-17"],
}  # fmt: skip
DSA = """\
[21 Nov 2025] DSA-6061-1 chromium - security update
\t{CVE-2025-1 CVE-2025-2}
\t[bookworm] - chromium 142.0.7444.175-1~deb12u1
\t[trixie] - chromium 142.0.7444.175-1~deb13u1
[12 Mar 2025] DSA-5880-2  - regression
        NOTE: <unfixed> (the first fix was incomplete)
\t{ CVE-2025-3 }
\t[bookworm] - freetype <not-affected> (Vulnerable code not present)
\t[bullseye] - freetype <end-of-life>
\t[etch] - freetype 2.2.1-5+etch4
[02 Jul 2002] DSA-135 libapache-mod-ssl -- buffer overflow / DoS
\t[woody] - libapache-mod-ssl 2.8.9-2
"""


def short(found: list[Span]) -> list[tuple[str, ...]]:
    return [(r.ecosystem, r.name, r.id, r.state, r.fixed) for r in found]


def lines(*documents: Any) -> bytes:
    return "\n".join(map(json.dumps, documents)).encode()


def test_a_notice_as_ubuntu_s_team_keeps_it_and_many_of_them_by_id() -> None:
    one = [("ubuntu:22.04", "poppler", "USN-1005-1", "fixed", "0.12.4-0ubuntu5.1")]
    found = read("ubuntu-usn", lines(NOTICE))
    assert short(found.spans) == one
    assert (found.issued, found.documents, found.elsewhere) == ("2010-10-19T00:00:00Z", 1, 1)
    assert found.spans[0].aliases == ("CVE-2010-3702",)
    by_id = {"1005-1": {key: value for key, value in NOTICE.items() if key != "id"}}
    assert short(read("ubuntu-usn", lines(by_id)).spans) == one
    assert short(read("ubuntu-usn-2010", lines(NOTICE, NOTICE)).spans) == one


def test_a_notice_as_ubuntu_s_site_tells_it_by_source() -> None:
    found = read("ubuntu-usn", lines(SITE))
    assert short(found.spans) == [
        ("ubuntu:20.04", "containerd-app", "USN-8472-1", "fixed", "1.7.24-0ubuntu1~20.04.2+esm2")
    ]
    assert (found.issued, found.elsewhere) == ("2026-06-25T13:18:21Z", 1)  # live patches are another line


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"id": "CVE-2010-1"}, "no id"), ({"timestamp": "today"}, "timestamp"), ({"timestamp": 1e300}, "timestamp"),
        ({"releases": {"jammy": {"sources": {"poppler": {"version": "not a version"}}}}}, "version"),
        ({"releases": {"jammy": {"sources": {"P": {"version": "1"}}}}}, "no source"),
        ({"releases": []}, "releases is an object"), ({"cves": "CVE"}, "cves is a list"),
        ({"releases": {"karmic": {"sources": {}}}}, "nothing of a release"),
    ],
)  # fmt: skip
def test_a_garbled_notice_refuses_the_file(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(BadFeed) as e:
        read("ubuntu-usn", lines(NOTICE | changed))
    assert says in str(e.value)


def test_a_notice_twice_must_say_the_same() -> None:
    with pytest.raises(BadFeed, match="document 2: USN-1005-1 stands there twice"):
        read("ubuntu-usn", lines(NOTICE, NOTICE | {"cves": []}))


def test_arch_s_groups_by_package() -> None:
    assert dayless("arch-security")
    found = read("arch-security", json.dumps([AVG]).encode(), DAY)
    assert short(found.spans) == [
        ("arch", "lib32-libtiff", "AVG-5", "fixed", "4.0.8-2"), ("arch", "libtiff", "AVG-5", "fixed", "4.0.8-2"),
    ]  # fmt: skip
    assert (found.issued, found.spans[0].aliases[0]) == (f"{DAY}T00:00:00Z", "ASA-201707-17")


@pytest.mark.parametrize(
    ("changed", "state", "fixed", "reason"),
    [
        ({"status": "Testing"}, "fixed", "4.0.8-2", ""),
        ({"status": "Vulnerable", "fixed": None}, "open", "", ""),
        ({"status": "Vulnerable"}, "fixed", "4.0.8-2", ""),  # no repository has it yet
        ({"status": "Unknown", "fixed": None}, "open", "", "its vendor is still looking into it"),
        ({"status": "Unknown"}, "fixed", "4.0.8-2", "its vendor is still looking into it"),
        ({"status": "Not affected", "fixed": None}, "not_affected", "", ""),
    ],
)
def test_arch_s_states(changed: dict[str, Any], state: str, fixed: str, reason: str) -> None:
    row = read("arch-security", json.dumps([AVG | changed]).encode(), DAY).spans[0]
    assert (row.state, row.fixed, row.reason) == (state, fixed, reason)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"status": "Fine"}, "no status"), ({"fixed": None}, "the version with the fix of AVG-5"),
        ({"packages": []}, "of no package"), ({"packages": ["a b"]}, "no package"), ({"name": "x"}, "no group"),
    ],
)  # fmt: skip
def test_a_garbled_group_refuses_the_file(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(BadFeed, match="document 1") as e:
        read("arch-security", json.dumps([AVG | changed]).encode(), DAY)
    assert says in str(e.value)
    with pytest.raises(BadFeed, match="AVG-5 stands there twice"):
        read("arch-security", json.dumps([AVG, AVG]).encode(), DAY)
    with pytest.raises(BadFeed, match="--day 2026-11-20"):
        read("arch-security", json.dumps([AVG]).encode())


def test_debian_s_advisories_by_release_with_what_its_old_lines_look_like() -> None:
    found = read("debian-dsa", DSA.encode())
    assert short(found.spans) == [
        ("debian:11", "freetype", "DSA-5880-2", "deferred", ""),
        ("debian:12", "chromium", "DSA-6061-1", "fixed", "142.0.7444.175-1~deb12u1"),
        ("debian:12", "freetype", "DSA-5880-2", "not_affected", ""),
        ("debian:13", "chromium", "DSA-6061-1", "fixed", "142.0.7444.175-1~deb13u1"),
    ]
    assert found.spans[1].aliases == ("CVE-2025-1", "CVE-2025-2")
    assert found.spans[0].reason == "its support in this release had ended"
    assert (found.issued, found.documents, found.elsewhere) == ("2025-11-21T00:00:00Z", 3, 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\t{CVE-2025-1}\n", "line 1: it belongs to no advisory"),
        (DSA + "\tfoo\n", "line 13: nothing known"),
        (DSA.replace("chromium - security", "chromium - \0 security", 1), "signs that are no text"),  # found by fuzzing
        (DSA.replace("DSA-6061-1", "DLA-6061-1"), "line 1: no head of a DSA"),
        (DSA.replace("21 Nov", "31 Nov"), "line 1: no day of the calendar"),
        (DSA.replace("<end-of-life>", "<gone>"), "line 9: no state"),
        (DSA.replace("142.0.7444.175-1~deb12u1", "1_0:x"), "line 3"),
        ("", "nothing of a release"),
    ],
)
def test_a_line_that_means_nothing_refuses_the_list_with_its_number(text: str, says: str) -> None:
    with pytest.raises(BadFeed) as e:
        read("debian-dsa", text.encode())
    assert says in str(e.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    for feed in ("debian-dla", "ubuntu-usn", "arch-security"):
        with pytest.raises(BadFeed):
            read(feed, b"\xff\xfe\x00[", DAY)


WORDS = st.sampled_from([*DSA.splitlines(), "\t{CVE-2025-1}", "\t[bookworm] - a 1", "[01 Jan 2020] DSA-1-1 a - b", ""])


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS | st.text(max_size=20), max_size=8), st.sampled_from(["debian-dsa", "debian-dla"]))
def test_any_lines_are_rows_or_a_bad_feed(said: list[str], feed: str) -> None:
    with contextlib.suppress(BadFeed):
        read(feed, "\n".join(said).encode("utf-8", "surrogatepass"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["jammy", "1-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "releases", "sources", "version", "notices", "jammy", "packages", "name", "status"]),
        inner, max_size=4),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(JSON, st.sampled_from([NOTICE, SITE["notices"][0], AVG]), st.data())
def test_any_document_is_rows_or_a_bad_feed(anything: Any, base: dict[str, Any], data: st.DataObject) -> None:
    changed = base | {data.draw(st.sampled_from(sorted(base))): anything}
    for document in (anything, changed, {"notices": [changed]}):
        for feed in ("ubuntu-usn", "arch-security"):
            with contextlib.suppress(BadFeed):
                read(feed, json.dumps([document]).encode(), DAY)
