"""Microsoft's month and what closes a CVE, on samples built in the published shape of its interface."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_vendors import SERVER, WIN, fix, month

from brakeline.advisories.importers import BadFeed
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.model import Span
from brakeline.advisories.vendors.kb import judge


def rows(*months: Any) -> list[Span]:
    return read("msrc", json.dumps(list(months)).encode()).spans


def test_rows_by_product_with_their_build_and_kbs() -> None:
    found = read("msrc-2024-mar", json.dumps(month()).encode())
    assert [(r.ecosystem, r.name, r.id, r.fixed, r.aliases, r.related) for r in found.spans] == [
        ("microsoft", WIN, "CVE-2024-21407", "10.0.19045.4170", ("KB5035845",), ("KB5034763",)),
        ("microsoft", SERVER, "CVE-2024-21407", "6.3.9600.21871", ("KB5035885", "KB5035888"), ("KB5034819",)),
    ]
    assert (found.issued, found.elsewhere) == ("2024-03-12T07:00:00Z", 1)  # Microsoft's Linux
    assert found.spans[0].severity.startswith("CVSS:3.1/")


def test_what_has_no_fix_or_no_build() -> None:
    none = rows(month(Remediations=[]))[0]
    assert (none.state, none.fixed, none.reason) == ("open", "", "")
    only = rows(month("2024-Mar", "2024-03-12", fix("5035845", "", "", "11929")))[0]
    assert (only.state, only.reason) == ("open", "closed by KB5035845")
    assert not judge([only], "10.0.19045.1", ["KB5035845"])[0].open


@pytest.mark.parametrize(
    ("build", "kbs", "is_open", "because"),
    [
        ("", (), True, "needs KB5035845 (build 10.0.19045.4170)"),
        ("10.0.19045.4046", (), True, "needs KB5035845"),
        ("10.0.19045.4170", (), False, "the build 10.0.19045.4170 has it"),
        ("10.0.19045.10000", (), False, "the build"),
        ("", ("KB5035845",), False, "KB5035845 is installed"),
        ("", ("kb5036892",), False, "KB5036892 is installed, which takes the place of KB5035845"),
        ("", ("KB5037768",), False, "KB5037768 is installed, which takes the place of KB5035845"),
        ("", ("KB5034763",), True, "needs"),  # the older one
    ],
)
def test_an_update_closes_what_it_takes_the_place_of(
    build: str, kbs: tuple[str, ...], is_open: bool, because: str
) -> None:
    april = month("2024-Apr", "2024-04-09", fix("5036892", "10.0.19045.4291", "5035845", "11929"), CVE="CVE-2024-2")
    may = month("2024-May", "2024-05-14", fix("5037768", "10.0.19045.4412", "5036892", "11929"), CVE="CVE-2024-3")
    mine = [r for r in rows(month(), april, may) if r.name == WIN]
    verdict = next(v for v in judge(mine, build, kbs) if v.cve == "CVE-2024-21407")
    assert verdict.open is is_open
    assert verdict.because.startswith(because)


def test_a_cve_that_two_months_speak_of_is_closed_when_both_are() -> None:
    again = month("2024-Apr", "2024-04-09", fix("5036892", "10.0.19045.4291", "5035845", "11929"))
    mine = [r for r in rows(month(), again) if r.name == WIN]
    assert judge(mine, "10.0.19045.4170", [])[0].open
    assert not judge(mine, "10.0.19045.4291", [])[0].open


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (month() | {"DocumentPublisher": {"ContactDetails": {"Value": "x@evil.example"}}}, "not of Microsoft"),
        (month(CVE="CVE-x"), "no CVE"), (month() | {"DocumentTracking": {}}, "ID is a text"),
        (month(ProductStatuses=[{"Type": 3, "ProductID": ["9"]}]), "the tree has not"),
        (month(Remediations="x"), "Remediations is a list"), ([1], "an object"),
        (month(ProductStatuses=[{"Type": 1, "ProductID": ["11929"]}]), "nothing of a release"),
    ],
)  # fmt: skip
def test_what_cannot_be_believed_refuses_the_file(document: Any, says: str) -> None:
    with pytest.raises(BadFeed) as e:
        rows(document)
    assert says in str(e.value)


def test_a_month_twice_must_say_the_same() -> None:
    with pytest.raises(BadFeed, match="2024-Mar stands there twice"):
        rows(month(), month(CVE="CVE-2024-9"))


KBS = st.sampled_from([f"KB500000{n}" for n in range(6)])
ROWS = st.lists(
    st.builds(
        lambda cve, kb, old, build: Span("microsoft", WIN, f"CVE-2024-{cve}", fixed=f"10.0.1.{build}", aliases=(kb,),
                                         related=tuple(sorted(old))),
        st.integers(1, 3), KBS, st.sets(KBS, max_size=3), st.integers(1, 9),
    ), max_size=8,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(ROWS, st.sets(KBS), KBS, st.integers(1, 9))
def test_in_circles_and_all_more_updates_and_newer_builds_never_open_anything(
    said: list[Span], there: set[str], more: str, build: int
) -> None:
    def still_open(version: int, kbs: set[str]) -> set[str]:
        return {v.cve for v in judge(said, f"10.0.1.{version}", kbs) if v.open}

    assert still_open(build, there | {more}) <= still_open(build, there)
    assert still_open(build + 1, there) <= still_open(build, there)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from([3, 2, "11929", WIN]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Value", "Type", "ProductID", "CVE", "FixedBuild"]), inner, max_size=4)
    ),
)


@settings(max_examples=50, deadline=None)
@given(JSON, st.sampled_from(["DocumentTracking", "ProductTree", "Vulnerability", "DocumentPublisher"]), st.data())
def test_whatever_stands_anywhere_gives_rows_or_a_bad_feed(what: Any, place: str, data: st.DataObject) -> None:
    one = month()["Vulnerability"][0]
    inner = data.draw(st.sampled_from(sorted(one)))
    for document in (month() | {place: what}, month(**{inner: what}), what):
        with contextlib.suppress(BadFeed):
            rows(document)
    placed = csaf()
    placed["product_tree"]["branches"][0]["branches"] = [
        what,
        {"category": "product_name", "name": "x", "product": what},
    ]
    for document in (placed, csaf(remediations=what), csaf() | {"product_tree": what}):
        with contextlib.suppress(BadFeed):
            read("csaf-microsoft", json.dumps(document).encode())


def csaf(name: str = WIN, build: str = "10.0.19045.5608", **changed: Any) -> dict[str, Any]:
    """One of Microsoft's CSAF documents, in its published shape: a product's branches are its versions."""
    affected = {"category": "product_version_range", "name": f"<{build}", "product": {"name": "x", "product_id": "1"}}
    fixed = {"category": "product_version", "name": build, "product": {"name": "y", "product_id": "11929"}}
    named = {"category": "product_name", "name": name, "branches": [affected, fixed]}
    help_ = "https://support.microsoft.com/help/5053606"
    one = {
        "cve": "CVE-2025-24059", "product_status": {"fixed": ["11929"], "known_affected": ["1"]},
        "remediations": [{"category": "vendor_fix", "date": "2025-03-11T07:00:00.000Z", "product_ids": ["1"],
                          "details": f"{build}:Security Update:{help_}", "url": help_}],
    }  # fmt: skip
    tracking = {
        "id": "msrc_CVE-2025-24059",
        "status": "final",
        "version": "1",
        "initial_release_date": "2025-03-11T07:00:00.000Z",
        "current_release_date": "2025-03-11T07:00:00.000Z",
    }
    return {
        "document": {"category": "csaf_security_advisory", "csaf_version": "2.0", "title": "CLFS", "tracking": tracking,
                     "publisher": {"category": "vendor", "name": "MSRC", "namespace": "https://msrc.microsoft.com"}},
        "product_tree": {"branches": [{"category": "vendor", "name": "Microsoft", "branches": [named]}]},
        "vulnerabilities": [one | changed],
    }  # fmt: skip


def test_microsoft_s_csaf_by_product_with_build_and_kb() -> None:
    found = read(
        "csaf-microsoft-2025",
        json.dumps(
            [
                csaf(),
                csaf("azl3 kernel 6.6.1-1")
                | {
                    "document": csaf()["document"]
                    | {"tracking": csaf()["document"]["tracking"] | {"id": "msrc_CVE-2025-1"}}
                },
            ]
        ).encode(),
    )
    assert [(r.ecosystem, r.name, r.id, r.fixed, r.aliases) for r in found.spans] == [
        ("microsoft", WIN, "CVE-2025-24059", "10.0.19045.5608", ("KB5053606",))
    ]
    assert found.elsewhere == 1
    assert not judge(found.spans, "10.0.19045.5608", [])[0].open
    assert not judge(found.spans, "", ["KB5053606"])[0].open
    assert judge(found.spans, "10.0.19045.5487", [])[0].open


def test_a_csaf_product_without_a_fix_is_open_and_another_vendor_s_is_refused() -> None:
    (row,) = read("csaf-microsoft", json.dumps(csaf(product_status={"known_affected": ["1"]})).encode()).spans
    assert (row.state, row.fixed) == ("open", "")
    with pytest.raises(BadFeed, match="not of Red Hat"):
        read("csaf-redhat", json.dumps(csaf()).encode())
