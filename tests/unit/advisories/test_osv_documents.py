"""OSV documents and archives: what becomes rows, and what is refused with its place."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import zipfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brakeline.advisories.importers import BadFeed
from brakeline.advisories.osv import archive, bundle
from brakeline.advisories.osv.documents import spans
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.hints import full
from brakeline.advisories.osv.model import Span

PACKAGE = {"ecosystem": "PyPI", "name": "Jinja2"}


def document(**fields: Any) -> dict[str, Any]:
    """A document with one package, some fields changed."""
    base = {"id": "PYSEC-2025-1", "modified": "2025-02-03T04:05:06.789Z", "published": "2025-01-01T00:00:00Z",
            "aliases": ["CVE-2025-1"], "summary": "Bad",
            "affected": [affected([{"introduced": "0"}, {"fixed": "2.0"}])]}  # fmt: skip
    return {**base, **fields}


def affected(events: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    return {"package": PACKAGE, "ranges": [{"type": "ECOSYSTEM", "events": events}], **more}


def rows(**fields: Any) -> list[Span]:
    return spans(document(**fields), "pypi")[0]


def bounds(*events: dict[str, str], **more: Any) -> list[tuple[str, str, str]]:
    return [(r.introduced, r.fixed, r.last_affected) for r in rows(affected=[affected(list(events), **more)])]


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, data in entries:
            made.writestr(name, data)
    return out.getvalue()


def test_a_document_becomes_a_row_with_the_one_spelling_of_its_package() -> None:
    (row,) = rows()
    assert row == Span(
        "pypi", "jinja2", "PYSEC-2025-1", 0, "", "2.0", "", (), ("CVE-2025-1",), "fixed", "",
        "2025-01-01T00:00:00Z", "2025-02-03T04:05:06Z", "", "", "Bad",
    )  # fmt: skip


def test_several_ranges_in_any_order_and_the_last_affected() -> None:
    events = [{"introduced": "1.10"}, {"fixed": "1.2"}, {"introduced": "0"}, {"fixed": "1.11"}, {"introduced": "1.9"}]
    assert bounds(*events) == [("", "1.2", ""), ("1.9", "1.11", "")]  # 1.10 is after 1.9, and inside already
    assert bounds({"introduced": "1.0"}, {"last_affected": "1.5"}) == [("1.0", "", "1.5")]
    assert bounds({"introduced": "1.0"}) == [("1.0", "", "")]
    assert bounds({"introduced": "0"}, {"limit": "*"}) == [("", "", "")]


@pytest.mark.parametrize(
    ("last_known", "events", "ends"),
    [
        ("<= 1.4", [{"introduced": "0"}], ("", "", "1.4")),
        ("< 1.4", [{"introduced": "1.0"}], ("1.0", "1.4", "")),
        ("<=1.4", [{"introduced": "1.0"}, {"fixed": "1.2"}], ("1.0", "1.2", "")),  # a range that ends says it better
        ("< 1.0", [{"introduced": "1.0"}], ("1.0", "", "")),  # it would end before it begins
        ("<= 1.0", [{"introduced": "1.0"}], ("1.0", "", "1.0")),
        ("<= many", [{"introduced": "1.0"}], ("1.0", "", "")),
        (">= 1.0, <= 1.4", [{"introduced": "1.0"}], ("1.0", "", "")),
        (7, [{"introduced": "1.0"}], ("1.0", "", "")),
    ],
)
def test_a_range_without_an_end_ends_where_its_reviewers_know_it(
    last_known: Any, events: list[dict[str, str]], ends: tuple[str, str, str]
) -> None:
    said = {"last_known_affected_version_range": last_known}
    assert bounds(*events, database_specific=said) == [ends]


def test_what_people_leave_out_of_a_bound_of_npm_is_zero() -> None:
    events = [{"introduced": "6.0"}, {"fixed": "6.3.4"}]
    said = {"package": {"ecosystem": "npm", "name": "x"}, "ranges": [{"type": "SEMVER", "events": events}]}
    (row,), _ = spans(document(affected=[said]), "npm")
    assert (row.introduced, row.fixed) == ("6.0.0", "6.3.4")
    assert [full("npm", v) for v in ("0", "1", "1.2-rc.1", "1.2.3", "v1")] == [
        "0",
        "1.0.0",
        "1.2.0-rc.1",
        "1.2.3",
        "v1",
    ]
    assert full("pypi", "1.2") == "1.2"


@pytest.mark.parametrize(
    ("urgency", "ecosystem", "events", "state", "reason"),
    [
        ("unimportant", "Debian:12", [{"introduced": "0"}], "deferred", "unimportant: no security impact"),
        ("end-of-life", "Debian:12", [{"introduced": "0"}], "deferred", "its support in this release had ended"),
        ("unimportant", "Debian:12", [{"introduced": "0"}, {"fixed": "2.0-1"}], "fixed", ""),
        ("not yet assigned", "Debian:12", [{"introduced": "0"}], "open", ""),
        ("unimportant", "Ubuntu:22.04", [{"introduced": "0"}], "open", ""),
        (["unimportant"], "Debian:12", [{"introduced": "0"}], "open", ""),
    ],
)
def test_what_debian_calls_unimportant_is_deferred_as_from_its_tracker(
    urgency: Any, ecosystem: str, events: list[dict[str, str]], state: str, reason: str
) -> None:
    said = {"package": {"ecosystem": ecosystem, "name": "glibc"}, "ecosystem_specific": {"urgency": urgency},
            "ranges": [{"type": "ECOSYSTEM", "events": events}]}  # fmt: skip
    (row,), _ = spans(document(id="DEBIAN-CVE-2019-1010022", affected=[said]), ecosystem.partition(":")[0].lower())
    assert (row.state, row.reason) == (state, reason)


def test_commits_of_no_package_refuse_nothing_and_are_counted() -> None:
    commits = {"ranges": [{"type": "GIT", "repo": "https://x", "events": [{"introduced": "0"}]}]}
    found, elsewhere = spans(document(affected=[commits, affected([{"introduced": "0"}])]), "pypi")
    assert (len(found), elsewhere) == (1, 1)


def test_lists_of_versions_are_kept_only_where_they_are_all_there_is() -> None:
    listed = ["1.0", "1.1"]
    assert rows(affected=[affected([{"introduced": "0"}, {"fixed": "2"}], versions=listed)])[0].versions == ()
    assert rows(affected=[{"package": PACKAGE, "versions": listed}])[0].versions == ("1.0", "1.1")
    only_commits = {
        "package": PACKAGE,
        "versions": listed,
        "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}],
    }
    assert rows(affected=[only_commits])[0].versions == ("1.0", "1.1")
    no_order = affected([{"introduced": "0"}, {"fixed": "not a version"}], versions=listed)
    assert rows(affected=[no_order])[0].versions == ("1.0", "1.1")


def test_withdrawn_is_kept_as_such_and_aliases_in_a_circle_end() -> None:
    assert rows(withdrawn="2025-05-05T00:00:00Z")[0].state == "withdrawn"
    said = [document(id="A-1", aliases=["B-1", "A-1"]), document(id="B-1", aliases=["A-1"])]
    found = read("osv-pypi", json.dumps(said).encode()).spans
    assert [(r.id, r.aliases) for r in found] == [("A-1", ("B-1",)), ("B-1", ("A-1",))]


def test_the_newest_vector_is_kept() -> None:
    v3, v4 = (
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
    )
    both = [{"type": "CVSS_V3", "score": v3}, {"type": "CVSS_V4", "score": v4}]
    assert rows(severity=both)[0].severity == v4
    assert rows(severity=both[:1])[0].severity == v3


def test_a_distribution_s_release_is_its_major_one_and_a_module_s_stream_is_kept() -> None:
    said = document(
        summary="nodejs:12 security update",
        affected=[affected([{"introduced": "0"}, {"fixed": "1:12.22.5-1.module_el8.4.0+2522+3bd42762"}])
                  | {"package": {"ecosystem": "AlmaLinux:8.5", "name": "nodejs"}}],
    )  # fmt: skip
    (row,) = spans(said, "almalinux")[0]
    assert (row.ecosystem, row.module, row.fixed[:2]) == ("almalinux:8", "nodejs:12", "1:")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"id": ""}, "id is a text"),
        ({"id": "../../x y"}, "no id"),
        ({"modified": None}, "modified is a time"),
        ({"modified": "yesterday"}, "modified is a time"),
        ({"aliases": "CVE-1"}, "aliases is a list"),
        ({"aliases": ["x"] * 501}, "at most 500"),
        ({"affected": [{"package": {"ecosystem": "PyPI"}}]}, "name is a text"),
        ({"affected": [{"package": {"ecosystem": "P%I", "name": "x"}}]}, "no ecosystem"),
        ({"affected": [affected([{"fixed": "1"}])]}, "begins nowhere"),
        ({"affected": [affected([{"introduced": "0"}] * 1001)]}, "at most 1000"),
        ({"affected": [affected([{"begun": "0"}])]}, "no event"),
        ({"affected": [{"package": PACKAGE, "ranges": [{"type": "X", "events": []}]}]}, "no type of a range"),
        ({"severity": [{"type": "CVSS_V3", "score": 9.8}]}, "a type and a score"),
        ({"summary": "\ud800"}, "no text"),
        ({"affected": [affected([{"introduced": "0\x00"}])]}, "no text"),
    ],
)
def test_what_is_garbled_refuses_the_file_with_its_place(fields: dict[str, Any], says: str) -> None:
    good = document(id="PYSEC-2025-0")
    data = "\n".join(map(json.dumps, [good, document(**fields)])).encode()
    with pytest.raises(BadFeed, match="document 2") as refused:
        read("osv-pypi", data)
    assert says in str(refused.value)


def test_a_feed_speaks_of_its_own_ecosystem_alone() -> None:
    other = affected([{"introduced": "0"}]) | {"package": {"ecosystem": "npm", "name": "jinja2"}}
    said = read("osv-pypi", json.dumps(document(affected=[other, *document()["affected"]])).encode())
    assert ([r.ecosystem for r in said.spans], said.elsewhere) == (["pypi"], 1)
    with pytest.raises(BadFeed, match="says nothing of go"):
        read("osv-go", json.dumps(document()).encode())


def test_an_id_that_stands_there_twice_and_not_the_same_refuses_the_file() -> None:
    assert len(read("osv-pypi", json.dumps([document(), document()]).encode()).spans) == 1
    with pytest.raises(BadFeed, match="twice, and not the same"):
        read("osv-pypi", json.dumps([document(), document(summary="Worse")]).encode())


def test_all_zip_is_read_and_a_page_beside_it_is_not() -> None:
    data = zipped(("PYSEC-2025-1.json", json.dumps(document()).encode()), ("README.md", b"hello"))
    assert [r.id for r in read("osv-pypi", data).spans] == ["PYSEC-2025-1"]
    index = (("index/db.json", b'{"modified": "2026-11-20T00:00:00Z"}'), ("index/modules.json", b"[]"))  # as Go's has
    data = zipped(*index, ("ID/PYSEC-2025-1.json", json.dumps(document()).encode()))
    assert [r.id for r in read("osv-pypi", data).spans] == ["PYSEC-2025-1"]
    assert [r.id for r in read("osv-pypi", gzip.compress(json.dumps(document()).encode())).spans] == ["PYSEC-2025-1"]


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([("a.json", b" " * (archive.DOCUMENT_BYTES_MAX + 1))], "unfolds to more than"),
        ([("a.json", b"{}"), ("a.json", b"{}")], "twice"),
        ([("a.json", b"\xff\xfe{}")], "cannot be read"),
        ([("a.json", b"[" * 100_000)], "cannot be read"),
        ([("../../etc/passwd.json", b"no")], "cannot be read"),
        ([], "expected 1 to"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_mean_harm(entries: list[tuple[str, bytes]], says: str) -> None:
    data = zipped(*entries)
    with pytest.raises(BadFeed, match=says):
        list(archive.documents(data if entries else b"PK\x03\x04" + data, "x"))


def test_the_sum_of_an_archive_is_bounded_too_and_damage_is_seen() -> None:
    data = zipped(*((f"{n}.json", json.dumps("x" * 1000).encode()) for n in range(20)))
    with pytest.raises(BadFeed, match="unfolds"):
        list(archive.documents(data, "x", limit=10_000))
    for cut in (10, len(data) // 2, len(data) - 5):
        with pytest.raises(BadFeed):
            list(archive.documents(data[:cut], "x"))


def test_an_archive_packed_in_another_way_is_not_read() -> None:
    with pytest.raises(BadFeed, match="packed in a way"):
        list(archive.documents(zipped(("a.json", b"{}"), method=zipfile.ZIP_BZIP2), "x"))


def test_a_bundle_says_the_same_again_and_one_changed_sign_is_seen() -> None:
    said = read("osv-pypi", json.dumps([document(), document(id="PYSEC-2025-2")]).encode())
    packed = bundle.pack("osv-pypi", said.issued, said.spans)
    again = read("osv-pypi", gzip.compress(packed))
    assert (sorted(again.spans), again.issued, again.documents) == (sorted(said.spans), said.issued, 2)
    with pytest.raises(BadFeed, match="digest"):
        read("osv-pypi", packed.replace(b'"2.0"', b'"1.0"'))
    with pytest.raises(BadFeed, match="a bundle of osv-pypi"):
        read("osv-go", packed)


@pytest.mark.parametrize(
    "field", [{"ecosystem": "npm"}, {"name": ""}, {"state": "fine"}, {"modified": "now"}, {"part": -1}, {"part": True},
              {"versions": [1]}, {"aliases": "x"}, {"fixed": None}, {"id": "a b"}, {"name": "Jinja2"}]
)  # fmt: skip
def test_a_bundle_with_a_right_digest_is_checked_row_by_row(field: dict[str, Any]) -> None:
    row = list(read("osv-pypi", json.dumps(document()).encode()).spans[0]._replace(**field))
    head = {"brakeline_bundle": 1, "feed": "osv-pypi", "issued": "2025-01-01T00:00:00Z",
            "sha256": bundle.digest([row]), "rows": [row]}  # fmt: skip
    with pytest.raises(BadFeed, match="row 1"):
        read("osv-pypi", json.dumps(head).encode())


def test_what_a_file_would_change() -> None:
    one, two = rows()[0], rows(id="PYSEC-2025-2")[0]
    made = bundle.difference([one, two], [two._replace(fixed="3.0"), rows(id="PYSEC-2025-3")[0]])
    assert (made.added, made.removed, made.changed, made.same) == (1, 1, 1, 0)
    assert made.samples == {"added": ["PYSEC-2025-3"], "removed": ["PYSEC-2025-1"], "changed": ["PYSEC-2025-2"]}


# --- whatever comes, there are rows or a typed refusal ----------------------------------------------------------------

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["id", "modified", "affected", "package", "ecosystem", "name", "ranges", "events", "introduced", "fixed",
         "type", "versions", "severity", "score", "aliases", "advisory", "date", "patched"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
FEEDS = st.sampled_from(["osv-pypi", "osv-go", "osv-almalinux", "osv-debian", "rustsec"])


@settings(max_examples=150, deadline=None)
@given(FEEDS, st.dictionaries(st.sampled_from(sorted(document())), JUNK), st.integers(0, 3), JUNK)
def test_junk_in_a_document_is_rows_or_a_refusal(feed: str, fields: dict[str, Any], depth: int, junk: Any) -> None:
    said: Any = document(**fields)
    if depth:
        said["affected"] = [affected([{"introduced": "0"}], **{"ranges": junk} if depth > 1 else {"versions": junk})]
    with contextlib.suppress(BadFeed):
        assert read(feed, json.dumps(said).encode()).spans


@settings(max_examples=100, deadline=None)
@given(FEEDS, st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_bytes_and_damaged_archives_are_refused(feed: str, junk: bytes, at: int, sign: int) -> None:
    with contextlib.suppress(BadFeed):
        read(feed, junk)
    packed = bytearray(zipped(("a.json", json.dumps(document()).encode())))
    packed[at % len(packed)] = sign
    with contextlib.suppress(BadFeed):
        read(feed, bytes(packed))
    with contextlib.suppress(BadFeed):
        read(feed, b'{"brakeline_bundle":' + junk)


def test_suse_s_documents_are_rows_of_the_binaries_that_they_list() -> None:
    """Built from the shape that SUSE publishes; else `libcurl4` would be safe because its source is named `curl`."""
    affected = {
        "package": {"ecosystem": "SUSE:Linux Enterprise Server 15 SP5", "name": "curl"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "8.0.1-150400.5.26.1"}]}],
        "ecosystem_specific": {"binaries": [{"curl": "8.0.1-150400.5.26.1", "libcurl4": "8.0.1-150400.5.26.1"}]},
    }
    head = {"id": "SUSE-SU-2023:4044-1", "modified": "2023-10-11T00:00:00Z", "related": ["CVE-2023-38545"]}
    rows, _ = spans({**head, "affected": [affected]}, "suse")
    assert [(r.ecosystem, r.name, r.fixed, r.part, r.related) for r in rows] == [
        ("sles:15.5", "curl", "8.0.1-150400.5.26.1", 0, ("CVE-2023-38545",)),
        ("sles:15.5", "libcurl4", "8.0.1-150400.5.26.1", 0, ("CVE-2023-38545",)),
    ]
    for strange in ({"binaries": 7}, {"binaries": [7]}, {"binaries": [{"": "1"}]}, {"binaries": [{"x": ""}]}):
        with pytest.raises(ValueError, match=r"binar|version|object"):
            spans({**head, "affected": [{**affected, "ecosystem_specific": strange}]}, "suse")
    plain, _ = spans({**head, "affected": [{**affected, "ecosystem_specific": "x"}]}, "suse")
    assert [r.name for r in plain] == ["curl"]
