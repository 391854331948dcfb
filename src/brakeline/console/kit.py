"""What every route of the console uses: who is asking, pages, fragments, forms, streams, errors as pages.

Invariants: no handler reads a cookie or a form except through here; a posted form is believed only after origin and
form token were checked; bodies are bounded; where a `Fault` ends a request, a person reads what, why and what next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from brakeline.console.feed import Feed
from brakeline.console.render import Renderer
from brakeline.console.screens import Doors, Screens, Visitor
from brakeline.console.security import require_form_token, require_own_origin
from brakeline.console.views import ErrorView, Link, NavCounts, NavGroup, NavItem, Shell
from brakeline.console.views_stop import PressedView
from brakeline.core.errors import BrakelineError, Bug, Fault, Invalid, Unauthenticated

SESSION_COOKIE: Final = "brakeline_session"
FORM_BYTES_MAX: Final = 64 * 1024  # the longest form is a list of package names
SESSION_S: Final = 12 * 3600  # the cookie's life; the session's own end is the service's decision

NOTICES: Final = {
    "scan": "Asked for a scan: the endpoint answers at its next check-in.",
    "policy": "The policy is made. What it takes away holds at once; what it adds may wait for a rollout, see below.",
    "policy-gone": "The policy is removed. What follows from the others holds at each endpoint's next check-in.",
    "accepted": "Accepted until then. It stays in every list and count.",
    "acceptance-ended": "Taken back: it counts as open.",
    "terms": "The terms hold.",
    "declined": "Declined: no rollout offers it, and those that have it hold.",
    "allowed": "Allowed again: rollouts may offer it.",
    "sink-test": "Asked: it comes within seconds, if it gets through.",
    "sink-replay": "Sent again, as far as it took them.",
    "sink-remove": "Removed: it is told nothing more.",
    "content": "Accepted. If nothing else is against it, it is live now.",
    "content-fetched": "Asked. What came, if it was newer, is live or held below.",
    "content-refused": "Refused. The last good content stays until newer comes.",
    "pool": "Shared from now on: the others' evidence counts with the next look of the brake.",
    "pool-parted": "What that partner told counts no more.",
    "pool-left": "Nothing is shared any more, and nobody else's evidence counts.",
    "budget": "The budget holds from the next offer on.",
    "budget-gone": "The budget is removed.",
    "window": "The freeze window is in the list; while it is in force nobody it is for gets a new offer.",
    "window-gone": "The freeze window is removed; what it held up goes on.",
    "cell": "Noted; it holds from the cell's next exchange on.",
    "lead-taken": "Taken over: it is paused here until somebody resumes it.",
    "lead-drafted": "Drafted. Each cell tells with its next exchange for how many endpoints it makes a difference, or "
    "why it takes no part; then start it.",
    "lead-made": "Drafted. Each cell tells with its next exchange how many endpoints it has; then start it here.",
    "lead-start": "Started: its first ring opens in one cell after the other.",
    "lead-pause": "Paused: every cell holds with its next exchange.",
    "lead-resume": "It goes on with the next exchange of each cell.",
    "lead-braked": "Braked: every cell stops with its next exchange, and one that is cut off when its grant ends.",
    "one-withdrawn": "Stopped here: nothing of that rollout begins on this endpoint.",
    "one-told": "Told to drop its offer. If it has begun in this very moment, that transaction goes on to its end.",
    "one-runs": "Its transaction runs and is never torn: it goes on to its end. Nothing else of it begins here.",
    "one-again": "It gets another offer as soon as it is ready and a budget has room.",
    "one-waits": "It gets another offer when the rollout goes on; now it holds.",
    "revoked": "The token is revoked, and every token that was made by it.",
    "followed": "It is followed: its line begins today.",
    "unfollowed": "It is followed no more. Its days are kept: they are back when somebody follows it again.",
    "paused": "Paused: nothing new is offered.",
    "resumed": "Asked to go on.",
    "withdrawn": "Withdrawn: nobody is offered it any more.",
    "recalled": "Recalled: endpoints end it at their next check-in or look.",
    "frozen": "Frozen: nothing new starts on any endpoint.",
    "lifted": "Lifted: rollouts go on where they stood.",
    "asked": "Asked. Nothing is done until a second person agrees.",
    "agreed": "Agreed, and done.",
    "taken-over": "Noted. Somebody else has to agree too.",
    "rejected": "Rejected, for everybody.",
}


class NotLoggedIn(Unauthenticated):
    """You are not logged in."""

    code = "not-logged-in"
    hint = "Log in and try again."


class Kit:
    """Shared by all handlers; holds no state of a request."""

    def __init__(self, renderer: Renderer, screens: Screens, doors: Doors, feed: Feed, *, dev: bool) -> None:
        self.renderer, self.screens, self.doors, self.feed, self.dev = renderer, screens, doors, feed, dev
        self.drills = False  # whether somebody has mounted the pages of drills

    async def enter(self, request: Request) -> Visitor:
        """Who is asking. Raises NotLoggedIn."""
        cookie = request.cookies.get(SESSION_COOKIE, "")
        visitor = await self.doors.visitor(cookie) if cookie else None
        if visitor is None:
            raise NotLoggedIn()
        return visitor

    async def pressed(self, request: Request) -> tuple[Visitor, dict[str, str]]:
        """Who presses BRAKE or FREEZE: as `posted`, and while the database is away whoever was here a moment ago."""
        require_own_origin(request.headers)
        cookie = request.cookies.get(SESSION_COOKIE, "")
        visitor = await self.doors.presser(cookie) if cookie else None
        if visitor is None:
            raise NotLoggedIn()
        form = await read_form(request)
        require_form_token(form.get("csrf", ""), visitor.csrf)
        return visitor, form

    async def posted(self, request: Request) -> tuple[Visitor, dict[str, str]]:
        """Who posted which form. Raises NotLoggedIn, ForgedForm, Invalid."""
        require_own_origin(request.headers)
        visitor = await self.enter(request)
        form = await read_form(request)
        require_form_token(form.get("csrf", ""), visitor.csrf)
        return visitor, form

    async def page(
        self, request: Request, who: Visitor, name: str, view: Any, title: str, *, feed: str = "", status: int = 200
    ) -> Response:
        """A whole page; only its fragment where htmx asks for that and the page has one."""
        shell = await self.shell(request, who, title, feed)
        fragment = FRAGMENTS.get(name) if request.headers.get("hx-request") == "true" else None
        if fragment is not None:
            text = self.renderer.environment.get_template(fragment).render(view=view, shell=shell)
        else:
            text = self.renderer.page(name, view, shell)
        return HTMLResponse(text, status_code=status, headers={"vary": "HX-Request"})

    async def shell(self, request: Request, who: Visitor, title: str, feed: str = "") -> Shell:
        try:
            counts = await self.screens.nav(who)
        except Fault:
            counts = NavCounts()  # the page itself says what is wrong; the numbers beside the links are left out
        return Shell(
            title=title, nav=navigation(request.url.path, counts, drills=self.drills),
            person=who.principal.name, csrf=who.csrf, feed=feed,
            notice=NOTICES.get(request.query_params.get("done", ""), ""), dev=self.dev, freeze=True,
            frozen=self.screens.frozen(who),
        )  # fmt: skip

    def stream(
        self, request: Request, who: Visitor, name: str, topic: str, read: Callable[[], Awaitable[Any]], pace: int = 1,
        hears: str = "",
    ) -> Response:  # fmt: skip
        """The live regions of page `name`. Without the wish for a stream (a person opened it): the page itself."""
        if "text/event-stream" not in request.headers.get("accept", ""):
            asked = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse((request.url.path.removesuffix("/feed") or "/") + asked, 303)

        async def render() -> str:
            return self.renderer.message(name, await read(), self.screens.frozen(who))

        async def allowed() -> bool:
            now = await self.doors.visitor(who.cookie)
            return now is not None and audience(now) == audience(who)  # who may less now is told to come again

        key = f"{who.principal.tenant_id}/{audience(who)}/{name}/{topic}"
        body = self.feed.stream(key, render, request.headers.get("last-event-id", ""), allowed, pace, hears)
        return StreamingResponse(body, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    def error(self, request: Request, fault: BrakelineError) -> Response:
        """`fault` as a page for people."""
        status = fault.status if isinstance(fault, Fault) else 500
        facts = ", ".join(f"{k}: {v}" for k, v in fault.context.items())
        why = " ".join(p for p in (fault.detail, f"({facts})" if facts else "") if p)
        view = ErrorView(
            status, fault.title, why, fault.hint, getattr(request.state, "request_id", ""),
            (Link("Back", safe_next(request.url.path)), Link("Overview", "/")),
        )  # fmt: skip
        headers = {"retry-after": "5"} if status == 503 else {}
        page = self.renderer.page("error", view, self._shell_from_memory(request, fault.title))
        return HTMLResponse(page, status_code=status, headers=headers)

    def from_memory(self, request: Request, view: PressedView) -> Response:
        """What was stopped while the database was away."""
        return HTMLResponse(self.renderer.page("pressed", view, self._shell_from_memory(request, view.title)))

    def _shell_from_memory(self, request: Request, title: str) -> Shell:
        """A shell that asks nobody. FREEZE is on it too: its form token belongs to the cookie, whoever that is."""
        cookie = request.cookies.get(SESSION_COOKIE, "")
        nav = navigation(request.url.path, NavCounts(), drills=self.drills)
        return Shell(title=title, nav=nav, csrf=self.doors.form_token(cookie) if cookie else "", freeze=bool(cookie))


FRAGMENTS: Final[Mapping[str, str]] = {
    "endpoints": "fragments/endpoints.html",
    "vulnerabilities": "fragments/vulnerabilities.html",
    "new_deployment": "fragments/preview.html",
    "policies": "fragments/policy_preview.html",
}


def audience(who: Visitor) -> str:
    """Visitors with the same permissions see the same live regions, so these are rendered once for all of them."""
    return hashlib.sha256(" ".join(sorted(who.principal.permissions)).encode()).hexdigest()[:12]


async def read_form(request: Request) -> dict[str, str]:
    """An urlencoded body of bounded size as text fields. Raises Invalid."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise Invalid(f"the form is larger than {FORM_BYTES_MAX} bytes")
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=40, errors="strict"))
    except ValueError as wrong:
        raise Invalid("the form cannot be read: it is not urlencoded text") from wrong


