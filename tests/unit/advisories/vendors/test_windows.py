"""Microsoft's names of one Windows, on the names of a real month."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.model import Span
from brakeline.advisories.vendors.kb import judge
from brakeline.advisories.vendors.windows import folded, names_of

DATA = Path(__file__).resolve().parents[3] / "data" / "feeds" / "msrc-2017-nov.xml.zst"


@cache
def month() -> list[str]:
    return sorted({row.name for row in read("msrc", DATA.read_bytes()).spans})


@pytest.mark.parametrize(
    ("product", "names"),
    [
        ("Windows 10 Version 1709 for x64-based Systems", [
            "Internet Explorer 11 on Windows 10 Version 1709 for 64-based Systems",
            "Microsoft Edge on Windows 10 Version 1709 for 64-based Systems",
            "Windows 10 Version 1709 for 64-based Systems",
        ]),
        ("Windows 10 Version 1507 for 32-bit Systems", [
            "Internet Explorer 11 on Windows 10 for 32-bit Systems", "Microsoft Edge on Windows 10 for 32-bit Systems",
            "Windows 10 for 32-bit Systems",
        ]),
        ("Windows Server 2016 (Server Core installation)", ["Windows Server 2016  (Server Core installation)"]),
        ("windows server 2012", ["Internet Explorer 10 on Windows Server 2012", "Windows Server 2012"]),
        ("Windows 10 Version 22H2 for x64-based Systems", []), ("Microsoft Edge", []), ("", []),
    ],
)  # fmt: skip
def test_a_system_is_found_by_every_name_that_means_it(product: str, names: list[str]) -> None:
    assert names_of(product, month()) == (names, [])


def test_what_may_not_be_there_is_no_part() -> None:
    found, _ = names_of("Windows 8.1 for x64-based systems", month())
    assert "Adobe Flash Player on Windows 8.1 for x64-based systems" in month()
    assert not any("Flash" in name for name in found)
    newer = "Microsoft Edge (EdgeHTML-based) on Windows 10 Version 1809 for x64-based Systems"
    assert names_of("Windows 10 Version 1809 for x64-based Systems", [newer]).judged == [newer]
    assert (
        names_of("Windows 10 Version 1809 for x64-based Systems", [newer.replace("EdgeHTML", "Chromium")]).judged == []
    )


SERVER, OLDER, NEWER = (
    "Windows Server 2012", "Internet Explorer 10 on Windows Server 2012", "Internet Explorer 11 on Windows Server 2012",
)  # fmt: skip


def test_an_older_internet_explorer_is_left_out_where_an_update_says_that_it_is_gone() -> None:
    both = [OLDER, NEWER, SERVER]
    assert names_of(SERVER, both, ["KB5036969", "KB4492872"]) == (
        [NEWER, SERVER], [f"{OLDER}: KB4492872 has put Internet Explorer 11 in its place"],
    )  # fmt: skip
    assert names_of(SERVER, both, ["KB5036969"]) == (both, [])  # nobody knows which is there: each counts
    assert names_of(SERVER, both) == (both, [])


def test_an_update_that_brings_an_older_one_than_there_is_leaves_nothing_out() -> None:
    seven = [
        "Internet Explorer 9 on Windows 7",
        "Internet Explorer 10 on Windows 7",
        "Internet Explorer 11 on Windows 7",
    ]
    assert names_of("Windows 7", seven, ["KB982861"]) == (seven, [])
    assert names_of("Windows 7", seven, ["KB2718695", "KB982861"]).judged == seven[1:]
    assert names_of("Windows 7", seven, ["KB2841134", "KB982861"]).judged == seven[2:]


def test_the_first_windows_11_is_named_with_and_without_its_version() -> None:
    names = ["Windows 11 for x64-based Systems", "Windows 11 version 21H2 for x64-based Systems",
             "Windows 11 Version 22H2 for x64-based Systems"]  # fmt: skip
    assert names_of("Windows 11 Version 21H2 for x64-based Systems", names).judged == names[:2]
    assert names_of("Windows 11 Version 22H2 for x64-based Systems", names).judged == names[2:]


def test_the_build_of_a_browser_s_update_is_not_compared_with_that_of_a_windows() -> None:
    row = Span("microsoft", NEWER, "CVE-2021-1", fixed="1.001", aliases=("KB5006671",), state="fixed")
    assert judge([row], "6.2.9200.23490", [])[0].open
    assert not judge([row], "6.2.9200.23490", ["KB5006671"])[0].open
    edge = row._replace(name="Microsoft Edge (Chromium-based)", fixed="129.0.2792.52", aliases=())
    assert [judge([edge], build, [])[0].open for build in ("128.0.1.1", "129.0.2792.52", "130.0.1.1")] == [
        True, False, False,
    ]  # fmt: skip


def test_no_two_products_of_a_real_month_come_to_one_name() -> None:
    assert len(set(map(folded, month()))) == len(month())
