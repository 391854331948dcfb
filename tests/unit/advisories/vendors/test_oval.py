"""OVAL of Red Hat and Ubuntu, Microsoft's CVRF in XML: samples in the published shapes, bombs, anything at all."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import itertools
import json
import lzma
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import support_oval as made
from tests.support_oval import all_of, any_of, criterion, red_hat, red_hat_definition, rpm, ubuntu
from tests.support_vendors import WIN, fix, month

from brakeline.advisories.arrivals import Arrival, content, limits_of
from brakeline.advisories.importers import BadFeed, unpacked
from brakeline.advisories.osv import anyfile
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.model import Said
from brakeline.advisories.vendors.criteria import Leaf, Module, Package, Rest, Solver, interval, unclear


def short(found: Said) -> list[tuple[str, ...]]:
    return [(r.ecosystem, r.name, r.state, r.introduced, r.fixed, r.last_affected, r.module) for r in found.spans]


def test_an_advisory_of_red_hat_by_package() -> None:
    found = read("oval-redhat-8", red_hat())
    assert short(found) == [("rhel:8", "thunderbird", "fixed", "", "115.6.0-1.el8_9", "", "")]
    (row,) = found.spans
    assert (row.id, row.aliases, row.published, row.modified) == (
        "RHSA-2024:0001", ("CVE-2024-0001",), "2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"
    )  # fmt: skip
    assert row.severity == "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:N/I:H/A:N"
    assert (found.issued, found.elsewhere, found.because) == ("2024-01-20T10:00:00Z", 0, ())


def test_a_module_stream_and_a_running_kernel() -> None:
    stream = (
        '<ind-def:textfilecontent54_test check="all" comment="Module nodejs:18 is enabled" id="oval:com.redhat.rhsa:'
        'tst:m" version="1"><ind-def:object object_ref="o:m"/></ind-def:textfilecontent54_test>'
        '<unix-def:uname_test check="at least one" comment="kernel earlier than 0:4.18.0-513.el8 is currently running" '
        'id="oval:com.redhat.rhsa:tst:u" version="1"><unix-def:object object_ref="o:u"/></unix-def:uname_test>'
    )
    file = (
        '<ind-def:textfilecontent54_object id="o:m" version="1"><ind-def:filepath>/etc/dnf/modules.d/{}.module'
        "</ind-def:filepath></ind-def:textfilecontent54_object>"
    )
    packages = rpm("1", "nodejs", "1:18.19.0-1.module+el8.9.0"), rpm("2", "npm", "1:10.2.3-1.18.module+el8.9.0")
    tree = all_of(criterion("m"), criterion("u"), any_of(criterion("1"), criterion("2")))
    found = read("oval-redhat", red_hat(tree, *packages, tests=stream, objects=file.format("nodejs")))
    assert [(row[1], row[4], row[6]) for row in short(found)] == [
        ("nodejs", "1:18.19.0-1.module+el8.9.0", "nodejs:18"), ("npm", "1:10.2.3-1.18.module+el8.9.0", "nodejs:18")
    ]  # fmt: skip
    with pytest.raises(BadFeed, match="nothing of a release"):
        read("oval-redhat", red_hat(tree, *packages, tests=stream, objects=file.format("ruby")))


@pytest.mark.parametrize(
    ("operations", "row"),
    [
        (("less than",), ("", "2-1", "")), (("less than or equal",), ("", "", "2-1")),
        (("greater than or equal", "less than"), ("2-1", "3-1", "")),
        (("greater than or equal", "less than or equal"), ("2-1", "", "3-1")), (("equals",), ("2-1", "", "2-1")),
    ],
)  # fmt: skip
def test_every_bound_that_an_interval_has(operations: tuple[str, ...], row: tuple[str, ...]) -> None:
    packages = [rpm(str(n), "x", f"{n + 2}-1", operation) for n, operation in enumerate(operations)]
    tree = all_of(*(criterion(str(n)) for n in range(len(operations))))
    ((_, _, _, *ends, _),) = short(read("oval-redhat", red_hat(tree, *packages)))
    assert tuple(ends) == row


FIXED = rpm("9", "y", "9-1")


@pytest.mark.parametrize(
    ("tree", "packages", "reason"),
    [
        (all_of(criterion("1"), criterion("2")), [rpm("1", "a", "1-1"), rpm("2", "b", "1-1")], "several packages"),
        (criterion("1", negate="true"), [rpm("1", "a", "1-1")], "what is not there"),
        (criterion("1"), [rpm("1", "a", "1-1", check="none satisfy")], "what is not there"),
        (criterion("1"), [rpm("1", "a", "1-1", check="all")], "it checks 'all'"),
        (criterion("1"), [rpm("1", "a", "1-1", "greater than")], "more of a package than its version"),
        (criterion("1"), [rpm("1", "a", "1-1", more="<red-def:release>1</red-def:release>")], "more of a package"),
        (criterion("1"), [rpm("1", "a")], "no version that closes it"),
        (criterion("nowhere"), [], "a test that is not there"),
        ('<extend_definition definition_ref="nowhere" comment=""/>', [], "a definition that is not there"),
        (f'<criteria operator="XOR">{criterion("1")}</criteria>', [rpm("1", "a", "1-1")], "joins by XOR"),
        (all_of(criterion("1"), criterion("2")), [rpm("1", "a", "1-1"), rpm("2", "a", "2-1")], "a package twice"),
    ],
)  # fmt: skip
def test_what_is_no_interval_is_left_out_with_its_reason(tree: str, packages: list[Any], reason: str) -> None:
    found = read("oval-redhat", red_hat(any_of(tree, criterion("9")), *packages, FIXED))
    assert [row[1] for row in short(found)] == ["y"]
    assert (found.elsewhere, len(found.because)) == (1, 1)
    assert found.because[0].startswith("1: ")
    assert reason in found.because[0]


def test_the_reasons_are_told_with_the_feed() -> None:
    data = red_hat(any_of(criterion("1", negate="true"), criterion("9")), rpm("1", "a", "1-1"), FIXED)
    arrival = Arrival("oval-redhat", "osv", "oval-redhat", "", "file")
    assert limits_of(arrival, content(arrival, data)).endswith(
        "Left out of this file: 1 statements (1: it asks for what is not there)."
    )


def test_what_is_of_an_extended_stream_or_of_no_release_here_closes_nothing() -> None:
    eus = red_hat(cpes=("cpe:/a:redhat:rhel_eus:8.4::appstream", "cpe:/a:redhat:enterprise_linux:8"))
    other = red_hat(cpes=("cpe:/a:redhat:jboss:7",))
    both = red_hat(cpes=("cpe:/a:redhat:enterprise_linux:8", "cpe:/a:redhat:enterprise_linux:9"))
    for data in (eus, other, both):
        with pytest.raises(BadFeed, match="nothing of a release"):
            read("oval-redhat", data)


@pytest.mark.parametrize(
    ("resolution", "state", "reason"),
    [("Affected", "open", ""), ("Will not fix", "deferred", "Will not fix"),
     ("Not affected", "not_affected", "Not affected"),
     ("Under investigation", "open", "Under investigation")],
)  # fmt: skip
def test_what_has_no_fix_and_what_is_to_become_of_it(resolution: str, state: str, reason: str) -> None:
    said = f'<resolution state="{resolution}"><component>nodejs:18/x</component></resolution>'
    (row,) = read("oval-redhat", red_hat(criterion("1"), rpm("1", "x"), kind="vulnerability", affected=said)).spans
    assert (row.id, row.aliases, row.name, row.state, row.reason) == ("CVE-2024-0001", (), "x", state, reason)


@pytest.mark.parametrize(
    ("cut", "published", "modified"),
    [
        (('<issued date="2024-01-02"/>',), "2023-12-19T00:00:00Z", "2024-01-03T00:00:00Z"),  # as open CVEs are
        (('<issued date="2024-01-02"/>', ' public="20231219"'), "2024-01-03T00:00:00Z", "2024-01-03T00:00:00Z"),
        (('<issued date="2024-01-02"/>', ' public="20231219"', '<updated date="2024-01-03"/>'),
         "2024-01-20T10:00:00Z", "2024-01-20T10:00:00Z"),
        ((), "2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"),
    ],
)  # fmt: skip
def test_what_was_never_issued_is_as_old_as_its_cve_and_not_as_the_file(
    cut: tuple[str, ...], published: str, modified: str
) -> None:
    text = red_hat(criterion("1"), rpm("1", "tar"), kind="vulnerability").decode()
    for each in cut:
        assert each in text
        text = text.replace(each, "")
    (row,) = read("oval-redhat", text.encode()).spans
    assert (row.published, row.modified) == (published, modified)
    if cut:
        assert read("oval-redhat", text.replace('public="20231219"', 'public="20231219:1000"').encode()).spans == [row]


def test_an_impossible_day_refuses_the_file() -> None:
    text = red_hat(criterion("1"), rpm("1", "tar"), kind="vulnerability").decode()
    bent = text.replace('<issued date="2024-01-02"/>', "").replace('public="20231219"', 'public="20231399"')
    with pytest.raises(BadFeed, match="no day: 2023-13-99"):
        read("oval-redhat", bent.encode())


def test_what_red_hat_calls_unaffected_makes_no_row_and_is_told_once_each() -> None:
    there, gone = rpm("1", "zlib"), rpm("2", "zlib", check="none satisfy")  # "is installed" and "is not installed"
    none = red_hat_definition(
        any_of(made.NO_RELEASE, all_of(criterion("1"), criterion("2"))), "20020059", kind="vulnerability"
    ).replace("com.redhat.rhsa:def:", "com.redhat.unaffected:def:")
    whole = red_hat_definition(any_of(made.NO_RELEASE, criterion("9")))
    found = read("oval-redhat", red_hat(None, there, gone, FIXED, definitions=none + whole))
    assert [row[1] for row in short(found)] == ["y"]
    assert (found.elsewhere, found.because) == (1, ("1: it names what is not affected, without saying why",))


def test_notices_of_ubuntu_by_source() -> None:
    found = read("oval-ubuntu-jammy", ubuntu(("vim", "2:8.2.3995-1ubuntu2.1", ""), ("xxd", "1", "")))
    assert [(r.ecosystem, r.name, r.id, r.aliases, r.fixed) for r in found.spans] == [
        ("ubuntu:22.04", "vim", "USN-5518-1", ("CVE-2022-0943",), "2:8.2.3995-1ubuntu2.1"),
        ("ubuntu:22.04", "xxd", "USN-5518-1", ("CVE-2022-0943",), "1"),
    ]
    assert found.spans[0].summary == "USN-5518-1 -- Vim vulnerabilities"


@pytest.mark.parametrize(
    ("comment", "version", "state"),
    [
        ("vim package in jammy was vulnerable but has been fixed (note: '1').", "1", "fixed"),
        ("vim package in jammy is affected and needs fixing.", "", "open"),
        ("vim package in jammy is affected, but a decision has been made to defer addressing it.", "", "deferred"),
    ],
)  # fmt: skip
def test_cves_of_ubuntu_that_are_fixed_open_or_deferred(comment: str, version: str, state: str) -> None:
    data = ubuntu(("vim", version, comment), kind="vulnerability", words="x", listed="x")
    ((row,),) = (read("oval-ubuntu", data).spans,)
    assert (row.id, row.name, row.state) == ("CVE-2022-0943", "vim", state)
    assert (row.reason == comment) is (state == "deferred")


def test_a_source_that_is_not_named_is_left_out() -> None:
    with pytest.raises(BadFeed, match="nothing of a release") as e:
        read("oval-ubuntu", ubuntu(("vim", "1", ""), words="x", listed="x"))
    assert e.value.context["elsewhere"] == 1


def test_definitions_that_refer_to_each_other_in_circles_or_chains_end() -> None:
    def link(number: str, to: str) -> str:
        inner = f'<extend_definition definition_ref="oval:com.redhat.rhsa:def:{to}" comment=""/>'
        return red_hat_definition(any_of(inner, criterion("9")), number)

    circle = link("20240001", "20240002") + link("20240002", "20240001")
    found = read("oval-redhat", red_hat(None, FIXED, definitions=circle))
    assert {row.id for row in found.spans} == {"RHSA-2024:0001", "RHSA-2024:0002"}
    assert "circle" in found.because[0]
    chain = "".join(link(f"2024{n:04}", f"2024{n + 1:04}") for n in range(1, 600))
    assert any("too many others" in why for why in read("oval-redhat", red_hat(None, FIXED, definitions=chain)).because)
    doubled = "".join(
        red_hat_definition(all_of(*[f'<extend_definition definition_ref="oval:com.redhat.rhsa:def:2024{n + 1:04}" '
                                    'comment=""/>'] * 2, criterion("9")), f"2024{n:04}")
        for n in range(1, 60)
    )  # fmt: skip
    assert read("oval-redhat", red_hat(None, FIXED, definitions=doubled + link("20240060", "x"))).spans


def test_trees_that_would_unfold_are_bounded() -> None:
    packages = [rpm(str(n), "x", f"{n}-1") for n in range(40)]
    wide = all_of(*(any_of(*(criterion(str(n)) for n in range(k, k + 2))) for k in range(0, 40, 2)))  # 2 ** 20
    found = read("oval-redhat", red_hat(any_of(wide, criterion("0")), *packages))
    assert short(found)[0][4] == "0-1"
    assert "too many alternatives" in found.because[0]
    deep = criterion("0")
    for _ in range(60):
        deep = all_of(deep)
    with pytest.raises(BadFeed, match="nested deeper"):
        read("oval-redhat", red_hat(deep, *packages))


ENTITIES = (
    '<!DOCTYPE oval_definitions [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    '<!DOCTYPE oval_definitions SYSTEM "file:///etc/passwd">', '<!DOCTYPE oval_definitions [<!ENTITY % x SYSTEM "http://x">%x;]>',
)  # fmt: skip


@pytest.mark.parametrize("doctype", ENTITIES)
def test_a_document_type_is_refused_before_an_entity_unfolds(doctype: str) -> None:
    for feed, data in (("oval-redhat", red_hat()), ("oval-ubuntu", ubuntu(("vim", "1", ""))), ("msrc", made.cvrf())):
        head, _, rest = data.decode().partition("?>")
        with pytest.raises(BadFeed, match="document type"):
            read(feed, f"{head}?>{doctype}{rest}".encode())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<html/>", "its root is"), (b"", "no XML"), (b"{}", "no XML"), (red_hat()[:-9], "no XML"),
        (red_hat().replace(b"com.redhat.rhsa:def", b"org.evil:def"), "not of Red Hat"),
        (red_hat(definitions=red_hat_definition(criterion("1")) * 2), "stands there twice"),
        (red_hat(None, rpm("1", "x", "1." + "9" * 300 + "-1")), "digits"),
        (red_hat(None, rpm("1", "x", "1-1\u00e9")), "version"),
        (red_hat().replace(b"2024-01-20T10:00:00", b"yesterday"), "timestamp"),
        (b'<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5"/>', "when it was made"),
        (b"<" * 9_000_000, "no XML"), (b"<oval_definitions x='" + b"a" * 9_000_000, "one tag has more than"),
    ],
)  # fmt: skip
def test_what_cannot_be_believed_refuses_the_file(data: bytes, says: str) -> None:
    with pytest.raises(BadFeed) as e:
        read("oval-redhat", data)
    assert says in str(e.value)


def test_it_is_unicode_whatever_it_claims() -> None:
    assert read("oval-redhat", red_hat().decode().encode("utf-16")) == read("oval-redhat", red_hat())
    for claimed in (b"utf-7", b"iso-8859-1", b"no-such-thing"):
        assert read("oval-redhat", red_hat().replace(b"utf-8", claimed)) == read("oval-redhat", red_hat())


PACKS: dict[bytes, Callable[[bytes], bytes]] = {
    b"BZh9": bz2.compress, b"\xfd7zXZ\x00": lzma.compress, b"\x1f\x8b\x08": gzip.compress,
}  # fmt: skip


def test_packed_by_bzip2_and_xz_within_bounds() -> None:
    data = red_hat()
    for pack in PACKS.values():
        half = len(data) // 2
        assert read("oval-redhat", pack(data)) == read("oval-redhat", pack(data[:half]) + pack(data[half:]))
        assert unpacked(pack(b"x" * 99), "x", 99) == b"x" * 99
        with pytest.raises(BadFeed, match="more than 99 bytes when unpacked"):
            unpacked(pack(b"\0" * 50_000_000), "x", 99)
        with pytest.raises(BadFeed, match="ends too soon"):
            unpacked(pack(data)[:-5], "x")
        with pytest.raises(BadFeed, match="damaged"):
            unpacked(pack(data) + b"garbage that is no member", "x")
    bomb = bz2.compress(bz2.compress(b"\0" * 50_000_000))
    with pytest.raises(BadFeed, match="no XML"):  # packed twice is not unpacked twice
        read("oval-redhat", bomb)
    assert unpacked(lzma.compress(b"x") + b"\0" * 8, "x") == b"x"  # padded
    assert unpacked(bz2.compress(b"") * 200_000, "x") == b""  # each leaves the rest of its piece, not of the file


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(sorted(PACKS)), st.data())
def test_whatever_is_packed_comes_out_or_is_refused(tail: bytes, magic: bytes, data: st.DataObject) -> None:
    pack = PACKS[magic]
    whole = bytearray(pack(b"abc" * 100))
    whole[data.draw(st.integers(len(magic), len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    for file in (magic + tail, bytes(whole), bytes(whole) + tail):
        with contextlib.suppress(BadFeed):
            assert len(unpacked(file, "x", 1000)) <= 1000


NAMES = ["definition", "criteria", "criterion", "metadata", "state", "evr", "Vulnerability", "ProductTree", "x"]
TREES = st.recursive(
    st.text(max_size=5).map(escape),
    lambda inner: st.builds(lambda name, n, many: f'<{name} id="{n}" operator="OR">{"".join(many)}</{name}>',
                            st.sampled_from(NAMES), st.integers(0, 3), st.lists(inner, max_size=3)),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(TREES, st.integers(0, 5000), st.binary(max_size=8))
def test_whatever_stands_anywhere_gives_rows_or_a_bad_feed(tree: str, place: int, noise: bytes) -> None:
    for feed, whole in (("oval-redhat", red_hat()), ("oval-ubuntu", ubuntu(("vim", "1", ""))), ("msrc", made.cvrf())):
        at = whole.index(b">", min(place, len(whole) - 2)) + 1
        for data in (whole[:at] + tree.encode("utf-8", "replace") + whole[at:], whole[:at] + noise + whole[at + 3 :]):
            with contextlib.suppress(BadFeed):
                read(feed, data)


FACTS = st.sampled_from("abc")
BRANCHES = st.recursive(
    st.builds(Leaf, st.just("test"), FACTS, st.just(""), st.booleans()),
    lambda inner: st.builds(lambda op, no, many: Rest(op, no, tuple(many)), st.sampled_from(["AND", "OR"]),
                            st.just(False), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(BRANCHES)
def test_alternatives_say_what_the_tree_says(branch: Leaf | Rest) -> None:
    """Where nothing that can be asked is negated, a tree holds where one of its alternatives does."""
    tree = branch if isinstance(branch, Rest) else Rest("AND", False, (branch,))
    found = Solver(lambda _, id_, __: frozenset((frozenset((Package(id_),)),))).solve(tree)

    def holds(node: Leaf | Rest, there: frozenset[str]) -> bool | None:
        if isinstance(node, Leaf):
            return None if node.negated else node.id in there
        parts = [holds(child, there) for child in node.children]
        if None in parts:
            return None
        return all(parts) if node.operator == "AND" else any(parts)

    for size in range(4):
        for there in map(frozenset, itertools.combinations("abc", size)):
            if (expected := holds(tree, there)) is not None:
                assert any(all(f.name in there for f in facts) for facts in found) == expected  # type: ignore[union-attr]


def test_an_alternative_of_streams_or_of_nothing_is_no_interval() -> None:
    assert interval(frozenset()) == "it asks for no package"
    assert "streams" in str(interval(frozenset((Package("x"), Module("a:1"), Module("a:2")))))
    assert interval(next(iter(unclear("why")))) == "why"


def test_a_file_without_a_feed_s_name_is_known_by_its_bytes() -> None:
    for data, system, name in ((red_hat(), "rhel:8", "thunderbird"), (ubuntu(("vim", "1", "")), "ubuntu:22.04", "vim")):
        assert anyfile.is_foreign(data)
        found = anyfile.read(data, "x", {system}, {name})
        assert ([span.name for span in found.spans], found.ecosystems) == ([name], frozenset((system,)))
    for data, why in ((made.cvrf(), "no OVAL of Red Hat"), (red_hat()[:-9], "no XML")):
        with pytest.raises(BadFeed, match=why):
            anyfile.read(data, "x", (), ())


def test_a_month_in_xml_says_what_the_same_month_says_in_json() -> None:
    said, vector = read("msrc-2024-mar", made.cvrf()), "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H"
    only = month("2024-Mar", "2024-03-12", fix("5035845", "10.0.19045.4170", "5034763", "11929"),
                 ProductStatuses=[{"ProductID": ["11929"], "Type": 3}],
                 CVSSScoreSets=[{"Vector": vector, "ProductID": ["11929"]}])  # fmt: skip
    assert said == read("msrc-2024-mar", json.dumps(only).encode())
    assert [(r.name, r.fixed, r.aliases, r.related) for r in said.spans] == [
        (WIN, "10.0.19045.4170", ("KB5035845",), ("KB5034763",))
    ]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (made.cvrf(contact="x@evil.example"), "not of Microsoft"), (made.cvrf(cve="x"), "no CVE"),
        (made.cvrf(products='<prod:FullProductName ProductID="11929">x</prod:FullProductName>'), "two names"),
        (made.cvrf().replace(b"<vuln:Title>", b"<vuln:Title>\0"), "no XML"),
        (made.cvrf().replace(b"cvrf/1.1", b"cvrf/9"), "its root is"),
        (made.cvrf().replace(b">11929<", b">9<"), "the tree has not"),
    ],
)  # fmt: skip
def test_a_month_in_xml_that_cannot_be_believed_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(BadFeed) as e:
        read("msrc", data)
    assert says in str(e.value)
