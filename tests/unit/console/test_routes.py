"""The application without a browser: who comes in, which forms are believed, what errors look like."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from brakeline.console.assets import load_assets
from brakeline.console.feed import Feed
from brakeline.console.kit import FORM_BYTES_MAX, Kit, safe_next
from brakeline.console.render import Renderer
from brakeline.console.routes import Console, build
from brakeline.console.samples_release import GOOD
from brakeline.console.showroom import CODE, EMAIL, PASSWORD, Showroom, ShowroomDoors
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Unavailable


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""


class Visit:
    """Calls the ASGI application as a browser with one cookie would."""

    def __init__(self, role: str = "owner", *, dev: bool = False) -> None:
        self.screens, self.doors = Showroom(ManualClock()), ShowroomDoors()
        self.cookie = self.doors.open(role) if role else ""
        self.console: Console = build(self.screens, self.doors, dev=dev, feed=Feed())

    async def __call__(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        path, _, query = path.partition("?")
        sent = {"host": "console.example", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if self.cookie:
            sent["cookie"] = f"brakeline_session={self.cookie}"
        body = urlencode(form or {}).encode()
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "scheme": "https",
            "headers": [(k.encode(), v.encode()) for k, v in sent.items()], "server": ("console.example", 443),
            "client": ("127.0.0.1", 1),
        }  # fmt: skip
        answer, chunks = Answer(), []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message) -> None:  # type: ignore[no-untyped-def]
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {k.decode().lower(): v.decode() for k, v in message["headers"]}
            else:
                chunks.append(message.get("body", b""))

        await self.console(scope, receive, send)
        answer.text = b"".join(chunks).decode()
        return answer

    async def post(self, path: str, **form: str) -> Answer:
        """With origin and form token, as from our own page."""
        form.setdefault("csrf", f"csrf-of-{self.cookie}")
        return await self("POST", path, form, origin="https://console.example")


RELEASE = f"/releases/{GOOD}"
RELEASE_PAGES = tuple(f"{RELEASE}/{verb}" for verb in ("promote", "withdraw", "recall", "pardon"))
PAGES = ("/", "/endpoints", "/endpoints/add", "/endpoints/ep_1", "/endpoints/ep_1/missing", "/endpoints/ep_1/agent",
         "/endpoints/ep_1/runs", "/endpoints/ep_1/history", "/endpoints/ep_1/history?since=2026-11-01&until=&net=1",
         "/vulnerabilities", "/vulnerabilities/CVE-1", "/vulnerabilities/accepted",
         "/vulnerabilities/terms", "/vulnerabilities/trend?days=30", "/updates", "/updates/libssl3",
         "/rollouts", "/rollouts/new", "/rollouts/new?filter=&where=cells&cell=oslo-1", "/rollouts/ro_live",
         f"{RELEASE}/promote?where=cells&cell=oslo-1",
         "/rollouts/ro_live/endpoints", "/freeze", "/approvals", "/approvals/ap_1",
         "/releases", "/releases/keys", RELEASE, *RELEASE_PAGES, "/policies", "/content", "/audit",
         "/assets", "/assets/as_web",
         "/settings", "/settings/cells", "/settings/cells/leads/settings", "/settings/cells/leads/settings?name=nights",
         "/settings/pool", "/settings/events", "/settings/limits",
         "/settings/limits?amount=25%25&at_least=50")  # fmt: skip
POSTS = ("/endpoints/ep_1/rollouts/ro_1/stop", "/endpoints/ep_1/rollouts/ro_1/retry",
         "/endpoints/add", "/endpoints/ep_1/scan", "/rollouts/new", "/rollouts/new/lead", f"{RELEASE}/lead",
         "/rollouts/ro_live/brake",
         "/rollouts/ro_live/pause", "/rollouts/ro_live/withdraw", "/rollouts/ro_live/resume", "/rollouts/ro_live/start",
         "/freeze", "/freeze/lift", "/approvals/ap_1/approve", "/approvals/ap_1/reject",
         "/policies", "/policies/po_1/delete", "/policies/settings", *RELEASE_PAGES,
         "/vulnerabilities/CVE-1/accept", "/vulnerabilities/accepted/ac_1/end", "/vulnerabilities/terms",
         "/updates/libssl3/decline", "/updates/libssl3/allow",
         "/content/small/fetch", "/content/small/accept", "/content/small/refuse",
         "/settings/tokens", "/settings/tokens/to_1/revoke",
         "/settings/limits/budgets", "/settings/limits/budgets/remove", "/settings/limits/windows",
         "/settings/limits/windows/fw_1/remove", "/settings/cells/isolate", "/settings/cells/berlin-1/drain",
         "/settings/cells/leads/ld_1/brake", "/settings/cells/leads/ld_2/take", "/settings/cells/leads/settings",
         "/settings/cells/leads/ld_1/start", "/settings/cells/leads/ld_1/pause", "/settings/cells/leads/ld_1/resume",
         "/settings/events",
         "/settings/events/sk_1/test", "/settings/events/sk_1/remove", "/settings/pool/join",
         "/settings/pool/leave", "/settings/pool/partners/acme/part", "/logout")  # fmt: skip
FEEDS = (
    f"/releases/{GOOD}/feed",
    "/feed",
    "/rollouts/ro_live/feed",
    "/endpoints/ep_1/summary/feed",
    "/endpoints/ep_1/runs/feed",
    "/rollouts/ro_live/endpoints/feed",
    "/endpoints/add/feed",
)


@pytest.mark.parametrize("path", PAGES)
async def test_pages_answer_with_the_strict_policy(path: str) -> None:
    answer = await Visit()("GET", path)
    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [*PAGES, *FEEDS])
async def test_strangers_are_sent_to_the_login_and_back(path: str) -> None:
    answer = await Visit("")("GET", path)
    assert answer.status == 303
    assert answer.headers["location"].startswith("/login?next=/")
    assert "feed" not in answer.headers["location"]


@pytest.mark.parametrize("path", POSTS)
async def test_no_form_is_believed_from_another_site_or_without_its_token(path: str) -> None:
    visit = Visit()
    good = f"csrf-of-{visit.cookie}"
    foreign = await visit("POST", path, {"csrf": good}, origin="https://evil.example")
    none = await visit("POST", path, {"csrf": good}, origin="null")
    cross = await visit("POST", path, {"csrf": good}, sec_fetch_site="cross-site")
    without = await visit("POST", path, {}, origin="https://console.example")
    other = await visit("POST", path, {"csrf": good + "x"}, origin="https://console.example")
    assert [a.status for a in (foreign, none, cross, without, other)] == [403] * 5
    assert visit.screens.presses == []


@pytest.mark.parametrize("path", FEEDS)
async def test_a_feed_opened_by_a_person_leads_to_its_page(path: str) -> None:
    answer = await Visit()("GET", path, accept="text/html")
    assert answer.status == 303
    assert answer.headers["location"] == (path.removesuffix("/feed") or "/")


async def test_the_way_back_from_an_error_never_leads_to_another_site() -> None:
    answer = await Visit()("GET", "//evil.example/login")
    assert answer.status == 404
    assert 'href="//' not in answer.text


async def test_a_feed_ends_when_its_reader_may_less_than_when_it_began() -> None:
    visit = Visit("owner")
    kit = Kit(Renderer(load_assets()), visit.screens, visit.doors, Feed(tick_s=0.001, beat_s=0.001), dev=False)
    scope = {"type": "http", "method": "GET", "path": "/feed", "query_string": b"", "server": ("console.example", 443),
             "headers": [(b"accept", b"text/event-stream")]}  # fmt: skip
    who = await visit.doors.visitor(visit.cookie)
    assert who is not None
    stream = kit.stream(Request(scope), who, "overview", "", lambda: visit.screens.overview(who))
    assert isinstance(stream, StreamingResponse)
    viewer = await visit.doors.visitor(visit.doors.open("viewer"))
    assert viewer is not None
    visit.doors._sessions[visit.cookie] = viewer
    async with asyncio.timeout(60):
        async for _ in stream.body_iterator:
            pass


async def test_one_press_brakes_and_twice_is_fine() -> None:
    visit = Visit()
    for _ in range(2):
        answer = await visit.post("/rollouts/ro_live/brake")
        assert (answer.status, answer.headers["location"]) == (303, "/rollouts/ro_live")
    page = await visit("GET", "/rollouts/ro_live")
    assert "BRAKED" in page.text
    assert "98,635 were spared" in page.text


async def test_one_endpoint_is_stopped_by_one_press_and_tried_again_for_a_reason() -> None:
    visit = Visit()
    stopped = await visit.post("/endpoints/ep_1/rollouts/ro_1/stop")
    assert (stopped.status, stopped.headers["location"]) == (303, "/endpoints/ep_1/runs?done=one-runs")
    assert "never torn" in (await visit("GET", stopped.headers["location"])).text
    assert (await visit.post("/endpoints/ep_1/rollouts/ro_1/retry", reason=" ")).status == 422
    again = await visit.post("/endpoints/ep_1/rollouts/ro_1/retry", reason="disk was full")
    assert (again.status, again.headers["location"]) == (303, "/endpoints/ep_1/runs?done=one-again")
    assert visit.screens.presses == ["stop ep_1", "retry ep_1 disk was full"]
    assert (await Visit("viewer").post("/endpoints/ep_1/rollouts/ro_1/stop")).status == 403


async def test_resume_needs_a_reason_and_leads_to_the_request_for_a_second_person() -> None:
    visit = Visit()
    answer = await visit.post("/rollouts/ro_live/resume", reason="  ")
    assert answer.status == 422
    assert "needs a reason" in answer.text
    asked = await visit.post("/rollouts/ro_live/resume", reason="false alarm")
    assert (asked.status, asked.headers["location"]) == (303, "/approvals/ap_01?done=asked")
    assert "Nothing is done until a second person agrees" in (await visit("GET", asked.headers["location"])).text


@pytest.mark.parametrize("path", [p for p in PAGES if p != "/freeze"])
async def test_freeze_is_a_form_on_every_page_and_says_so_once_it_is(path: str) -> None:
    visit = Visit()
    page = (await visit("GET", path)).text
    form = page.partition('<form class="freezing" method="post" action="/freeze">')[2].partition("</form>")[0]
    assert f'value="csrf-of-{visit.cookie}"' in form
    assert "FREEZE</button>" in form
    assert 'id="freeze-alert"' not in page
    for _ in range(2):
        pressed = await visit.post("/freeze")
        assert (pressed.status, pressed.headers["location"]) == (303, "/freeze?done=frozen")
    frozen = (await visit("GET", path)).text
    assert 'id="freeze-alert"' in frozen
    assert "Everything is frozen by Alice since" in frozen
    assert "FROZEN</a>" in frozen


async def test_freeze_is_on_error_pages_too_and_needs_no_database_to_be_there() -> None:
    visit = Visit()
    page = (await visit("GET", "/nowhere")).text
    assert f'<input type="hidden" name="csrf" value="csrf-of-{visit.cookie}"><button class="freeze"' in page
    assert "FREEZE" not in (await Visit("")("GET", "/login")).text, "nobody is signed in there"


async def test_a_viewer_cannot_freeze_and_nobody_lifts_without_a_reason() -> None:
    assert (await Visit("viewer").post("/freeze")).status == 403
    visit = Visit()
    assert (await visit.post("/freeze/lift", reason=" ")).status == 422
    asked = await visit.post("/freeze/lift", reason="it was the mirror")
    assert (asked.status, asked.headers["location"]) == (303, "/approvals/ap_01?done=asked")
    assert visit.screens.presses == ["unfreeze: it was the mirror"]


async def test_the_break_glass_code_freezes_without_a_session_and_from_our_own_page_only() -> None:
    visit = Visit("")
    own = {"origin": "https://console.example"}
    assert (await visit("GET", "/emergency")).status == 200
    assert (await visit("POST", "/emergency", {"code": CODE}, origin="https://evil.example")).status == 403
    wrong = await visit("POST", "/emergency", {"code": "bg-1"}, **own)
    assert (wrong.status, "no break-glass code" in wrong.text) == (401, True)
    assert visit.screens.presses == []
    pressed = await visit("POST", "/emergency", {"code": CODE}, **own)
    assert (pressed.status, "Everything is frozen" in pressed.text) == (200, True)
    assert visit.screens.presses == ["freeze"]


async def test_agreeing_takes_what_was_seen_and_the_password_and_saying_no_a_reason() -> None:
    visit = Visit()
    page = (await visit("GET", "/approvals/ap_1")).text
    assert 'name="digest" value="0123456789abcdef"' in page
    assert 'type="password"' in page
    assert (await visit.post("/approvals/ap_1/approve", digest="0123456789abcdef", password="wrong")).status == 401
    assert (await visit.post("/approvals/ap_1/approve", digest="something else", password=PASSWORD)).status == 401
    done = await visit.post("/approvals/ap_1/approve", digest="0123456789abcdef", password=PASSWORD)
    assert (done.status, done.headers["location"]) == (303, "/approvals/ap_1?done=agreed")
    assert (await visit.post("/approvals/ap_1/reject", reason=" ")).status == 422
    assert (await visit.post("/approvals/ap_1/reject", reason="not so")).status == 303
    assert visit.screens.presses == ["approve ap_1", "reject ap_1: not so"]
    assert (await visit("GET", "/approvals/nothing")).status == 404


async def test_start_with_another_count_than_seen_is_refused() -> None:
    visit = Visit()
    assert (await visit.post("/rollouts/new", expect_count="7")).status == 409
    assert (await visit.post("/rollouts/new", expect_count="6")).status == 303
    for wrong in ("", "-1", "6.0", "٦", "9" * 40):
        assert (await visit.post("/rollouts/new", expect_count=wrong)).status == 422


@pytest.mark.parametrize("verb", ["withdraw", "recall", "pardon"])
async def test_an_act_on_a_release_needs_a_reason_and_the_permission(verb: str) -> None:
    visit, path = Visit(), f"/releases/{GOOD}/{verb}"
    assert (await visit.post(path, reason=" ")).status == 422
    assert visit.screens.presses == []
    done = await visit.post(path, reason="it eats memory")
    to = "/approvals/ap_01" if verb == "pardon" else f"/releases/{GOOD}"
    assert (done.status, done.headers["location"].partition("?")[0]) == (303, to)
    assert visit.screens.presses == [f"{verb} {GOOD}: it eats memory"]
    notice = await visit("GET", done.headers["location"])
    assert 'role="status"' in notice.text
    viewer = Visit("viewer")
    assert (await viewer.post(path, reason="it eats memory")).status == 403


async def test_looking_at_a_step_does_nothing_and_a_plan_carries_the_count_that_was_seen() -> None:
    visit = Visit()
    for verb in ("withdraw", "recall", "pardon", "promote"):
        assert (await visit("GET", f"/releases/{GOOD}/{verb}")).status == 200
    assert visit.screens.presses == []
    assert (await visit("GET", f"/releases/{GOOD}/destroy")).status == 404
    assert (await visit.post(f"/releases/{GOOD}/destroy", reason="x")).status == 404
    path = f"/releases/{GOOD}/promote"
    assert [(await visit.post(path, expect_count=n)).status for n in ("", "7", "6")] == [422, 409, 303]
    assert "Your role may look, not start" in (await Visit("viewer")("GET", path)).text


async def test_a_viewer_is_told_which_permission_is_missing() -> None:
    answer = await Visit("viewer").post("/rollouts/ro_live/brake")
    assert answer.status == 403
    assert "rollout.brake" in answer.text


async def test_htmx_gets_the_fragment_and_everybody_else_the_page() -> None:
    visit = Visit()
    fragment = await visit("GET", "/endpoints?q=oss:debian", hx_request="true")
    page = await visit("GET", "/endpoints?q=oss:debian")
    assert "<html" not in fragment.text
    assert "Did you mean" in fragment.text
    assert "<html" in page.text
    assert "Did you mean" in page.text


async def test_errors_are_pages_that_say_what_to_do() -> None:
    visit = Visit()
    for path, status in (("/nowhere", 404), ("/rollouts/ro_x", 404), ("/endpoints/ep_1/secrets", 404)):
        answer = await visit("GET", path)
        assert answer.status == status
        assert "<h1>" in answer.text
        assert "Traceback" not in answer.text


async def test_database_away_is_a_503_page_with_retry_after(monkeypatch: pytest.MonkeyPatch) -> None:
    visit = Visit()

    class Away(Showroom):
        async def overview(self, who):  # type: ignore[no-untyped-def]
            raise Unavailable("the database is away")

        async def nav(self, who):  # type: ignore[no-untyped-def]
            raise Unavailable("the database is away")

    visit.console = build(Away(ManualClock()), visit.doors)
    answer = await visit("GET", "/")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "nothing was lost" in answer.text


async def test_an_oversized_form_is_refused() -> None:
    answer = await Visit().post("/policies", filter="x" * FORM_BYTES_MAX)
    assert answer.status == 422
    assert "larger than" in answer.text


async def test_login_sets_a_cookie_that_scripts_cannot_read() -> None:
    visit = Visit("")
    wrong = await visit("POST", "/login", {"email": EMAIL, "password": "x"}, origin="https://console.example")
    assert wrong.status == 401
    foreign = await visit("POST", "/login", {"email": EMAIL, "password": PASSWORD}, origin="https://evil.example")
    assert foreign.status == 403
    form = {"email": EMAIL, "password": PASSWORD, "next": "//evil.example"}
    right = await visit("POST", "/login", form, origin="https://console.example")
    assert (right.status, right.headers["location"]) == (303, "/")
    cookie = right.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=lax", "secure", "path=/"))


async def test_a_link_works_once_and_looking_does_not_use_it_up() -> None:
    visit = Visit("")
    for _ in range(2):
        assert (await visit("GET", "/login/once")).status == 200
    own = {"origin": "https://console.example"}
    short = await visit("POST", "/login/link", {"token": "once", "password": "short"}, **own)
    assert short.status == 422
    used = await visit("POST", "/login/link", {"token": "once", "password": "long enough, I hope"}, **own)
    assert used.status == 303
    again = await visit("POST", "/login/link", {"token": "once", "password": "long enough, I hope"}, **own)
    assert again.status == 410


async def test_specimens_only_in_development() -> None:
    assert (await Visit()("GET", "/_ui")).status == 404
    assert (await Visit(dev=True)("GET", "/_ui")).status == 200


def test_a_server_does_not_load_the_samples_that_it_does_not_show() -> None:
    loaded = "import brakeline.server.run, sys; print([m for m in sys.modules if m.startswith('brakeline.console.s')])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert "brakeline.console.screens" in done.stdout
    assert "brakeline.console.samples" not in done.stdout


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\r\nX: y"])
def test_next_never_leads_to_another_site(target: str) -> None:
    assert safe_next(target) == "/"


def test_next_leads_to_our_pages() -> None:
    assert safe_next("/rollouts/ro_1?done=x") == "/rollouts/ro_1?done=x"


async def test_the_way_back_is_looked_at_first_and_the_press_carries_the_count() -> None:
    visit = Visit()
    page = await visit("GET", "/rollouts/ro_halted/rollback")
    assert page.status == 200
    for words in ("8 endpoints have kept the exact way back", "First: proven harm", "edge-1", "cannot be had any more"):
        assert words in page.text
    assert visit.screens.presses == []
    assert (await visit.post("/rollouts/ro_halted/rollback", expect_count="7")).status == 409
    made = await visit.post("/rollouts/ro_halted/rollback", expect_count="8")
    assert (made.status, made.headers["location"]) == (303, "/rollouts/ro_draft")
    assert visit.screens.presses == ["rollback ro_halted: 8"]
    looking = await Visit("viewer")("GET", "/rollouts/ro_halted/rollback")
    assert 'id="make-rollback"' not in looking.text
    halted = await visit("GET", "/rollouts/ro_halted")
    assert 'href="/rollouts/ro_halted/rollback"' in halted.text


async def test_restarts_are_looked_at_first_and_the_press_carries_the_count() -> None:
    visit = Visit()
    page = await visit("GET", "/rollouts/restart?filter=tag:web&pace=fast")
    assert page.status == 200
    for words in ("12 endpoints would be restarted", "web-1", 'value="tag:web"', "only where its root allows"):
        assert words in page.text
    for words in (
        "--warn 15 --deferrals 3 --defer 60",
        "puts it off up to 3 times by 60 min",
        'max="1440" value="15"',
    ):
        assert words in page.text, words
    assert (await visit("GET", "/rollouts/restart?warn=soon")).status == 422
    assert (await visit.post("/rollouts/restart", filter="tag:web", expect_count="7")).status == 409
    assert (await visit.post("/rollouts/restart", filter="tag:web", expect_count="many")).status == 422
    made = await visit.post("/rollouts/restart", filter="tag:web", expect_count="12")
    assert (made.status, made.headers["location"]) == (303, "/rollouts/ro_draft")
    assert visit.screens.presses == ["restart tag:web: 12"]
    assert 'id="make-restarts"' not in (await Visit("viewer")("GET", "/rollouts/restart")).text
    nobody = await visit("GET", "/rollouts/restart?filter=tag:nobody")
    assert "No active endpoint that matches has a restart due." in nobody.text
