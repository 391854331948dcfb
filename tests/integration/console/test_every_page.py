"""The pages on which somebody decides, and in the whole run every page in every state, light and dark: axe is clean, no
policy is violated, no error.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from brakeline.console.samples import SAMPLES
from brakeline.console.samples_release import BAD, GOOD

LIVE = ("/", "/endpoints", "/endpoints?q=os:debian", "/endpoints?q=oss:debian", "/endpoints/add", "/endpoints/ep_01",
        "/endpoints/ep_01/agent",
        "/endpoints/ep_01/runs", "/endpoints/ep_01/history",
        "/vulnerabilities", "/vulnerabilities/CVE-2026-31337", "/vulnerabilities/accepted",
        "/vulnerabilities/terms", "/vulnerabilities/trend", "/updates", "/updates/libssl3", "/settings/events",
        "/rollouts", "/rollouts/new", "/rollouts/new?filter=&where=cells&cell=oslo-1",
        "/rollouts/ro_live", "/rollouts/ro_release", "/releases", "/releases/keys", f"/releases/{GOOD}",
        f"/releases/{GOOD}/promote", f"/releases/{GOOD}/recall", f"/releases/{BAD}/pardon", "/policies", "/content",
        "/assets", "/assets/as_web", "/own-packages", "/own-packages/payroll", "/catalogue", "/catalogue?q=solitaire",
        "/catalogue/grafana", "/endpoints/ep_01/software",
        "/audit",
        "/settings", "/settings/cells", "/settings/cells/leads/settings", "/settings/pool", "/settings/limits",
        "/settings/limits?amount=25%25", "/freeze", "/approvals",
        "/approvals/ap_01", "/emergency", "/rollouts/ro_halted/rollback", "/rollouts/restart", "/nowhere")  # fmt: skip
ACTS = (
    "/",
    "/endpoints",
    "/endpoints/ep_01",
    "/vulnerabilities/CVE-2026-31337",
    "/rollouts/new",
    "/rollouts/ro_live",
    f"/releases/{GOOD}/promote",
    "/policies",
    "/settings/limits",
    "/freeze",
    "/approvals/ap_01",
)  # where somebody decides
SPECIMENS = tuple(f"/_ui/{page}/{quote(state)}" for page, states in SAMPLES.items() for state in states)
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
WATCH = """
window.__violations = [];
document.addEventListener('securitypolicyviolation',
    (e) => window.__violations.push(e.violatedDirective + ' ' + e.blockedURI));
"""


def problems(page: Page) -> list[str]:
    """What axe finds, one line per rule."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:160]} ({len(v['nodes'])} nodes)" for v in found]


@pytest.mark.parametrize(
    ("scheme", "paths"),
    [
        pytest.param("light", ACTS, id="light"),
        pytest.param("light", (*LIVE, *SPECIMENS), id="light-every-state", marks=pytest.mark.long),
        pytest.param("dark", (*LIVE, *SPECIMENS), id="dark-every-state", marks=pytest.mark.long),
    ],
)
def test_axe_is_clean_and_the_policy_is_kept_on_every_page(
    visit: Callable[..., Page], scheme: str, paths: tuple[str, ...]
) -> None:
    page = visit("/login", scheme=scheme)
    page.context.add_init_script(WATCH)
    bad: dict[str, list[str]] = {}
    errors: list[str] = []
    page.on("pageerror", lambda e: errors.append(str(e)))
    base = page.url.removesuffix("/login")
    for path in paths:
        page.goto(base + path, wait_until="load")
        if found := problems(page) + list(page.evaluate("window.__violations")):
            bad[path] = found
    assert not bad, "\n".join(f"{path}: {line}" for path, lines in bad.items() for line in lines)
    assert not errors


def test_the_watch_for_policy_violations_sees_one(visit: Callable[..., Page]) -> None:
    """The test above can fail: an inline style is blocked and counted."""
    page = visit("/login")
    page.context.add_init_script(WATCH)
    page.goto(page.url)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x</p>')")
    assert page.evaluate("window.__violations.length") == 1


@pytest.mark.long
def test_typing_a_filter_changes_list_and_address_without_a_page_load(visit: Callable[..., Page]) -> None:
    page = visit("/endpoints")
    page.evaluate("window.__same = true")
    page.keyboard.press("/")
    page.keyboard.type("oss:debian")
    expect(page.locator("#query-error")).to_contain_text("Did you mean")
    assert page.evaluate("window.__same && document.activeElement.id") == "query"
    page.wait_for_url("**/endpoints?q=oss*")
    page.locator("#query-error a").click()
    page.wait_for_url("**/endpoints?q=os*")
    expect(page.locator("#chips")).to_contain_text("os:debian")


def test_preview_follows_the_form_and_start_leads_to_the_rollout(visit: Callable[..., Page]) -> None:
    page = visit("/rollouts/new")
    page.locator("#filter").fill("os:debian")
    expect(page.locator("#preview")).to_contain_text("6 endpoints")
    expect(page.locator("#skipped")).to_contain_text("no policy lets it patch")
    page.locator("#start").click()
    page.wait_for_url("**/rollouts/ro_live")


def test_a_release_is_recalled_only_after_the_step_that_says_what_it_does(visit: Callable[..., Page]) -> None:
    page = visit("/releases")
    page.get_by_role("link", name="agent 1.3.0", exact=True).click()
    page.get_by_role("link", name="Recall…").click()
    expect(page.locator("#act")).to_contain_text("Taking it back needs two people")
    page.locator("#do-act").click()
    assert page.url.endswith("/recall"), "without a reason the browser does not send the form"
    page.locator("#reason").fill("it eats memory")
    page.locator("#do-act").click()
    expect(page.locator("p[role=status]")).to_contain_text("Recalled")


@pytest.mark.long
def test_the_log_of_a_failed_trial_opens_by_keyboard(visit: Callable[..., Page]) -> None:
    page = visit(f"/releases/{BAD}")
    expect(page.locator("pre.tail")).to_be_hidden()
    page.locator("#log-ep_07 summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("pre.tail")).to_contain_text("ModuleNotFoundError")


def test_add_endpoint_shows_the_line_once_and_ticks_by_itself(visit: Callable[..., Page]) -> None:
    page = visit("/endpoints/add")
    page.locator("#make-command").click()
    expect(page.locator("#command")).to_contain_text("--pinnedpubkey 'sha256//")
    for step in (1, 2, 3):
        expect(page.locator(f"#step-{step}")).to_have_class("done", timeout=60_000)
    expect(page.locator("#enrolled a")).to_be_visible()


def test_log_in_and_the_one_time_link(visit: Callable[..., Page]) -> None:
    page = visit("/login")
    page.context.clear_cookies()
    page.goto(page.url.removesuffix("/login") + "/rollouts/ro_live?x=1")
    page.locator("#email").fill("alice")
    page.locator("#password").fill("wrong")
    page.locator("#log-in").click()
    expect(page.locator("[role=alert]")).to_be_visible()
    page.locator("#password").fill("correct horse battery")
    page.locator("#log-in").click()
    page.wait_for_url("**/rollouts/ro_live?x=1")
    page.context.clear_cookies()
    page.goto(page.url.partition("/rollouts")[0] + "/login/once")
    page.locator("#password").fill("a long enough password")
    page.locator("#set-password").click()
    expect(page.locator("h1")).to_contain_text("Overview")
