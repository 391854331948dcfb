"""The index against the naive way, over random fleets, advisories and corrections: the same answers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from brakeline.advisories.model import Advisory
from brakeline.exposure.across import exposed
from brakeline.exposure.flips import changes, differing, flips, held_by, in_all
from brakeline.exposure.index import EndpointView, TenantIndex, counts_of, view_of
from brakeline.exposure.match import Book
from brakeline.exposure.memo import Memo
from brakeline.exposure.model import FindingState, Installed, Role
from brakeline.exposure.news import arrivals, moved
from brakeline.exposure.offers import state_of
from brakeline.exposure.packed import Damaged
from brakeline.exposure.reach import affected, reach
from brakeline.exposure.snapshot import freeze, packed, unpacked
from brakeline.exposure.standing import SEVERITY, everywhere
from brakeline.exposure.tallies import findings, weights
from brakeline.protocol.managers import found_label
from brakeline.protocol.messages import PendingUpdate, UpdateState

SYSTEMS = ("debian:12", "almalinux:9", "pypi")
NAMES = ("curl", "linux", "nodejs")
IDS = tuple(f"ep_{n}" for n in range(6))
RULES = "rules-1"

versions = st.builds(
    lambda n, module: f"{n}-1.module_el9+{n}" if module else f"{n}-1",
    st.integers(1, 6), st.sampled_from((False, False, True)),
)  # fmt: skip


def rows_of(ecosystem: str) -> st.SearchStrategy[Advisory]:
    """Rows of every kind that a feed may have: plain, with a beginning, a last version, no fix, withdrawn."""
    text = st.integers(1, 6).map(str) if ecosystem == "pypi" else versions
    return st.builds(
        lambda name, cve, fixed, introduced, last, state, advisory: Advisory(
            name, f"CVE-{cve}", "" if state == "open" or last else fixed, "2026-01-01", introduced=introduced,
            ecosystem=ecosystem, state=state, id=advisory, last_affected=last, reason="",
        ),
        st.sampled_from(NAMES), st.integers(1, 5), text, st.one_of(st.just(""), st.just(""), text),
        st.one_of(st.just(""), st.just(""), text),
        st.sampled_from(("fixed", "fixed", "fixed", "open", "deferred", "withdrawn", "not_affected")),
        st.sampled_from(("", "A-1", "A-2")),
    )  # fmt: skip


books = st.lists(st.sampled_from(SYSTEMS[:1] * 3 + SYSTEMS).flatmap(rows_of), min_size=6, max_size=16)
packages = st.lists(
    st.tuples(
        st.sampled_from((*NAMES, "linux-libc-dev")), st.integers(1, 7), st.sampled_from((False, False, True)),
        st.booleans(), st.sampled_from((False, False, True)),
    ),
    min_size=2, max_size=4, unique_by=lambda p: (p[0], p[4]),
)  # fmt: skip
offered = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(1, 7), st.booleans()), max_size=2)
inventories = st.tuples(st.sampled_from(("debian:12", "debian:12", "almalinux:9")), packages, offered, st.booleans())


def view(
    endpoint_id: str, system: str, items: list[tuple[str, int, bool, bool, bool]],
    pending: dict[str, tuple[int, bool]], known: bool, book: Book, when: int,
) -> EndpointView:  # fmt: skip
    """An inventory of `system`; a package may be PyPI's, of a module, or of an image that lies there."""
    installed = []
    for name, version, python, module, found in items:
        text = f"{version}-1.module_el9+{version}" if module and system == "almalinux:9" else f"{version}-1"
        source = "linux" if name == "linux-libc-dev" else name
        if python:
            installed.append(Installed(name, name, str(version), str(version), "", "ii", "", "pypi"))
        else:
            architecture = found_label("deb", "/image") if found else "amd64"
            installed.append(Installed(name, source, text, text, architecture))
    updates = [
        PendingUpdate(n, "amd64", "", f"{v}-1", "", True, UpdateState.HELD if held else UpdateState.AVAILABLE, "")
        for n, (v, held) in pending.items()
    ]
    return view_of(endpoint_id, installed, updates, book, ecosystem=system, kernel="", lists_known=known,
                   inventory_ms=when)  # fmt: skip


def naive(views: dict[str, EndpointView], book: Book) -> dict[str, dict[str, FindingState]]:
    """CVE -> endpoint -> where it stands worst, endpoint by endpoint and row by row."""
    found: dict[str, dict[str, FindingState]] = {}
    for endpoint_id, one in views.items():
        for unit, role in one.keys:
            for row in book.open_rows(unit) if role is Role.ACTIVE else ():
                state = state_of(row, one.offer(unit, role), one.lists_known)
                before = found.setdefault(row.cve, {}).get(endpoint_id)
                if before is None or SEVERITY[state] > SEVERITY[before]:
                    found[row.cve][endpoint_id] = state
    return found


def carried(views: dict[str, EndpointView], book: Book) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for endpoint_id, one in views.items():
        for unit, role in one.keys:
            for row in book.open_rows(unit) if role is Role.CARRIER else ():
                found.setdefault(row.cve, set()).add(endpoint_id)
    return found


