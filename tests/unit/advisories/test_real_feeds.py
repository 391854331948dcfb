"""Real files of feeds (tests/data/feeds, where each comes from): what their readers make of them, told by hand.

Each expectation was read in the file itself, not taken from the reader.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from brakeline.advisories import support
from brakeline.advisories.arrivals import Arrival, content
from brakeline.advisories.importers import BadFeed, unpacked
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.model import Said, Span
from brakeline.advisories.osv.questions import holds
from brakeline.advisories.vendors.kb import judge
from brakeline.exposure.match import Book, Shelf
from brakeline.exposure.spans import rows_of

DATA = Path(__file__).resolve().parents[2] / "data" / "feeds"
DAY = "2026-11-20"


@cache
def said(feed: str, file: str) -> Said:
    return read(feed, (DATA / file).read_bytes(), DAY)


def rows(feed: str, file: str) -> list[Span]:
    return said(feed, file).spans


def short(found: list[Span]) -> list[tuple[str, str, str, str]]:
    return [(row.ecosystem, row.name, row.state, row.fixed) for row in found]


def test_red_hat_s_modules_and_their_sources() -> None:
    found = rows("csaf-redhat", "csaf-rhsa-2023_3821.json.zst")
    assert {row.module for row in found} == {"ruby:2.7"}
    assert ("rhel:8", "ruby", "fixed", "2.7.8-139.module+el8.8.0+18745+f1bef313") in short(found)
    assert {row.name for row in found} == {
        "ruby", "rubygem-abrt", "rubygem-bson", "rubygem-mongo", "rubygem-mysql2", "rubygem-pg",
    }  # fmt: skip
    assert {cve for row in found for cve in row.aliases} == {"CVE-2021-33621", "CVE-2023-28755", "CVE-2023-28756"}


def test_red_hat_s_extended_streams_are_left_out_and_counted() -> None:
    found = said("csaf-redhat", "csaf-rhsa-2024_0811.json.zst")
    assert short(found.spans) == [
        ("rhel:8", "sudo", "fixed", "1.9.5p2-1.el8_9"), ("rhel:9", "sudo", "fixed", "1.9.5p2-10.el9_3"),
    ]  # fmt: skip
    assert found.elsewhere > 100


def test_rocky_s_builds_keep_their_epoch_and_stream() -> None:
    assert ("rocky:8", "java-11-openjdk", "fixed", "1:11.0.13.0.8-1.el8_4") in short(
        rows("osv-rocky", "osv-rocky.jsonl")
    )
    assert {row.module for row in rows("osv-rocky", "osv-rocky.jsonl") if row.name.startswith("ruby")} == {"ruby:3.3"}


def test_alpine_s_slips_are_read_and_only_what_apk_would_not_take_is_told() -> None:
    found = said("alpine-v3.11-main", "alpine-v3.11-main.json")
    assert {(row.name, row.id, row.aliases, row.fixed) for row in found.spans} == {
        ("xen", "XSA-248", (), "4.10.0-r1"), ("xen", "XSA-252", (), "4.10-1-r1"),
        ("xen", "CVE-2018-7540", ("XSA-252",), "4.10.0-r2"),
        ("apk-tools", "CVE-2017-9669", (), "2.7.2-r0"), ("apk-tools", "CVE-2017-9671", (), "2.7.2-r0"),
    }  # fmt: skip
    assert (found.elsewhere, found.because) == (1, ("no version of apk: xen 4.10-1-r1",))
    shelf = Shelf(rows_of([row for row in found.spans if row.name == "xen"]), "alpine:3.11")
    assert {row.cve for row in shelf.open_rows("4.10.0-r1")} == {"CVE-2018-7540"}
    assert [code for _, code, _ in shelf.dismissed] == ["unreadable"]


def test_arch_s_unknown_status_with_a_fix_is_closed_by_it() -> None:
    found = {row.name: row for row in rows("arch-security", "arch-groups.json")}
    assert (found["python-pyjwt"].state, found["python-pyjwt"].fixed) == ("fixed", "2.4.0-1")
    assert holds(found["python-pyjwt"], "2.3.0-1")
    assert not holds(found["python-pyjwt"], "2.4.0-1")


def test_debian_s_tracker_and_its_list() -> None:
    tracker = rows("debian-tracker", "debian-tracker.json")
    assert ("debian:10", "librsync", "deferred", "") in short(tracker)
    assert {row.id for row in tracker if row.name == "mimetex"} == {
        "CVE-2009-1382", "CVE-2009-2459", "TEMP-0000000-A2EB44",
    }  # fmt: skip
    listed = said("debian-dsa", "debian-dsa.txt")
    assert ("debian:12", "sope", "fixed", "5.8.0-1+deb12u1") in short(listed.spans)


@pytest.mark.parametrize(
    ("ecosystem", "name", "yes", "no"),
    [
        ("npm", "ms", "0.7.0", "0.7.1"),
        ("npm", "formidable", "2.1.2", "2.1.3"),  # its first line was fixed, and no range says so
        ("npm", "formidable", "3.5.2", "3.5.3"),
        ("npm", "formidable", "3.1.1-canary.20211030", "3.1.0"),
        ("npm", "xlsx", "0.19.2", "0.19.3"),
        ("maven", "org.jboss.resteasy:resteasy-core", "3.11.0.Final", "3.11.1.Final"),
        ("maven", "org.jboss.resteasy:resteasy-core", "4.5.2.Final", "4.5.3.Final"),
        ("maven", "com.baomidou:mybatis-plus", "3.5.3", "3.5.3.1"),
        ("maven", "com.baomidou:mybatis-plus", "1.0", "3.5.4"),
        ("rubygems", "rails", "2.3.10", "2.3.11"),
        ("rubygems", "rails", "3.0.0", "3.0.4"),
        ("go", "k8s.io/kubernetes", "1.26.5", "1.26.6"),
        ("go", "github.com/consensys/gnark-crypto", "0.12.0", "0.12.1"),
        ("nuget", "Microsoft.NetCore.App.Runtime.linux-arm", "9.0.5", "9.0.6"),
    ],
)
def test_github_s_advisories_one_version_in_and_one_out(ecosystem: str, name: str, yes: str, no: str) -> None:
    found = rows(f"osv-{ecosystem}", "osv-github.jsonl")
    book = Book((), spans=found)
    own = {row.ecosystem for row in found}
    assert len(own) == 1
    shelf = book.shelf(own.pop(), name.lower() if ecosystem == "nuget" else name)
    assert shelf is not None
    assert shelf.open_rows(yes)
    assert not shelf.open_rows(no)


def test_a_month_of_microsoft_before_builds_were_told() -> None:
    found = said("msrc", "msrc-2017-nov.xml.zst")
    assert (len(found.spans), found.issued) == (883, "2017-11-14T08:00:00Z")
    product = "Windows 10 Version 1703 for x64-based Systems"
    mine = [row for row in found.spans if row.name == product]
    assert {row.aliases for row in mine} == {("KB4048954",)}
    assert all(verdict.open for verdict in judge(mine, "10.0.15063.674", []))
    assert not any(verdict.open for verdict in judge(mine, "10.0.15063.674", ["KB4048954"]))


def test_red_hat_s_definitions_name_the_file_of_the_release_by_a_pattern() -> None:
    found = said("oval-redhat-9", "oval-rhel-9-zlib.xml")
    assert short(found.spans) == [
        ("rhel:9", name, "fixed", "1.2.11-31.el9_0.1") for name in ("zlib", "zlib-devel", "zlib-static")
    ]
    assert {(row.id, row.aliases, row.published) for row in found.spans} == {
        ("RHSA-2022:4584", ("CVE-2018-25032",), "2022-05-17T00:00:00Z")
    }
    assert (found.issued, found.elsewhere, found.because) == ("2022-06-04T02:29:15Z", 0, ())


def test_a_document_of_microsoft_about_a_program() -> None:
    found = said("csaf-microsoft", "csaf-msrc-cve-2025-29806.json")
    assert short(found.spans) == [("microsoft", "Microsoft Edge (Chromium-based)", "fixed", "129.0.2792.52")]
    assert (found.spans[0].id, found.issued) == ("CVE-2025-29806", "2025-03-21T07:00:00Z")
    assert judge(found.spans, "129.0.2792.51", [])[0].open
    assert not judge(found.spans, "129.0.2792.52", [])[0].open


def test_a_month_of_microsoft_with_builds_and_fixes_that_are_no_updates() -> None:
    found = rows("msrc", "msrc-2024-mar-dotnet.xml")
    assert [(row.name, row.fixed, row.aliases) for row in found] == [
        (".NET 7.0", "7.0.17", ("KB5036451",)), (".NET 8.0", "8.0.3", ("KB5036452",)),
        *((f"Microsoft Visual Studio 2022 version 17.{minor}", f"17.{minor}.{fix}", ()) for minor, fix in
          ((4, 17), (6, 13), (8, 8), (9, 3))),
    ]  # fmt: skip
    assert {(row.id, row.published, row.modified) for row in found} == {
        ("CVE-2024-21392", "2024-03-12T07:00:00Z", "2024-04-09T07:00:00Z")
    }


def test_a_record_of_suse_that_speaks_of_nothing_hides_no_other() -> None:
    empty = (DATA / "csaf-suse-cve-1999-0003.json").read_text()
    with pytest.raises(BadFeed, match="nothing of a release"):
        read("csaf-suse", empty.encode())
    other = (DATA.parent / "vendors" / "suse-su-2015_0011-2.cut.json").read_text()
    alone = read("csaf-suse", other.encode())
    both = read("csaf-suse", f"[{empty}, {other}]".encode())
    assert (both.spans, both.documents) == (alone.spans, alone.documents + 1)


@pytest.mark.parametrize(
    ("os_id", "version", "since"),
    [
        ("alpine", "3.18.4", "2025-05-09"), ("alpine", "3.22.1", ""), ("almalinux", "8.10", ""),
        ("windows", "10.0.19042", "2023-05-09"),  # its editions ended on two days
        ("windows", "10.0.17763", ""),  # of three editions one is looked after until 2029
        ("windows", "6.3.9600", "2023-01-10"),
    ],
)  # fmt: skip
def test_ends_of_support_as_they_are_published(os_id: str, version: str, since: str) -> None:
    found = support.read((DATA / "end-of-life-2025-08-27.json").read_bytes(), "end-of-life")
    assert (found.issued, len(found.rows)) == ("2025-08-27T13:14:55Z", 13)
    assert next(row for row in found.rows if row.product == "alibaba-ack").build == ""  # its newest version is null
    told = support.ended(found.rows, os_id, version, DAY)
    assert (f"since {since}:" in told) if since else told == ""


def test_ubuntu_s_definitions_with_the_release_put_back() -> None:
    """The cut has two definitions and their tests; that of the release, to which they refer, was left out."""
    text = (DATA / "oval-ubuntu-bionic.xml").read_text()
    with pytest.raises(BadFeed, match="nothing of a release"):
        read("oval-ubuntu", text.encode())
    release = '<definition class="inventory" id="oval:com.ubuntu.bionic:def:100" version="1"><metadata/></definition>'
    found = read("oval-ubuntu", text.replace("<definitions>", f"<definitions>{release}", 1).encode())
    assert short(found.spans) == [
        ("ubuntu:18.04", "potrace", "fixed", "1.14-2"), ("ubuntu:18.04", "tor", "fixed", "0.2.8.9-1ubuntu1"),
    ]  # fmt: skip


def test_a_notice_of_releases_that_are_long_gone_says_so() -> None:
    with pytest.raises(BadFeed, match="nothing of a release"):
        rows("ubuntu-usn", "ubuntu-usn-763-1.json.bz2")


def test_apple_s_releases_and_what_was_exploited() -> None:
    assert {(row.ecosystem, row.id, row.fixed) for row in rows("apple-macos", "sofa-macos.json")} == {
        ("macos:15", "CVE-2024-44308", "15.1.1"), ("macos:15", "CVE-2024-44309", "15.1.1"),
        ("macos:12", "CVE-2023-41064", "12.6.9"), ("macos:12", "CVE-2023-32434", "12.6.7"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("feed", "file", "count", "issued"),
    [
        ("epss", "epss-2025-02-20.csv", 5, "2025-02-20T00:00:00Z"),
        ("cisa-kev", "kev-2024-07-09.json", 1, "2024-07-09T20:50:24Z"),
        ("cvss", "nvd-page.json.zst", 35, "2023-10-18T18:04:18Z"),
    ],
)
def test_scores_and_what_is_exploited(feed: str, file: str, count: int, issued: str) -> None:
    kind = {"cisa-kev": "kev"}.get(feed, feed)
    data = unpacked((DATA / file).read_bytes(), file)
    found = content(Arrival(feed, kind, feed, "", "file", version=DAY), data)
    assert (len(found.rows), found.issued) == (count, issued)


@pytest.mark.parametrize(
    ("feed", "file"),
    [
        ("csaf-redhat", "csaf-rhsa-2024_1431.json.zst"), ("osv-npm", "osv-github.jsonl"), ("cvss", "nvd-page.json.zst"),
        ("epss", "epss-2025-02-20.csv"), ("cisa-kev", "kev-2024-07-09.json"), ("debian-tracker", "debian-tracker.json"),
        ("debian-dsa", "debian-dsa.txt"), ("alpine-v3.11-main", "alpine-v3.11-main.json"),
        ("arch-security", "arch-groups.json"), ("apple-macos", "sofa-macos.json"), ("msrc", "msrc-2017-nov.xml.zst"),
    ],
)  # fmt: skip
def test_carried_over_a_windows_a_file_says_the_same(feed: str, file: str) -> None:
    """A mark of UTF-8 first, and lines that end as they do there."""
    kind = {"cisa-kev": "kev", "epss": "epss", "cvss": "cvss"}.get(feed, "osv")
    data = unpacked((DATA / file).read_bytes(), file)

    def rows_of(data: bytes) -> object:
        return content(Arrival(feed, kind, feed, "", "file", version=DAY), data).rows

    assert rows_of(b"\xef\xbb\xbf" + data) == rows_of(data.replace(b"\n", b"\r\n")) == rows_of(data)
