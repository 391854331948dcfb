"""Debian's tracker and Alpine's secdb, on samples in their published shape; real cuts of both: `test_real_feeds`."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brakeline.advisories.importers import BadFeed
from brakeline.advisories.osv.feeds import limits_of, read
from brakeline.advisories.osv.questions import page, question

DAY = "2026-11-20"
TRACKER: dict[str, Any] = {
    "curl": {
        "CVE-2024-1": {"scope": "remote", "description": "Overflow", "releases": {
            "bookworm": {"status": "resolved", "repositories": {"bookworm": "7.88.1-10+deb12u14"},
                         "fixed_version": "7.88.1-10+deb12u5", "urgency": "medium"},
            "bullseye": {"status": "open", "repositories": {"bullseye": "7.74.0-1"}, "urgency": "low",
                         "nodsa": "Minor"},
            "sid": {"status": "resolved", "fixed_version": "8.0-1", "urgency": "medium"},
        }},
        "CVE-2024-2": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "0", "urgency": "low"}}},
        "TEMP-0000000-ABCDEF": {"releases": {"bookworm": {"status": "undetermined", "urgency": "not yet assigned"}}},
    },
}  # fmt: skip
SECDB: dict[str, Any] = {
    "distroversion": "v3.20", "reponame": "main", "urlprefix": "https://example.invalid", "archs": ["x86_64"],
    "packages": [
        {"pkg": {"name": "curl", "secfixes": {
            "8.0-r1": ["CVE-2024-1 GHSA-aaaa-bbbb-cccc", "XSA-1"], "8.0-r3": ["CVE-2024-1"], "0": ["CVE-2024-9"]}}},
        {"pkg": {"name": "none", "secfixes": None}},
    ],
}  # fmt: skip


def tracker(document: Any, day: str = DAY) -> list[tuple[str, str, str, str]]:
    found = read("debian-tracker", json.dumps(document).encode(), day)
    return [(r.ecosystem, r.id, r.state, r.fixed) for r in found.spans]


def secdb(document: Any, day: str = DAY) -> list[tuple[str, str, str]]:
    return [(r.id, r.state, r.fixed) for r in read("alpine-v3.20-main", json.dumps(document).encode(), day).spans]


def test_debian_s_releases_by_number_with_what_is_open_and_what_never_was_affected() -> None:
    assert tracker(TRACKER) == [
        ("debian:12", "CVE-2024-1", "fixed", "7.88.1-10+deb12u5"),
        ("debian:11", "CVE-2024-1", "deferred", ""),
        ("debian:12", "CVE-2024-2", "not_affected", ""),
        ("debian:12", "TEMP-0000000-ABCDEF", "open", ""),
    ]
    rows = read("debian-tracker", json.dumps(TRACKER).encode(), DAY).spans
    assert [r.reason for r in rows if r.state == "deferred"] == ["no-dsa: Minor"]
    asked = question({"package": {"purl": "pkg:deb/debian/curl@7.88.1-10+deb12u5?distro=bookworm"}})
    mine = [r for r in rows if r.ecosystem == asked.ecosystem]
    assert [found[0].id for found in page(asked, mine).found] == ["TEMP-0000000-ABCDEF"]


@pytest.mark.parametrize(
    ("said", "state", "reason"),
    [
        ({"nodsa": "Minor issue", "nodsa_reason": "postponed"}, "deferred", "no-dsa, postponed: Minor issue"),
        ({"nodsa": "Too intrusive", "nodsa_reason": "ignored"}, "deferred", "no-dsa, ignored: Too intrusive"),
        ({"urgency": "unimportant"}, "deferred", "unimportant: no security impact"),
        ({"urgency": "low"}, "open", ""),
    ],
)
def test_what_debian_does_not_mean_to_repair_soon_is_deferred_with_its_reason(
    said: dict[str, str], state: str, reason: str
) -> None:
    document = {"curl": {"CVE-2024-1": {"releases": {"bookworm": {"status": "open", **said}}}}}
    (row,) = read("debian-tracker", json.dumps(document).encode(), DAY).spans
    assert (row.state, row.reason) == (state, reason)


def test_alpine_s_fixes_the_highest_of_one_flaw_closes_it() -> None:
    assert secdb(SECDB) == [
        ("CVE-2024-1", "fixed", "8.0-r3"), ("XSA-1", "fixed", "8.0-r1"), ("CVE-2024-9", "not_affected", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "id_", "aliases"),
    [  # as they stand, or stood, in the real file
        ("CVE-2022-42333 CVE-2022-43334 XSA-428", "CVE-2022-42333", ("CVE-2022-43334", "XSA-428")),
        ("CVE-2020-11501 GNUTLS-SA-2020-03-31 CVE-2020-11501", "CVE-2020-11501", ("GNUTLS-SA-2020-03-31",)),
        ("CVE_2019-2426", "CVE-2019-2426", ()), ("CVE-2021-35940.patch", "CVE-2021-35940", ()),
        ("CVE N/A ZBX-11023", "ZBX-11023", ()), ("CVE-????-????? TS-2024-005", "TS-2024-005", ()),
        ("CVE-2017-2616 (+ regression fix)", "CVE-2017-2616", ()),
        ("CVE-2020-14342 (Not affected, requires --with-systemd)", "CVE-2020-14342", ()),
        ("CVE-2018-10105 (SMB - too unreliably reproduced, SMB printing disabled)", "CVE-2018-10105", ()),
        ("CVE-2019-1, CVE-2019-2;CVE-2019-3", "CVE-2019-1", ("CVE-2019-2", "CVE-2019-3")),
        ("CVE-2018-14466 (AFS/RX)", "CVE-2018-14466", ()), ("CVE-46838", "CVE-46838", ()),
    ],
)  # fmt: skip
def test_what_people_write_beside_an_id_is_no_garbage(entry: str, id_: str, aliases: tuple[str, ...]) -> None:
    document = {**SECDB, "packages": [{"pkg": {"name": "x", "secfixes": {"1.0-r0": [entry]}}}]}
    (row,) = read("alpine-v3.20-main", json.dumps(document).encode(), DAY).spans
    assert (row.id, row.aliases, row.fixed) == (id_, aliases, "1.0-r0")


@pytest.mark.parametrize(
    ("written", "fixed"),
    [("1.9.5p2-r0", "1.9.5_p2-r0"), ("6.6.4p1-r1", "6.6.4_p1-r1"), ("4.10-1-r1", "4.10-1-r1"), ("1.0p-r0", "1.0p-r0")],
)
def test_a_patch_level_as_upstream_writes_it_is_apk_s(written: str, fixed: str) -> None:
    packages = [{"pkg": {"name": "sudo", "secfixes": {written: ["CVE-2021-3156"], "1.0-r0": ["CVE-2020-1"]}}}]
    found = read("alpine-v3.20-main", json.dumps({**SECDB, "packages": packages}).encode(), DAY)
    assert [row.fixed for row in found.spans] == [fixed, "1.0-r0"]
    assert found.elsewhere == (fixed == "4.10-1-r1")


@pytest.mark.parametrize("order", [("0", "4.10-1-r1"), ("4.10-1-r1", "0")])
def test_a_fix_that_cannot_be_read_is_not_taken_for_never_affected(order: tuple[str, str]) -> None:
    fixes = {version: ["CVE-2024-1"] for version in order} | {"1.0-r0": ["CVE-2024-2"]}
    packages = [{"pkg": {"name": "xen", "secfixes": fixes}}]
    found = read("alpine-v3.20-main", json.dumps({**SECDB, "packages": packages}).encode(), DAY)
    assert {(row.id, row.state, row.fixed) for row in found.spans} == {
        ("CVE-2024-1", "fixed", "4.10-1-r1"), ("CVE-2024-2", "fixed", "1.0-r0"),
    }  # fmt: skip


def test_an_entry_that_is_too_long_is_refused_and_not_cut_into_another_id() -> None:
    entry = f"CVE-2024-1 {'x' * 977} CVE-2024-12345"
    assert entry[:1000].endswith(" CVE-2024-12")
    with pytest.raises(BadFeed, match="no id"):
        secdb({**SECDB, "packages": [{"pkg": {"name": "x", "secfixes": {"1.0-r0": [entry]}}}]})


def test_more_slips_than_people_make_refuse_the_file() -> None:
    fixes = {f"{n}-one": [f"CVE-2024-{n}"] for n in range(51)} | {"1.0-r0": ["CVE-2024-99"]}
    with pytest.raises(BadFeed, match="51 versions are none of apk's"):
        secdb({**SECDB, "packages": [{"pkg": {"name": "x", "secfixes": fixes}}]})


@pytest.mark.parametrize("day", ["", "today", "2026-11", "2026-11-20T00:00:00Z"])
def test_of_which_day_it_is_must_be_said(day: str) -> None:
    with pytest.raises(BadFeed, match="--day 2026-11-20"):
        tracker(TRACKER, day)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"status": "fine"}, "not the tracker's file"),
        ({"status": "resolved"}, "no version says since when"),
        ({"status": "resolved", "fixed_version": "not a version"}, "CVE-2024-1 of curl"),
        ({"status": "resolved", "fixed_version": ["1"]}, "no version says since when"),
    ],
)
def test_what_is_garbled_in_the_tracker_refuses_it(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(BadFeed, match=says):
        tracker({"curl": {"CVE-2024-1": {"releases": {"bookworm": changed}}}})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"distroversion": "v3.19"}, "not of v3.20 main"),
        ({"packages": [{"pkg": {"name": "x", "secfixes": {"1.0-r0": ["a b"]}}}]}, "no id"),
        ({"packages": [{"pkg": {"name": "x", "secfixes": {"one": ["CVE-2024-1"]}}}]}, "."),
        ({"packages": [{"name": "x"}]}, "not a file of secdb"),
        ({"packages": []}, "expected 1 to"),
    ],
)
def test_what_is_garbled_in_secdb_refuses_it(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(BadFeed, match=says):
        secdb({**SECDB, **changed})


def test_each_says_what_it_cannot_know() -> None:
    assert "was judged by then" in limits_of("debian-tracker", DAY)
    assert "fixes of Alpine alone" in limits_of("alpine-v3.20-main", DAY)


JUNK = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["curl", "CVE-2024-1", "releases", "bookworm", "status", "fixed_version", "pkg", "name",
                         "secfixes", "distroversion", "reponame", "packages", "8.0-r1"]), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(JUNK, st.sampled_from(["", "packages", "distroversion"]))
def test_junk_is_rows_or_a_refusal(junk: Any, key: str) -> None:
    for feed in ("debian-tracker", "alpine-v3.20-main"):
        with contextlib.suppress(BadFeed):
            read(feed, json.dumps({**SECDB, key: junk} if key else junk).encode(), DAY)
        with contextlib.suppress(BadFeed):
            read(feed, json.dumps({"curl": {"CVE-2024-1": junk}}).encode(), DAY)
