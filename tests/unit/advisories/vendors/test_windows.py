"""Microsoft's names of one Windows, on the names of a real month."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from brakeline.advisories.osv.feeds import read
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
    assert names_of(product, month()) == names


def test_what_may_not_be_there_is_no_part() -> None:
    found = names_of("Windows 8.1 for x64-based systems", month())
    assert "Adobe Flash Player on Windows 8.1 for x64-based systems" in month()
    assert not any("Flash" in name for name in found)
    newer = "Microsoft Edge (EdgeHTML-based) on Windows 10 Version 1809 for x64-based Systems"
    assert names_of("Windows 10 Version 1809 for x64-based Systems", [newer]) == [newer]
    assert names_of("Windows 10 Version 1809 for x64-based Systems", [newer.replace("EdgeHTML", "Chromium")]) == []


def test_no_two_products_of_a_real_month_come_to_one_name() -> None:
    assert len(set(map(folded, month()))) == len(month())
