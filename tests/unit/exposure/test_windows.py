"""A Windows as its agent reports it, judged by Microsoft's months: one name, builds, updates as advisories."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support_vendors import SERVER, WIN, fix, month

from brakeline.advisories.by_feed import FeedRows, Stamp
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.model import Span
from brakeline.advisories.vendors.kb import judge
from brakeline.advisories.vendors.windows import names_of
from brakeline.exposure.books import book_of, revised, sheaf_of
from brakeline.exposure.match import Book, assess
from brakeline.exposure.windows import ecosystem_of, laid, product_of, system_item

DATA = Path(__file__).resolve().parents[2] / "data" / "feeds" / "msrc-2017-nov.xml.zst"
TEN = ("Windows 10 Pro 22H2", "10.0.19045.{}", "amd64")


@cache
def real() -> tuple[Span, ...]:
    return tuple(read("msrc", DATA.read_bytes()).spans)


def of(*months: dict[str, object]) -> list[Span]:
    return [span for one in months for span in read("msrc", json.dumps(one).encode()).spans]


def found(spans: list[Span], system: tuple[str, str, str], ubr: int) -> list[tuple[str, str, str]]:
    item = system_item(system[0], system[1].format(ubr), system[2])
    assert item is not None
    answer = assess([item], Book((), spans=spans), "windows:10.0.19045")
    assert answer.not_assessed == ()
    return [(f.cve, f.fixed, f.advisory) for f in answer.findings]


@pytest.mark.parametrize(
    ("os_name", "kernel", "architecture", "product"),
    [
        ("Windows 10 Pro 22H2", "10.0.19045.4170", "amd64", "Windows 10 Version 22H2 for x64-based Systems"),
        ("Windows 11 Enterprise 23H2", "10.0.22631.3296", "arm64", "Windows 11 Version 23H2 for ARM64-based Systems"),
        ("Windows 10 Pro", "10.0.10240.20596", "x86", "Windows 10 Version 1507 for 32-bit Systems"),
        ("Windows Server 2022 Datacenter 21H2", "10.0.20348.2340", "amd64", "Windows Server 2022"),
        ("Windows Server 2012 R2 Standard", "6.3.9600.21871", "amd64", "Windows Server 2012 R2"),
        ("Windows 10 Pro 22H2", "10.0.19045", "amd64", ""),  # its build is not known
        ("Windows 10 Pro", "10.0.19046.1", "amd64", ""),
        ("Windows 10 Pro 22H2", "10.0.19045.4170", "mips", ""),
        ("Windows Server 2022", "10.0.19045.4170", "amd64", ""),  # a server of a client's build
        ("", "", "", ""),
    ],
)  # fmt: skip
def test_a_product_is_named_by_its_build_or_not_at_all(
    os_name: str, kernel: str, architecture: str, product: str
) -> None:
    assert product_of(os_name, kernel, architecture) == product
    assert (system_item(os_name, kernel, architecture) is None) is (product == "")


def test_a_build_closes_what_its_update_brought_and_the_update_is_the_advisory() -> None:
    spans = of(month())
    assert found(spans, TEN, 4169) == [("CVE-2024-21407", "10.0.19045.4170", "KB5035845")]
    assert found(spans, TEN, 4170) == []
    server = ("Windows Server 2012 R2 Standard", "6.3.9600.{}", "amd64")
    assert found(spans, server, 21870) == [("CVE-2024-21407", "6.3.9600.21871", "KB5035885 KB5035888")]


def test_an_update_with_many_cves_is_one_span() -> None:
    spans = of(month(), month(CVE="CVE-2024-21408"))
    mine = [span for span in laid(spans) if span.ecosystem == ecosystem_of(WIN)]
    assert [(span.id, span.aliases) for span in mine] == [("KB5035845", ("CVE-2024-21407", "CVE-2024-21408"))]
    assert [cve for cve, _, _ in found(spans, TEN, 1)] == ["CVE-2024-21407", "CVE-2024-21408"]


def test_what_is_no_windows_and_guidance_without_a_cve_stay_out() -> None:
    edge = Span("microsoft", "Microsoft Edge (Chromium-based)", "CVE-2025-1", fixed="129.0.1.1", state="fixed")
    guidance = Span("microsoft", WIN, "ADV990001", aliases=("KB1234567",), state="open")
    other = Span("debian:12", "curl", "CVE-2025-2", fixed="1")
    assert list(laid([edge, guidance, other])) == [edge, other]


def test_what_microsoft_calls_not_affected_or_withdrawn_makes_no_finding_and_is_told() -> None:
    spans = [
        Span("microsoft", WIN, f"CVE-2025-{n}", state=state, reason=reason)
        for n, (state, reason) in enumerate((("not_affected", "the vulnerable code is not in it"), ("withdrawn", "")))
    ]
    assert found(spans, TEN, 1) == []
    item = system_item(TEN[0], TEN[1].format(1), TEN[2])
    assert item is not None
    said = assess([item], Book((), spans=spans), "windows:x").dismissed
    assert [(d.cve, d.code) for d in said] == [("CVE-2025-0", "not_affected"), ("CVE-2025-1", "withdrawn")]
    looked = Span("microsoft", WIN, "CVE-2025-3", state="open", reason="its vendor is still looking into it")
    assert [(span.state, span.reason) for span in laid([looked])] == [("open", looked.reason)]


def test_a_row_without_a_build_is_closed_by_one_of_its_month_or_later_and_else_stands_open() -> None:
    old = month("2024-Feb", "2024-02-13", fix("5034763", "", "", "11929"), CVE="CVE-2024-1")
    assert found(of(old), TEN, 4170) == [("CVE-2024-1", "", "KB5034763")]
    assert found(of(old, month()), TEN, 4170) == []
    assert ("CVE-2024-1", "10.0.19045.4170", "KB5034763") in found(of(old, month()), TEN, 4169)
    newer = month("2024-Apr", "2024-04-09", fix("5036892", "", "", "11929"), CVE="CVE-2024-2")
    assert found(of(newer, month()), TEN, 4170) == [("CVE-2024-2", "", "KB5036892")]


def test_an_update_that_closes_an_older_cve_as_well_is_as_old_as_the_newest_that_it_closes() -> None:
    """A browser's part of June, which closes what May has told, too: the build of May is older than that update."""
    may, june = (f"2024-0{n}-14T00:00:00Z" for n in (5, 6))
    spans = [
        Span("microsoft", WIN, "CVE-2024-1", fixed="10.0.19045.100", aliases=("KB1000100",), published=may),
        Span("microsoft", WIN, "CVE-2024-2", aliases=("KB2000200",), state="open", published=may),
        Span("microsoft", WIN, "CVE-2024-3", aliases=("KB2000200",), state="open", published=june),
    ]  # fmt: skip
    both = [("CVE-2024-2", "", "KB2000200"), ("CVE-2024-3", "", "KB2000200")]
    assert sorted(found(spans, TEN, 100)) == both
    known_late = spans[0]._replace(id="CVE-2024-4", published=june)  # a CVE of May's build of which June tells first
    assert sorted(found([*spans, known_late], TEN, 100)) == both, "its build is no younger for that"
    later = spans[0]._replace(id="CVE-2024-5", fixed="10.0.19045.200", aliases=("KB2000201",), published=june)
    assert [cve for cve, _, _ in found([*spans, later], TEN, 200)] == []
    one = [sheaf_of(FeedRows(f"msrc-{n}", Stamp(f"msrc-{n}", 0, 1), spans=[span])) for n, span in enumerate(spans)]
    item = system_item(TEN[0], TEN[1].format(100), TEN[2])
    assert item is not None
    apart = book_of({f"msrc-{n}": sheaf for n, sheaf in enumerate(one)}, frozenset())
    assert {f.cve for f in assess([item], apart, "windows:x").findings} == {cve for cve, _, _ in both}