def counted(text: str) -> int:
    """The number of endpoints that somebody has seen, as the form brings it back. Raises Invalid."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Invalid("the form lost the number of endpoints that you saw; open the preview again", got=text[:20])
    return int(text)


def login_redirect(request: Request) -> Response:
    """To the login page and, for pages, back afterwards."""
    target = request.url.path if request.method == "GET" and not request.url.path.endswith("/feed") else "/"
    if request.method == "GET" and request.url.query:
        target += "?" + request.url.query
    return RedirectResponse(f"/login?next={quote(target)}", 303)


def safe_next(target: str) -> str:
    """Only paths of this console: never another site."""
    ok = target.startswith("/") and not target.startswith(("//", "/\\")) and "\n" not in target and "\r" not in target
    return target if ok else "/"


def asked(approval_id: str) -> Response | None:
    """To the request that waits for a second person, if the act has become one."""
    return RedirectResponse(f"/approvals/{approval_id}?done=asked", 303) if approval_id else None


def with_session(response: Response, cookie: str, *, secure: bool) -> Response:
    """Give the browser its session. Lax, so that a link from a mail leads in, and a foreign form does not."""
    if not cookie:
        raise Bug("a login without a session")
    response.set_cookie(
        SESSION_COOKIE, cookie, max_age=SESSION_S, httponly=True, samesite="lax", secure=secure, path="/"
    )
    return response


def navigation(path: str, counts: NavCounts, *, drills: bool = False) -> tuple[NavGroup, ...]:
    """The groups on the left, with the current page marked and what could be counted beside."""

    def item(label: str, href: str, note: str = "") -> NavItem:
        current = path == href if href == "/" else path == href or path.startswith(href + "/")
        return NavItem(label, href, note, current)

    def noted(value: int | None, unit: str = "") -> str:
        return f"{value:,}{unit}" if value else ""

    return (
        NavGroup("Fleet", (item("Overview", "/"), item("Endpoints", "/endpoints", noted(counts.endpoints)))),
        NavGroup(
            "Risk",
            (
                item("Vulnerabilities", "/vulnerabilities", noted(counts.vulnerabilities)),
                item("Updates", "/updates"),
                item("Bills of materials", "/assets"),
                item("Advisory data", "/content"),
            ),
        ),
        NavGroup(
            "Change",
            (
                item("Rollouts", "/rollouts", noted(counts.live_rollouts, " live")),
                item("Releases", "/releases"),
                item("Own packages", "/own-packages"),
                item("Catalogue", "/catalogue"),
                item("Policies", "/policies"),
                *((item("Drills", "/drills"),) if drills else ()),
            ),
        ),
        NavGroup(
            "Proof",
            (
                item("Approvals", "/approvals", noted(counts.approvals)),
                item("Audit log", "/audit"),
                item("Settings", "/settings"),
            ),
        ),
    )
