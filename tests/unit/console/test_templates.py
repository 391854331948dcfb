"""Every template renders in every state, whole and live; nothing in them that the strict policy would block."""

from __future__ import annotations

import re
from typing import Any

import pytest

from brakeline.console.assets import load_assets
from brakeline.console.render import Renderer, number, version
from brakeline.console.samples import SAMPLES
from brakeline.console.specimens import shell_for
from brakeline.console.views import Shell

STATES = [(page, state) for page, states in SAMPLES.items() for state in states]
LIVE = ("overview", "rollout", "endpoint", "add_endpoint", "release", "drill", "vulnerabilities", "cve")
RENDERER = Renderer(load_assets())


@pytest.mark.parametrize(("page", "state"), STATES)
def test_page_renders_and_keeps_the_policy(page: str, state: str) -> None:
    html = RENDERER.page(page, SAMPLES[page][state], shell_for(page))
    assert "<title>" in html
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|hx-on|js:", html)
    assert not re.search(r"<script(?![^>]*\ssrc=)", html), "no inline script"
    assert "None" not in re.sub(r"<[^>]*>", " ", html).split(), "a hole of a view-model reached the page"


@pytest.mark.parametrize(("page", "state"), [s for s in STATES if s[0] in LIVE])
def test_live_regions_are_the_same_on_page_and_stream(page: str, state: str) -> None:
    view = SAMPLES[page][state]
    html = RENDERER.page(page, view, shell_for(page))
    for region, inner in RENDERER.regions(page, view).items():
        if page == "add_endpoint" and not view.command:
            continue  # before the press there is nothing to follow
        assert f'id="{region}"' in html
        assert inner.strip() in html, f"{region} differs between page and stream"


@pytest.mark.parametrize(("page", "state"), [s for s in STATES if s[0] in LIVE])
def test_ids_in_a_page_are_unique(page: str, state: str) -> None:
    html = RENDERER.page(page, SAMPLES[page][state], shell_for(page))
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids)), sorted(i for i in ids if ids.count(i) > 1)


def test_nothing_session_bound_is_in_a_live_region() -> None:
    shell = Shell("x", csrf="the-token-of-this-session", feed="/feed")
    for page in LIVE:
        for view in SAMPLES[page].values():
            assert "csrf" not in RENDERER.message(page, view)
    assert "the-token-of-this-session" in RENDERER.page("rollout", SAMPLES["rollout"]["rolling"], shell)


def test_text_from_endpoints_is_escaped() -> None:
    from dataclasses import replace

    evil: Any = replace(SAMPLES["endpoint"]["summary"], name="<img src=x onerror=alert(1)>")
    html = RENDERER.page("endpoint", evil, shell_for("endpoint"))
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html


def test_a_hole_in_a_view_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        RENDERER.environment.from_string("{{ view.nothing_of_that_name }}").render(view=SAMPLES["cve"]["nobody"])


def test_an_unknown_number_is_not_a_zero() -> None:
    assert number(None) == "?"
    assert number(100_000) == "100,000"
    html = RENDERER.page("overview", SAMPLES["overview"]["no data"], shell_for("overview"))
    assert "? no data" in html


def test_a_version_may_break_behind_its_separators_only_and_is_escaped() -> None:
    assert version("1:2.36-8+b1") == '<span class="version">1:<wbr>2.36-<wbr>8+<wbr>b1</span>'
    assert version("<i>") == '<span class="version">&lt;i&gt;</span>'