class Fleets(RuleBasedStateMachine):
    """Inventories, advisories, corrections, withdrawals and restarts in any order."""

    @initialize(rows=books, fleet=st.lists(inventories, min_size=3, max_size=6))
    def begin(self, rows: list[Advisory], fleet: list[tuple[str, Any, Any, bool]]) -> None:
        self.rows = rows
        self.book = Book(rows, frozenset({"CVE-1"}), frozenset(SYSTEMS))
        self.index, self.views, self.when = TenantIndex(), {}, 0
        self.memo = Memo()
        for who, sent in zip(IDS, fleet, strict=False):
            self.inventory(who, sent)

    @rule(who=st.sampled_from(IDS), sent=inventories)
    def inventory(self, who: str, sent: tuple[str, Any, Any, bool]) -> None:
        self.when += 1
        self.views[who] = view(who, *sent, self.book, self.when)
        self.index.put(self.views[who])

    @rule()
    def pruned(self) -> None:
        """What nobody has goes; every other step and every comparison stays as it was."""
        self.index.prune()
        assert self.index.prune() == 0
        assert {value for _, value in self.index.keys.living()} == {value for value, _ in self.index.keys.held()}

    @precondition(lambda self: self.views)
    @rule(data=st.data())
    def retired(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(sorted(self.views)))
        del self.views[who]
        self.index.drop(who)

    @rule(rows=st.lists(st.sampled_from(SYSTEMS).flatmap(rows_of), min_size=1, max_size=3), withdrawn=st.booleans())
    def advisories(self, rows: list[Advisory], withdrawn: bool) -> None:
        """New rows come, or old ones are taken back; what is told to have changed is what the naive way says."""
        before, was = self.book, naive(self.views, self.book)
        self.rows = self.rows[len(self.rows) // 2 :] if withdrawn else self.rows + rows
        self.book = Book(self.rows, frozenset({"CVE-1", "CVE-2"} if withdrawn else {"CVE-1"}), frozenset(SYSTEMS))
        self.book.keep(before)  # as the server does: what says the same stays the same object
        self.memo.entries(self.index, before)
        names = differing(self.index.orders, before, self.book)
        mine = held_by(self.index, names)
        some = in_all(flips(mine, changes({u for u, _ in mine}, before, self.book)), mine, before, self.memo.states())
        holders = self.index.holders
        assert some == flips(holders, changes({u for u, _ in holders}, before, self.book)), "as looking every unit up"
        news, will = moved(self.index, before, self.book), naive(self.views, self.book)
        ids = self.index.roll.ids
        told = {ids[n] for n in news.endpoints}
        for who, one in self.views.items():
            assert who in told or counts_of(one, before) == counts_of(one, self.book), who
        for cve, where in will.items():
            come = where.keys() - was.get(cve, {}).keys()
            assert come <= ({ids[n] for n in news.opened[cve].endpoints} if cve in news.opened else set())
        for cve, where in was.items():
            gone = where.keys() - will.get(cve, {}).keys()
            assert gone <= ({ids[n] for n in news.closed[cve].endpoints} if cve in news.closed else set())
        assert len(arrivals(news)) == len(news.opened.keys() | news.closed.keys())

    @rule()
    def restart(self) -> None:
        self.index, made_ms = unpacked(packed(freeze(self.index), "te_1", RULES, 7), "te_1", RULES)
        assert made_ms == 7
        self.memo = Memo()  # one belongs to one index

    @invariant()
    def what_is_remembered_by_name_is_what_asking_every_name_says(self) -> None:
        before = self.memo.entries(self.index, self.book)
        assert before == exposed(self.index, self.book)
        assert self.memo.entries(self.index, self.book) is before
        assert self.memo.asked == 0
        assert self.memo.vulnerable() == everywhere([entry for entry in before.values() if entry.endpoints])

    @invariant()
    def every_cve_stands_where_the_naive_way_says(self) -> None:
        found = exposed(self.index, self.book)
        assert {cve: dict(e.endpoints) for cve, e in found.items() if e.endpoints} == naive(self.views, self.book)
        assert {cve: set(e.carriers) for cve, e in found.items() if e.carriers} == carried(self.views, self.book)
        for entry in found.values():
            assert sum(entry.states().values()) == len(entry.endpoints) == len(dict(entry.endpoints))
            assert entry.only_carried() == len(set(entry.carriers) - set(entry.endpoints))
            among = self.index.roll.members(IDS[:2])
            assert entry.among(among) == len(entry.endpoints.keys() & {*IDS[:2]})

    @invariant()
    def every_endpoint_is_kept_as_it_was_given(self) -> None:
        assert set(self.index.views) == set(self.views)
        for who, one in self.views.items():
            kept = self.index.views[who]
            assert (kept.keys, kept.offered, kept.missing) == (one.keys, one.offered, one.missing)
            assert counts_of(kept, self.book) == counts_of(one, self.book)

    @invariant()
    def what_is_kept_in_sums_is_what_endpoint_by_endpoint_gives(self) -> None:
        assert set(self.index.assessed) == {who for who, one in self.views.items() if one.packages > one.missing}
        assert self.index.not_assessed() == sum(one.missing for one in self.views.values())
        codes = [gap.code for one in self.views.values() for gap in one.not_assessed for _ in range(gap.times)]
        assert self.index.gap_codes() == dict(sorted(Counter(codes).items()))

    @invariant()
    def sums_along_rows_are_findings(self) -> None:
        sums = findings(self.index.keys, weights(self.index, self.book))
        for who, one in self.views.items():
            rows = sum(len(self.book.open_rows(unit)) for unit, role in one.keys if role is Role.ACTIVE)
            assert sums[self.index.roll.numbers[who]] == rows

    @invariant()
    def an_advisory_reaches_whom_it_concerns(self) -> None:
        """Asked for one CVE with all of its rows, as a feed brings them."""
        for cve in ("CVE-1", "CVE-2"):
            mine = [row for row in self.rows if row.cve == cve]
            alone, ids = Book(mine, frozenset(), frozenset(SYSTEMS)), self.index.roll.ids
            where = naive(self.views, alone).get(cve, {})
            assert {ids[n] for n in affected(self.index, mine)} == set(where)
            got = reach(self.index, mine)
            assert {ids[n] for n in got.carrying} == carried(self.views, alone).get(cve, set()) - set(where)
            fixable = {who for who, state in where.items() if state is FindingState.FIXABLE}
            assert {ids[n] for n in got.patchable} <= set(where)
            if not any(row.id or row.last_affected for row in mine) and len({r.source for r in mine}) == len(mine):
                assert {ids[n] for n in got.patchable} == fixable


TestFleets = Fleets.TestCase
TestFleets.settings = settings(max_examples=40, stateful_step_count=6, deadline=None)


@pytest.mark.long
class TestManyFleets(Fleets.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=600, stateful_step_count=15, deadline=None)


def small() -> tuple[TenantIndex, bytes]:
    book, index = Book([Advisory("curl", "CVE-1", "7-1")]), TenantIndex()
    for n in range(4):
        index.put(
            view(f"ep_{n}", "debian:12", [("curl", n + 1, False, False, n == 3)], {"curl": (7, False)}, True, book, n)
        )
    index.drop("ep_1")
    return index, packed(freeze(index), "te_1", RULES, 7)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_snapshot_that_was_cut_or_changed_anywhere_is_refused(data: st.DataObject) -> None:
    whole = small()[1]
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    for broken in (whole[:place], bytes(changed), whole + b"\0", whole[:place] + whole[place + 1 :]):
        with pytest.raises(Damaged):
            unpacked(broken, "te_1", RULES)


def test_a_snapshot_of_another_tenant_of_other_rules_or_of_another_format_is_refused_and_says_why() -> None:
    _, whole = small()
    for data, tenant, rules, why in (
        (whole, "te_2", RULES, "another tenant"), (whole, "te_1", "rules-2", "another rules"),
        (b"BLINDEX\x00" + whole[8:], "te_1", RULES, "another version"), (b"", "te_1", RULES, "no snapshot"),
    ):  # fmt: skip
        with pytest.raises(Damaged, match=why):
            unpacked(data, tenant, rules)


def test_versions_and_names_that_nobody_has_are_given_up_and_may_come_back() -> None:
    book, index = Book([Advisory("curl", "CVE-1", "7-1")]), TenantIndex()
    old = view("ep_0", "debian:12", [("curl", 1, False, False, False)], {"curl": (7, False)}, True, book, 1)
    new = view("ep_0", "debian:12", [("nodejs", 2, False, False, False)], {}, True, book, 2)
    memo = Memo()
    index.put(old)
    assert set(memo.entries(index, book)) == {"CVE-1"}
    index.put(new)
    assert index.prune() == 2  # a unit and what was offered for it
    assert [name[1] for name in index.orders] == ["nodejs"]
    assert index.offered == {}
    assert memo.entries(index, book) == exposed(index, book) == {}
    taken = len(index.keys.values)
    index.put(old)
    assert len(index.keys.values) == taken + 1, "an id is not given a second time"
    assert memo.entries(index, book) == exposed(index, book)
    assert set(memo.entries(index, book)) == {"CVE-1"}
    assert unpacked(packed(freeze(index), "te_1", RULES, 7), "te_1", RULES)[0].keys.values == [*index.keys.of(0)]


def test_numbers_of_endpoints_that_are_gone_are_given_up_by_a_snapshot() -> None:
    index, whole = small()
    again, _ = unpacked(whole, "te_1", RULES)
    assert (list(index.roll.numbers.values()), list(again.roll.numbers.values())) == ([0, 2, 3], [0, 1, 2])
    assert {who: again.views[who] for who in again.views} == {who: index.views[who] for who in index.views}
    assert np.array_equal(*(findings(i.keys, np.ones(len(i.keys.values), np.int32))[:1] for i in (index, again)))
