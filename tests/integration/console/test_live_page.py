"""What must never happen on the page with the brake: a lost press, a lost focus, a calm face over a dead feed."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from brakeline.console.samples import SAMPLES

ROLLOUT = "/rollouts/ro_live"
SPECIMENS = tuple(f"/_ui/{name}/{quote(state)}" for name, states in SAMPLES.items() for state in states)


def wait_for_updates(page: Page, updates: int) -> None:
    """Until the newest line of the event log has changed `updates` times."""
    first = page.locator("#rollout-log li").first
    for _ in range(updates):
        before = first.inner_text()
        expect(first).not_to_have_text(re.compile(re.escape(before.split("\n")[-1])), timeout=60_000)


@pytest.mark.parametrize("attempt", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2, 3))])
def test_a_slow_press_on_brake_during_updates_is_not_lost(visit: Callable[..., Page], attempt: int) -> None:
    page = visit(ROLLOUT)
    expect(page.locator("#feed-state")).to_have_text("● live")
    box = page.locator("#brake").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    wait_for_updates(page, 1)  # without one during the press this run would prove nothing
    page.wait_for_timeout(attempt * 60)  # and the press ends at another moment between two of them
    page.mouse.up()
    expect(page.locator("#brake")).to_have_text(re.compile("BRAKED"))
    expect(page.locator("#rollout-alert")).to_contain_text("spared")


@pytest.mark.long
def test_focus_stays_where_it_was_over_two_updates(visit: Callable[..., Page]) -> None:
    page = visit(ROLLOUT)
    expect(page.locator("#feed-state")).to_have_text("● live")
    for wanted in ("brake", "cell-eu-north-1"):
        page.locator(f"#{wanted}").focus()
        wait_for_updates(page, 2)
        assert page.evaluate("document.activeElement.id") == wanted


@pytest.mark.long
def test_an_opened_table_stays_open_over_updates(visit: Callable[..., Page]) -> None:
    page = visit(ROLLOUT)
    page.locator("#excess-details summary").click()
    wait_for_updates(page, 2)
    assert page.evaluate("document.getElementById('excess-details').open") is True


def test_a_killed_server_is_shown_as_no_news_and_heals(visit: Callable[..., Page], twin: Any) -> None:
    page = visit(ROLLOUT)
    mark = page.locator("#feed-state")
    expect(mark).to_have_text("● live")
    twin.end(signal.SIGKILL)
    expect(mark).to_have_text(re.compile(r"✕ no news for \d+ s"), timeout=60_000)
    expect(page.locator("#stale-note")).to_be_visible()
    twin.start()
    expect(mark).to_have_text("● live", timeout=60_000)
    expect(page.locator("#stale-note")).to_be_hidden()


def test_the_server_ends_within_5_s_of_sigterm_with_an_open_stream(visit: Callable[..., Page], twin: Any) -> None:
    page = visit(ROLLOUT)
    expect(page.locator("#feed-state")).to_have_text("● live")
    assert twin.end(signal.SIGTERM) < 5


def test_brake_works_without_javascript(visit: Callable[..., Page]) -> None:
    page = visit(ROLLOUT, script=False)
    page.locator("#brake").click()
    expect(page).to_have_url(re.compile(r"/rollouts/ro_live$"))
    assert page.locator("#brake").inner_text().strip().endswith("BRAKED")
    assert "98,635 were spared" in page.locator("#rollout-alert").inner_text()


@pytest.mark.long
def test_shift_b_focuses_brake_and_never_presses_it(visit: Callable[..., Page]) -> None:
    page = visit(ROLLOUT)
    expect(page.locator("#feed-state")).to_have_text("● live")
    page.keyboard.press("Shift+B")
    assert page.evaluate("document.activeElement.id") == "brake"
    expect(page.locator("#brake")).to_contain_text("BRAKE")
    expect(page.locator("#brake")).to_be_enabled()


def test_a_viewer_gets_a_reason_and_the_rollout_goes_on(visit: Callable[..., Page]) -> None:
    page = visit(ROLLOUT, role="viewer")
    page.locator("#brake").click()
    expect(page.locator("h1")).to_contain_text("Your role does not allow this")
    expect(page.locator("main")).to_contain_text("rollout.brake")


OTHER_PAGES = ("/endpoints", "/audit", "/approvals/ap_01", "/nowhere")


@pytest.mark.parametrize("path", ["/", ROLLOUT, *(pytest.param(p, marks=pytest.mark.long) for p in OTHER_PAGES)])
def test_freeze_works_from_every_page_without_javascript_and_on_a_phone(visit: Callable[..., Page], path: str) -> None:
    page = visit(path, script=False, width=390)
    expect(page.locator("#freeze")).to_be_in_viewport(ratio=1)
    page.locator("#freeze").click()
    expect(page).to_have_url(re.compile(r"/freeze\?done=frozen$"))
    expect(page.locator("#freeze-alert")).to_contain_text("Everything is frozen by Alice since")
    expect(page.locator("#freeze")).to_contain_text("FROZEN")


@pytest.mark.long
def test_freeze_stays_in_sight_on_a_phone_wherever_one_has_scrolled(visit: Callable[..., Page]) -> None:
    page = visit(ROLLOUT, width=390)
    for position in (0, 400, 100_000):
        page.evaluate(f"window.scrollTo(0, {position})")
        expect(page.locator("#freeze")).to_be_in_viewport(ratio=1)
        expect(page.locator("#brake")).to_be_in_viewport(ratio=1)
    page.evaluate("document.querySelector('.nav').scrollTo(2000, 0)")
    expect(page.locator("#freeze")).to_be_in_viewport(ratio=1)


@pytest.mark.long
def test_somebody_elses_freeze_appears_on_a_page_that_is_open(visit: Callable[..., Page]) -> None:
    looking, pressing = visit(ROLLOUT, role="viewer"), visit("/audit")
    expect(looking.locator("#feed-state")).to_have_text("● live")
    expect(looking.locator("#freeze-alert")).to_have_count(0)
    pressing.locator("#freeze").click()
    expect(looking.locator("#freeze-alert")).to_contain_text("frozen by Alice", timeout=60_000)


@pytest.mark.long
def test_shift_f_focuses_freeze_and_never_presses_it(visit: Callable[..., Page]) -> None:
    page = visit("/audit")
    page.keyboard.press("Shift+F")
    assert page.evaluate("document.activeElement.id") == "freeze"
    expect(page.locator("#freeze")).to_have_text(re.compile("FREEZE"))


def test_an_approval_is_read_and_agreed_to_without_javascript(visit: Callable[..., Page]) -> None:
    page = visit("/approvals", script=False)
    page.locator("#waiting a").first.click()
    expect(page.locator("#says")).to_contain_text("leaves quarantine")
    page.locator("#password").fill("correct horse battery")
    page.locator("#approve").click()
    expect(page.locator("p[role=status]").first).to_contain_text("Agreed, and done")


@pytest.mark.long
def test_no_page_scrolls_sideways_at_390_px_and_no_table_hides_a_column_at_1280(
    visit: Callable[..., Page], twin: Any
) -> None:
    page = visit("/login")
    wide, hidden = {}, {}
    for path in (ROLLOUT, "/", *SPECIMENS):
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(twin.url + path)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide[path] = width
        page.set_viewport_size({"width": 1280, "height": 900})
        over = page.evaluate("[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)")
        if max(over, default=0) > 1:
            hidden[path] = over
    assert not wide
    assert not hidden


def test_at_390_px_brake_is_in_the_viewport_wherever_one_has_scrolled(visit: Callable[..., Page]) -> None:
    page = visit(ROLLOUT, width=390)
    for position in (0, 400, 100_000):
        page.evaluate(f"window.scrollTo(0, {position})")
        expect(page.locator("#brake")).to_be_in_viewport(ratio=1)
    box = page.locator("#brake").bounding_box()
    assert box is not None
    assert box["width"] > 300, "the bar is as wide as the thumb reaches"
    page.locator("#brake").click()
    expect(page.locator("#brake")).to_contain_text("BRAKED")


@pytest.mark.long
def test_at_390_px_the_current_tab_is_in_sight(visit: Callable[..., Page]) -> None:
    page = visit("/endpoints/ep_01/timeline", width=390)
    expect(page.locator("#tabs [aria-current]")).to_be_in_viewport(ratio=0.95)  # all but parts of a pixel
    expect(page.locator("#tab-1")).not_to_be_in_viewport()


@pytest.mark.long
def test_the_preview_of_a_policy_follows_what_is_typed_and_keeps_the_words(visit: Callable[..., Page]) -> None:
    """Also before it has a name: looking is no wish."""
    page = visit("/policies")
    assert page.locator("#ahead").count() == 0
    page.locator("#policy-filter").fill("os:debian")
    expect(page.locator("#ahead")).to_contain_text("at the earliest, at pace careful")
    expect(page.locator("#policy-filter")).to_have_value("os:debian")
    assert "filter=os%3Adebian" in page.url