def test_a_server_whose_updates_are_not_all_cumulative_keeps_it_open() -> None:
    old = month("2024-Feb", "2024-02-13", fix("5034819", "", "", "10483"), CVE="CVE-2024-1")
    server = ("Windows Server 2012 R2 Standard", "6.3.9600.{}", "amd64")
    assert ("CVE-2024-1", "", "KB5034819") in found(of(old, month()), server, 22000)


def test_a_real_month_under_both_spellings_of_its_names() -> None:
    item = system_item("Windows 10 Pro 1709", "10.0.16299.15", "amd64")
    assert item is not None
    answer = assess([item], Book((), spans=real()), "windows:10.0.16299")
    names = names_of("Windows 10 Version 1709 for x64-based Systems", {row.name for row in real()}).judged
    asked = [row for row in real() if row.name in names]
    said = {verdict.cve for verdict in judge(asked, "10.0.16299.15", []) if verdict.open}
    assert len(said) > 25
    assert {f.cve for f in answer.findings} == said
    assert {f.advisory for f in answer.findings} == {"KB4048955"}


def test_a_product_of_which_no_month_is_loaded_is_without_data_and_not_clean() -> None:
    item = system_item("Windows 11 Pro 24H2", "10.0.26100.1", "amd64")
    assert item is not None
    for book in (Book(()), Book((), spans=of(month()))):
        answer = assess([item], book, "windows:10.0.26100")
        assert (answer.findings, [n.code for n in answer.not_assessed]) == ((), ["no_advisories"])
        assert "no month of Microsoft that speaks of Windows 11 Pro 24H2 is loaded" in answer.not_assessed[0].reason


BUILDS = st.integers(1, 60)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3), BUILDS), max_size=12), BUILDS)
def test_what_is_open_is_what_the_check_by_build_says(rows: list[tuple[int, int, int]], ubr: int) -> None:
    spans = [
        Span("microsoft", name, f"CVE-2024-{cve}", fixed=f"10.0.19045.{build}", aliases=(f"KB{kb}00000{build}",),
             state="fixed", published=f"2024-0{kb}-12T00:00:00Z")
        for cve, kb, build in rows for name in (WIN, WIN.replace("Version", "version"), SERVER)
    ]  # fmt: skip
    mine = [span for span in spans if span.name != SERVER]
    said = {v.cve for v in judge(mine, f"10.0.19045.{ubr}", []) if v.open}
    if spans:
        assert {cve for cve, _, _ in found(spans, TEN, ubr)} == said


def test_a_book_that_a_month_is_added_to_is_the_one_made_of_both() -> None:
    def feed(name: str, day: str, build: str) -> FeedRows:
        one = month(day[:7], day, fix("5035845", build, "", "11929"), CVE="CVE-2024-9")
        return FeedRows(name, Stamp(name, 0, 1), spans=of(one))

    march, april = feed("msrc-3", "2024-03-12", "10.0.19045.4170"), feed("msrc-4", "2024-04-09", "10.0.19045.4291")
    old = {"msrc-3": sheaf_of(march)}
    new = old | {"msrc-4": sheaf_of(april)}
    whole, kev = book_of(new, frozenset()), frozenset[str]()
    assert revised(book_of(old, kev), old, new, kev).contents() == whole.contents()
    item = system_item(TEN[0], TEN[1].format(4200), TEN[2])
    assert item is not None
    assert [f.fixed for f in assess([item], whole, "windows:x").findings] == ["10.0.19045.4291"]  # the later one closes
