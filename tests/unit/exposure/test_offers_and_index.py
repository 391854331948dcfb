"""What is on offer in the words of advisories, and the index over a fleet against asking every endpoint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.model import Advisory, KnownExploited
from brakeline.core.debversion import deb_key
from brakeline.core.errors import Invalid
from brakeline.exposure.across import exposed
from brakeline.exposure.closing import closing
from brakeline.exposure.gains import gains
from brakeline.exposure.index import EndpointView, TenantIndex, counts_of, view_of
from brakeline.exposure.listing import parse
from brakeline.exposure.match import Book, assess, judge
from brakeline.exposure.model import FindingState, Installed, Role
from brakeline.exposure.offers import NEWEST, Offered, candidate_key, offers, state_of
from brakeline.exposure.packed import Damaged, gap_of, text_of
from brakeline.exposure.ranks import Known, ranked
from brakeline.exposure.reach import reach
from brakeline.exposure.standing import Exposed, Members
from brakeline.exposure.sums import Sums
from brakeline.protocol.managers import found_label
from brakeline.protocol.messages import PendingUpdate, UpdateState

DEBIAN = "debian:12"


def item(package: str, version: str, source: str = "", source_version: str = "") -> Installed:
    return Installed(package, source or package, source_version or version, version, "amd64")


def update(name: str, candidate: str, state: str = "available", reason: str = "") -> PendingUpdate:
    return PendingUpdate(name, "amd64", "", candidate, "", True, UpdateState(state), reason)


@pytest.mark.parametrize(
    ("installed", "candidate", "source_version"),
    [
        (item("curl", "7.88-1"), "7.88-2", "7.88-2"),
        (item("bsdutils", "1:2.38-1", "util-linux", "2.38-1"), "1:2.38-2", "2.38-2"),
        (item("libselinux1", "3.4-1+b6", "libselinux", "3.4-1"), "3.4-2+b1", "3.4-2"),
        (item("libc", "2:5-1", "x", "9-9"), "2:6-1", None),  # the binary counts by itself
    ],
)
def test_candidates_tell_source_versions(installed: Installed, candidate: str, source_version: str | None) -> None:
    assert candidate_key(installed, candidate) == (deb_key(source_version) if source_version else NEWEST)


def test_an_offer_below_the_fix_closes_nothing() -> None:
    row = Advisory("curl", "CVE-1", "7.88-3")
    too_old = Offered(deb_key("7.88-2"), FindingState.FIXABLE)
    enough = Offered(deb_key("7.88-3"), FindingState.FIXABLE)
    assert state_of(row, too_old, True) is FindingState.NOT_OFFERED
    assert state_of(row, enough, True) is FindingState.FIXABLE
    assert state_of(row, None, False) is FindingState.UNKNOWN
    assert state_of(row._replace(fixed=""), enough, True) is FindingState.NO_FIX


def found_offers(
    items: list[Installed], *pending: PendingUpdate, kernel: str = ""
) -> dict[tuple[str, str, Role], Offered]:
    return offers(judge(items, Book((), frozenset(), frozenset({DEBIAN})), DEBIAN, kernel)[0], pending)


def test_what_can_be_installed_counts_before_what_is_held() -> None:
    items = [item("curl", "1-1"), item("libcurl4", "1-1", "curl")]
    both = found_offers(items, update("curl", "1-3", "held", "held by root"), update("libcurl4", "1-2"))
    assert both[DEBIAN, "curl", Role.ACTIVE] == Offered(deb_key("1-2"), FindingState.FIXABLE, version="1-2")


def test_new_headers_are_no_offer_for_the_running_kernel_but_a_new_image_is() -> None:
    running = item("linux-image-6.1.0-1-amd64", "6.1.1-1", "linux-signed-amd64", "6.1.1+1")
    headers = item("linux-libc-dev", "6.1.1-1", "linux")
    meta = item("linux-image-amd64", "6.1.1-1", "linux-signed-amd64", "6.1.1+1")
    kernel = "6.1.0-1-amd64"
    only_headers = found_offers([running, headers, meta], update("linux-libc-dev", "6.1.2-1"), kernel=kernel)
    assert (DEBIAN, "linux", Role.ACTIVE) not in only_headers
    assert only_headers[DEBIAN, "linux", Role.CARRIER].state is FindingState.FIXABLE
    image = update("linux-image-amd64", "6.1.2-1", "needs_new_packages")
    by_meta = found_offers([running, headers, meta], image, kernel=kernel)
    assert by_meta[DEBIAN, "linux", Role.ACTIVE].state is FindingState.FIXABLE


def view(endpoint_id: str, items: list[Installed], book: Book, *pending: PendingUpdate) -> EndpointView:
    return view_of(endpoint_id, items, pending, book, ecosystem=DEBIAN, kernel="", lists_known=True, inventory_ms=1)


ROWS = [Advisory(source, f"CVE-{source}-{n}", f"{n}-1") for source in "abc" for n in range(1, 6)]
inventories = st.dictionaries(
    st.sampled_from(["ep_1", "ep_2", "ep_3"]),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 6), max_size=3),
)
histories = st.lists(inventories, min_size=1, max_size=4)


@given(histories)
def test_the_index_says_what_asking_every_endpoint_says_after_any_history(
    history: list[dict[str, dict[str, int]]],
) -> None:
    book, index = Book(ROWS), TenantIndex()
    for state in history:
        for endpoint_id in [*index.views]:
            if endpoint_id not in state:
                index.drop(endpoint_id)
        for endpoint_id, packages in state.items():
            index.put(view(endpoint_id, [item(name, f"{v}-1") for name, v in packages.items()], book))
    expected: dict[str, set[str]] = {}
    for endpoint_id, packages in history[-1].items():
        for found in assess([item(name, f"{v}-1") for name, v in packages.items()], book, DEBIAN).findings:
            expected.setdefault(found.cve, set()).add(endpoint_id)
    assert {cve: set(entry.endpoints) for cve, entry in exposed(index, book).items()} == expected
    for endpoint_id, one in index.views.items():
        assert counts_of(one, book).cves == sum(endpoint_id in ids for ids in expected.values())


def test_carried_only_is_counted_apart() -> None:
    book = Book([Advisory("linux", "CVE-1", "7-1"), Advisory("curl", "CVE-2", "7-1")], frozenset({"CVE-2"}))
    both = view("ep_1", [item("linux-libc-dev", "6-1", "linux"), item("curl", "6-1")], book, update("curl", "7-1"))
    counts = counts_of(both, book)
    assert (counts.cves, counts.carrier_cves, counts.kev, counts.fixable) == (1, 1, 1, 1)
    assert counts.sources == {"curl": ("6-1", 1)}
    index = TenantIndex()
    index.put(both)
    entries = exposed(index, book)
    assert (entries["CVE-1"].endpoints, entries["CVE-1"].carriers) == ({}, {"ep_1"})
    known = Known({"CVE-2": KnownExploited("CVE-2", "2026-01-01", "2026-02-01")}, {}, {}, "2026-11-20", 0)
    ranks = ranked(entries.values(), known, frozenset(), {})
    sums = Sums()
    sums.look(entries, ranks, {}, "2026-11-20")

    def chosen(query: str) -> list[Exposed]:
        return sums.chosen(parse(query))

    assert [e.cve for e in chosen("")] == ["CVE-2", "CVE-1"]  # exploited first, carried last
    assert [e.cve for e in chosen("role:carrier")] == ["CVE-1"]
    assert [e.cve for e in chosen("priority:act kev:yes state:fixable_now cur")] == ["CVE-2"]
    assert chosen("source:bash") == []


def test_an_offer_of_the_system_reaches_nothing_in_an_image_of_the_same_source() -> None:
    """The image has an older version: what updates the system leaves it as it is, and no count says otherwise."""
    book = Book([Advisory("curl", "CVE-1", "7-1"), Advisory("curl", "CVE-2", "5-1")])
    inside = item("curl", "4-1")._replace(architecture=found_label("deb", "/image"))
    one, index = view("ep_1", [item("curl", "6-1"), inside], book, update("curl", "7-1")), TenantIndex()
    index.put(one)
    index.put(view("ep_2", [item("curl", "4-1")], book, update("curl", "7-1")))
    states = {cve: dict(entry.endpoints) for cve, entry in exposed(index, book).items()}
    fixable, left = FindingState.FIXABLE, FindingState.NOT_OFFERED
    assert states == {"CVE-1": {"ep_1": left, "ep_2": fixable}, "CVE-2": {"ep_1": left, "ep_2": fixable}}
    assert (counts_of(one, book).cves, counts_of(one, book).fixable) == (2, 1)
    assert index.view("ep_1").keys == one.keys
    closes = gains(index, book, ["curl", "bash"])
    assert {cve: {index.roll.ids[n] for n in held} for cve, held in closes["curl"].closes.items()} == {
        "CVE-1": {"ep_1", "ep_2"}, "CVE-2": {"ep_2"},
    }  # fmt: skip
    assert (set(closes["curl"].endpoints), set(closes["bash"].endpoints)) == ({"ep_1", "ep_2"}, set())
    ids = [Members(index.roll, held) for held in reach(index, [Advisory("curl", "CVE-2", "5-1")])]
    assert [set(some) for some in ids] == [{"ep_1", "ep_2"}, set(), {"ep_2"}]


def test_nor_in_an_image_that_has_the_very_same_version() -> None:
    book = Book([Advisory("curl", "CVE-1", "7-1")])
    inside = item("curl", "6-1")._replace(architecture=found_label("deb", "/image"))
    one, index = view("ep_1", [item("curl", "6-1"), inside], book, update("curl", "7-1")), TenantIndex()
    index.put(one)
    assert {unit.found for unit, _ in one.keys} == {False, True}
    assert dict(exposed(index, book)["CVE-1"].endpoints) == {"ep_1": FindingState.NOT_OFFERED}  # after the update, too
    assert [f.found for f in assess([item("curl", "6-1"), inside], book, DEBIAN).findings] == [False, True]


def test_what_is_not_assessed_counts_as_often_as_it_lies_there() -> None:
    jar = Installed("x", "x", "1", "1", ecosystem="packagist")
    copies = [jar._replace(architecture=found_label("packagist", f"/srv/{n}")) for n in range(3)]
    index = TenantIndex()
    index.put(view("ep_1", copies, Book((), ecosystems=frozenset({"packagist"}))))
    index.put(view("ep_2", copies[:1], Book((), ecosystems=frozenset({"packagist"}))))
    assert (index.not_assessed(), index.gap_codes()) == (4, {"no_order": 4})
    assert [gap.times for gap in index.view("ep_1").not_assessed] == [3]
    assert gap_of(text_of("gap", index.view("ep_1").not_assessed[0])) == index.view("ep_1").not_assessed[0]
    for text in ('["a","b","c","d"]', '["a","b","c","d","0x"]', '["a","b","c","d",""]', '["a","b","c","d",2]'):
        with pytest.raises(Damaged):
            gap_of(text)


@pytest.mark.parametrize("order", [("curl", "rust-curl"), ("rust-curl", "curl")])
def test_an_endpoint_counts_where_a_cve_stands_worst_on_it(order: tuple[str, ...]) -> None:
    """Two sources carry the same CVE; the fix of only one of them is on offer."""
    book = Book([Advisory(source, "CVE-1", "7-1") for source in order])
    one = view("ep_1", [item(source, "6-1") for source in order], book, update("curl", "7-1"))
    index = TenantIndex()
    index.put(one)
    entry = exposed(index, book)["CVE-1"]
    assert (dict(entry.endpoints), entry.worst()) == ({"ep_1": FindingState.NOT_OFFERED}, FindingState.NOT_OFFERED)
    assert sorted(entry.sources) == ["curl", "rust-curl"]


@pytest.mark.parametrize("query", ["kef:yes", "kev:maybe", "state:fixable", "x" * 501])
def test_a_filter_that_is_not_understood_is_an_error(query: str) -> None:
    with pytest.raises(Invalid):
        parse(query)


def test_an_update_whose_source_version_cannot_be_told_is_taken_to_close_what_has_a_fix() -> None:
    book = Book([Advisory("x", "CVE-1", "10-1")])
    odd = item("libc", "2:5-1", "x", "9-9")
    assert closing({"ep": ([odd], DEBIAN, "")}, {"ep": {"libc": "2:6-1"}}, book).closed == ("CVE-1",)
    assert closing({"ep": ([odd], DEBIAN, "")}, {}, book).closed == ()
