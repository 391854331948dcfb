"""Probes as people write them, and what root allows of them."""

from __future__ import annotations

import pytest

from brakeline.core.errors import Invalid
from brakeline.protocol import probes
from brakeline.protocol.probes import Probe, allowance, canonical, common, parse

WEB, DB = "web http://127.0.0.1:8080/health", "db within=8 exit=2 /usr/lib/checks/db -w 10"


def test_an_address_and_a_program_are_understood() -> None:
    assert parse(WEB) == Probe("web", 5, 0, host="127.0.0.1", port=8080, path="/health")
    assert parse("a status=204 within=1 https://localhost") == Probe("a", 1, 204, tls=True, host="localhost", port=443)
    assert parse("six http://[::1]/x?y=1").host == "::1"
    assert parse(DB) == Probe("db", 8, 2, ("/usr/lib/checks/db", "-w", "10"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "printable"), ("web", "neither an address"), ("Web http://127.0.0.1/", "name of a probe"),
        ("http http://127.0.0.1/", "name of a probe"), ("web http://example.test/", "neither an address"),
        ("web http://999.1.1.1/", "no port or address"), ("web http://127.0.0.1:70000/", "no port or address"),
        ("web ftp://127.0.0.1/", "neither an address"), ("web exit=0 http://127.0.0.1/", "status="),
        ("web status=99 http://127.0.0.1/", "100 to 599"), ("db status=200 /bin/true", "exit="),
        ("db exit=300 /bin/true", "0 to 255"), ("db within=11 /bin/true", "1 to 10"), ("db within=0 /bin/true", "1 to"),
        ("db bin/true", "neither an address"), ("db /usr/../bin/sh", "plain path"), ("db /usr/bin/", "plain path"),
        ("db /bin/true;rm", "without ';'"), ("db /bin/tr\u00fc", "printable"), ("db /bin/true " + "x" * 200, "200"),
        ("db\n/bin/true", "printable"), ("web http://127.0.0.1/ more", "neither an address"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_the_reason(text: str, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        parse(text)


def test_both_sides_have_them_in_one_order_and_each_name_once() -> None:
    assert canonical(["web  http://127.0.0.1/ ", "a /bin/true", "a /bin/true"]) == (
        "a /bin/true",
        "web http://127.0.0.1/",
    )
    with pytest.raises(Invalid, match="two probes are called web"):
        canonical([WEB, "web http://127.0.0.1/"])
    with pytest.raises(Invalid, match="at most 8"):
        canonical(f"p{i} /bin/true" for i in range(9))


@pytest.mark.parametrize(
    ("allowed", "tried"),
    [
        ((), ()), (("http",), (WEB,)), (("http:8080",), (WEB,)), (("http:80",), ()),
        (("/usr/lib/checks/db -w 10",), (DB,)), (("/usr/lib/checks/db",), ()), (("/usr/lib/checks/db -w 100",), ()),
        (("/usr/lib/checks/db -w 10", "http"), (DB, WEB)), ((probes.ANY,), (DB, WEB)), (("garbage",), ()),
    ],
)  # fmt: skip
def test_a_cell_chooses_among_what_root_allows_to_the_letter(allowed: tuple[str, ...], tried: tuple[str, ...]) -> None:
    assert common((DB, WEB), allowed) == common(allowed, (DB, WEB)) == tried


def test_allowances_are_checked_when_root_writes_them() -> None:
    assert [allowance(t) for t in ("http", "http:8080", "/usr/lib/checks/db -w 10")]
    for text in ("*", "https", "http:0", "http:70000", "sh -c x", "/a/../b", WEB):
        with pytest.raises(Invalid):
            allowance(text)
    assert common(("http",), ("http:80",)) == ("http:80",)
