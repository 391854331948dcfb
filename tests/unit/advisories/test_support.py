"""Ends of support: endoflife.date's JSON, and what it says of a system."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_vendors import ends, release

from brakeline.advisories.importers import BadFeed
from brakeline.advisories.support import ended, read

TODAY = "2026-11-20"


def said(document: Any, os_id: str, version: str, today: str = TODAY) -> str:
    return ended(read(json.dumps(document).encode(), "x").rows, os_id, version, today)


def test_a_release_past_its_end_is_told_and_one_before_it_is_not() -> None:
    debian = ends("debian", release("12", "2026-06-10"), release("13", "2028-08-09"))
    assert said(debian, "debian", "12") == (
        "Debian 12 is no longer assessed by its vendor since 2026-06-10: what was found later is not told"
    )
    assert said(debian, "debian", "12", "2026-06-10") == ""
    assert said(debian, "debian", "13") == said(debian, "debian", "14") == said(debian, "arch", "") == ""


def test_support_that_is_paid_for_is_told_while_it_lasts() -> None:
    ubuntu = ends("ubuntu", release("20.04", "2025-05-31", "2030-04-02"))
    assert said(ubuntu, "ubuntu", "20.04").endswith("except to those who pay for support until 2030-04-02")
    assert "pay" not in said(ubuntu, "ubuntu", "20.04", "2030-04-03")


@pytest.mark.parametrize(
    ("product", "name", "os_id", "version", "is_ended"),
    [
        ("almalinux", "8", "almalinux", "8.10", True), ("almalinux", "8", "almalinux", "80.1", False),
        ("alpine-linux", "3.19", "alpine", "3.19.1", True), ("rocky-linux", "8", "rocky", "8", True),
        ("sles", "15.5", "sles", "15.5", True), ("opensuse", "15.5", "opensuse-leap", "15.5", True),
        ("ubuntu", "8", "almalinux", "8", False),
    ],
)  # fmt: skip
def test_systems_by_their_own_names(product: str, name: str, os_id: str, version: str, *, is_ended: bool) -> None:
    assert bool(said(ends(product, release(name, "2025-01-01")), os_id, version)) is is_ended


def test_editions_of_one_build_have_ended_when_all_have() -> None:
    home = release("10-21h2-w", "2023-06-13", build="10.0.19044")
    ltsc = release("10-21h2-e-lts", "2027-01-12", build="10.0.19044")
    assert said(ends("windows", home, ltsc), "windows", "10.0.19044") == ""
    assert said(ends("windows", home), "windows", "10.0.19044").startswith("Windows 10-21h2-w is no longer")
    assert said(ends("windows", home), "windows", "10.0.19045") == ""


def test_a_release_without_a_day_is_not_called_ended() -> None:
    assert said(ends("debian", release("12", None)), "debian", "12") == ""
    both = ends("centos", release("8", None), release("9", "2020-01-01"))
    assert said(both, "centos", "8") == ""


def test_one_product_alone_and_its_time() -> None:
    document = ends("debian", release("12", "2026-06-10"))
    document["result"] = document["result"][0]
    found = read(json.dumps(document).encode(), "x")
    assert (len(found.rows), found.issued) == (1, "2026-11-01T00:53:29Z")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (ends("debian", release("12", "soon")), "debian: eolFrom is a day"),
        (ends("debian", release("12", "2026-06-10"), release("12", "2026-06-10")), "stands there twice"),
        (ends("debian"), "no release"), ({"result": []}, "generated_at"), ([], "the file is an object"),
        (ends("debian", {"name": ""}), "a release's name"), (ends("debian", "x"), "a release is an object"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_refuses_the_file(document: Any, says: str) -> None:
    with pytest.raises(BadFeed) as e:
        said(document, "debian", "12")
    assert says in str(e.value)


ANY = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers() | st.just("2025-01-01"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "releases", "eolFrom", "latest", "generated_at", "result"]), inner)
    ),
)


@settings(max_examples=60, deadline=None)
@given(ANY, st.sampled_from(["generated_at", "result", "releases"]))
def test_any_document_is_rows_or_a_bad_feed(what: Any, place: str) -> None:
    document = ends("debian", release("12", "2026-06-10"))
    inner = document["result"][0] if place == "releases" else document
    inner[place] = what
    for each in (document, what):
        with contextlib.suppress(BadFeed):
            said(each, "debian", "12")
