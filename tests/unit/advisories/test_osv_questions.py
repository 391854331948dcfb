"""OSV's question: what is answered, what is refused, package URLs, pages, module streams, budgets."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.osv.model import Span
from brakeline.advisories.osv.purl import Package, package
from brakeline.advisories.osv.questions import PAGE, NoQuestion, Question, answer, brief, holds, page, question
from brakeline.advisories.osv.rates import ADDRESSES_MAX, BURST, PER_SECOND, Rates
from brakeline.core.clock import ManualClock

ROW = Span("pypi", "jinja2", "PYSEC-1", fixed="2.11.3", modified="2025-01-01T00:00:00Z", aliases=("CVE-2025-1",))
MODULAR = ".module_el8.4.0+2522+3bd42762"


def asked(version: str = "", ecosystem: str = "pypi", **more: Any) -> Question:
    return Question(ecosystem, "jinja2", version, **more)


def ids(question_: Question, *rows: Span) -> list[str]:
    return [found[0].id for found in page(question_, rows).found]


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("pkg:pypi/Jinja2@3.1.2", Package("pypi", "Jinja2", "3.1.2")),
        ("pkg:golang/github.com/gin-gonic/gin@v1.5.0", Package("go", "github.com/gin-gonic/gin", "v1.5.0")),
        ("pkg:npm/%40babel/core@7.0.0", Package("npm", "@babel/core", "7.0.0")),
        ("pkg:maven/org.apache/log4j@2.0?type=jar#a/b", Package("maven", "org.apache:log4j", "2.0")),
        ("pkg:cargo/prost", Package("crates.io", "prost", "")),
        ("pkg:deb/debian/curl@7.88-1?arch=amd64&distro=bookworm", Package("debian:12", "curl", "7.88-1")),
        ("pkg:deb/debian/curl@7.88-1?distro=debian-12", Package("debian:12", "curl", "7.88-1")),
        ("pkg:rpm/almalinux/bind@9.11-1?distro=almalinux-9.8&epoch=32", Package("almalinux:9.8", "bind", "32:9.11-1")),
        ("pkg:rpm/almalinux/nodejs@12?distro=almalinux-8&rpmmod=nodejs:12:80:ab",
         Package("almalinux:8", "nodejs", "12", "nodejs:12")),
        ("pkg:apk/alpine/curl@8.0-r1?distro=alpine-3.20.1", Package("alpine:v3.20", "curl", "8.0-r1")),
    ],
)  # fmt: skip
def test_package_urls(text: str, means: Package) -> None:
    assert package(text) == means


@pytest.mark.parametrize(
    "text", ["pypi/x", "pkg:", "pkg:pypi", "pkg:deb/debian/curl@1", "pkg:swid/x@1", "pkg:x/" + "y" * 2000]
)
def test_package_urls_that_are_not_guessed(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        package(text)


@given(st.text(max_size=60))
def test_any_text_is_a_package_or_a_refusal(text: str) -> None:
    with contextlib.suppress(ValueError):
        package("pkg:" + text)


def test_what_osv_asks_is_understood() -> None:
    by_name = question({"package": {"ecosystem": "PyPI", "name": "Jinja_2"}, "version": "1.0"})
    assert by_name == Question("pypi", "jinja-2", "1.0")
    assert question({"package": {"purl": "pkg:rpm/almalinux/x@1-1?distro=almalinux-9.8"}}).ecosystem == "almalinux:9"
    assert question({"package": {"ecosystem": "Go", "name": "x"}, "page_token": "GO-1"}).after == "GO-1"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "one object"),
        ({}, "package is missing"),
        ({"commit": "6879efc2c1596d11a6a6ad296f80063b558d5e0f"}, "by commit"),
        ({"package": {"name": "x"}}, "are needed"),
        ({"package": {"ecosystem": "PyPI", "name": "x"}, "version": "not a version"}, "PEP 440"),
        ({"package": {"ecosystem": "PyPI", "name": 7}}, "a text"),
        ({"package": {"purl": "pkg:pypi/x@1"}, "version": "1"}, "already"),
        ({"package": {"purl": "pkg:pypi/x", "name": "x"}}, "not both"),
        ({"package": {"ecosystem": "%", "name": "x"}}, "no ecosystem"),
        ({"package": {"ecosystem": "PyPI", "name": "x\u0000"}}, "no text"),
    ],
)
def test_what_cannot_be_answered_truthfully_is_refused(body: Any, says: str) -> None:
    with pytest.raises(NoQuestion, match=says):
        question(body)


def test_half_open_and_closed_ends() -> None:
    assert [holds(ROW, v) for v in ("2.11.2", "2.11.3", "2.11.3rc1")] == [True, False, True]
    closed = ROW._replace(fixed="", introduced="2.0", last_affected="2.5")
    assert [holds(closed, v) for v in ("1.9", "2.0", "2.5", "2.5.1")] == [False, True, True, False]


def test_lists_answer_by_equality_and_what_has_no_place_answers_always() -> None:
    listed = ROW._replace(fixed="", versions=("1.0", "1.1"))
    assert [holds(listed, v) for v in ("1.0", "1.0.0", "1.2")] == [True, True, False]
    assert holds(ROW._replace(fixed="no version"), "99")
    assert holds(ROW._replace(ecosystem="packagist"), "99")


def test_withdrawn_and_not_affected_answer_nothing() -> None:
    assert ids(asked("1.0"), ROW._replace(state="withdrawn"), ROW._replace(state="not_affected")) == []
    assert ids(asked(), ROW) == ["PYSEC-1"]


def test_pages_end_with_a_token_that_the_next_one_begins_behind() -> None:
    rows = [ROW._replace(id=f"P-{n:05}") for n in range(PAGE + 3)]
    first = page(asked("1.0"), rows)
    assert (len(first.found), first.token) == (PAGE, f"P-{PAGE - 1:05}")
    rest = page(asked("1.0", after=first.token), rows)
    assert ([f[0].id for f in rest.found], rest.token) == ([f"P-{PAGE + n:05}" for n in range(3)], "")
    assert page(asked("1.0"), rows[:PAGE]).token == ""


def rpm(fixed: str, **more: Any) -> Span:
    return Span("almalinux:8", "jinja2", "ALSA-1", fixed=fixed)._replace(**more)


def test_builds_of_modules_are_compared_with_those_of_modules_and_within_the_stream() -> None:
    plain, modular = rpm("2-1.el8"), rpm("9-1" + MODULAR, module="nodejs:12", id="ALSA-2")
    assert ids(asked("1-1.el8", "almalinux:8"), plain, modular) == ["ALSA-1"]
    assert ids(asked("1-1" + MODULAR, "almalinux:8"), plain, modular) == ["ALSA-2"]
    assert ids(asked("1-1" + MODULAR, "almalinux:8", module="nodejs:10"), plain, modular) == []
    assert ids(asked("1-1" + MODULAR, "almalinux:8", module="nodejs:12"), plain, modular) == ["ALSA-2"]


def test_one_update_built_for_two_minor_releases_is_had_with_either() -> None:
    rows = [rpm("2-1.module_el8.5.0+119+9a", module="x:1"), rpm("2-1.module_el8.4.0+2496+12", module="x:1", part=1)]
    assert ids(asked("2-1.module_el8.4.0+2496+12", "almalinux:8"), *rows) == []
    assert ids(asked("1-1.module_el8.4.0+2496+12", "almalinux:8"), *rows) == ["ALSA-1"]


def test_each_release_is_judged_by_its_own_fixes() -> None:
    rows = [rpm("1-1.el8"), rpm("3-1.el9", ecosystem="almalinux:9")]
    assert ids(asked("2-1", "almalinux"), *rows) == ["ALSA-1"]
    assert [r.ecosystem for r in page(asked("2-1", "almalinux"), rows).found[0]] == ["almalinux:9"]


def test_the_answer_has_osv_s_shape() -> None:
    found = page(asked("1.0"), [ROW])
    (vuln,) = answer(found)["vulns"]
    assert (vuln["id"], vuln["aliases"]) == ("PYSEC-1", ["CVE-2025-1"])
    assert vuln["affected"] == [{
        "package": {"ecosystem": "PyPI", "name": "jinja2"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.11.3"}]}],
    }]  # fmt: skip
    assert brief(found) == {"vulns": [{"id": "PYSEC-1", "modified": "2025-01-01T00:00:00Z"}]}
    assert answer(page(asked("3"), [ROW])) == {}


def test_an_address_has_a_budget_that_refills_and_memory_is_bounded() -> None:
    clock = ManualClock()
    rates = Rates(clock)
    assert rates.spend("a", BURST)
    assert not rates.spend("a", 1)
    assert rates.spend("b", 1)
    clock.advance(1)
    assert rates.spend("a", int(PER_SECOND))
    assert not rates.spend("a", 1)
    for n in range(ADDRESSES_MAX + 5):
        rates.spend(str(n), 1)
    assert len(rates._left) == ADDRESSES_MAX
