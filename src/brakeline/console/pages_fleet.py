"""Routes of Overview, Endpoints and Vulnerabilities: parse, ask the screens, render."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.feed import ALL
from brakeline.console.kit import Kit
from brakeline.console.screens import ENDPOINT_TABS
from brakeline.core.errors import NotFound

STILL = ("software", "history")  # tabs that are read, not watched
SLOW = 4  # ticks: overview and endpoint ask many questions and change with check-ins, not with every offer
SLOWER = 8  # lists over the whole fleet: what advisories do to them is heard at once, the rest may take this long


class FleetPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route("/", self.overview),
            Route("/feed", self.overview_feed),
            Route("/endpoints", self.endpoints),
            Route("/endpoints/add", self.add, methods=["GET"]),
            Route("/endpoints/add", self.make_command, methods=["POST"]),
            Route("/endpoints/add/feed", self.add_feed),
            Route("/endpoints/{id}/scan", self.scan, methods=["POST"]),
            Route("/endpoints/{id}", self.endpoint),
            Route("/endpoints/{id}/{tab}", self.endpoint),
            Route("/endpoints/{id}/{tab}/feed", self.endpoint_feed),
            Route("/vulnerabilities", self.vulnerabilities),
            Route("/vulnerabilities/feed", self.vulnerabilities_feed),
            Route("/vulnerabilities/{cve}", self.cve),
            Route("/vulnerabilities/{cve}/feed", self.cve_feed),
        ]

    async def overview(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.overview(who)
        if view.fleet_empty:
            return RedirectResponse("/endpoints/add", 303)
        return await self.kit.page(request, who, "overview", view, "Overview", feed="/feed")

    async def overview_feed(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return self.kit.stream(request, who, "overview", "", lambda: self.screens.overview(who), SLOW, ALL)

    async def endpoints(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        params = request.query_params
        view = await self.screens.endpoints(who, params.get("q", ""), params.get("after", ""))
        if view.fleet_empty and not view.query.text:
            return RedirectResponse("/endpoints/add", 303)
        return await self.kit.page(request, who, "endpoints", view, "Endpoints")

    async def add(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.add_endpoint(who, request.query_params.get("region", ""), "")
        return await self.kit.page(request, who, "add_endpoint", view, "Add endpoint")

    async def make_command(self, request: Request) -> Response:
        """Answers with the page itself: the line is shown once, so there is nothing to redirect to."""
        who, form = await self.kit.posted(request)
        token_id, view = await self.screens.make_command(
            who, form.get("region", ""), form.get("tags", ""), request.headers.get("host", "")
        )
        feed = f"/endpoints/add/feed?token={quote(token_id)}" if token_id else ""
        return await self.kit.page(request, who, "add_endpoint", view, "Add endpoint", feed=feed)

    async def add_feed(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        token = request.query_params.get("token", "")
        return self.kit.stream(
            request, who, "add_endpoint", token, lambda: self.screens.add_progress(who, token)
        )  # fmt: skip

    async def endpoint(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        endpoint_id, tab, query = request.path_params["id"], _tab(request), _query(request)
        view = await self.screens.endpoint(who, endpoint_id, tab, query)
        asked = f"?{urlencode({'q': query})}" if tab == "runs" and query else ""
        feed = f"/endpoints/{endpoint_id}/{tab}/feed{asked}" if tab not in STILL else ""
        return await self.kit.page(request, who, "endpoint", view, view.name, feed=feed)

    async def endpoint_feed(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        endpoint_id, tab = request.path_params["id"], _tab(request)
        query = _query(request) if tab == "runs" else ""
        return self.kit.stream(
            request, who, "endpoint", f"{endpoint_id}/{tab}/{query}",
            lambda: self.screens.endpoint(who, endpoint_id, tab, query), SLOW, endpoint_id,
        )  # fmt: skip

    async def scan(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        await self.screens.scan(who, request.path_params["id"])
        return RedirectResponse(f"/endpoints/{request.path_params['id']}?done=scan", 303)

    async def vulnerabilities(self, request: Request) -> Response:
        who, (query, after) = await self.kit.enter(request), _listed(request)
        view = await self.screens.vulnerabilities(who, query, after)
        asked = urlencode({k: v for k, v in (("q", query), ("after", after)) if v})
        feed = "/vulnerabilities/feed" + (f"?{asked}" if asked else "")
        return await self.kit.page(request, who, "vulnerabilities", view, "Vulnerabilities", feed=feed)

    async def vulnerabilities_feed(self, request: Request) -> Response:
        who, (query, after) = await self.kit.enter(request), _listed(request)
        return self.kit.stream(
            request, who, "vulnerabilities", urlencode({"q": query, "after": after}),
            lambda: self.screens.vulnerabilities(who, query, after), SLOWER, ALL,
        )  # fmt: skip

    async def cve(self, request: Request) -> Response:
        who, cve = await self.kit.enter(request), request.path_params["cve"]
        view = await self.screens.cve(who, cve)
        return await self.kit.page(request, who, "cve", view, view.id, feed=f"/vulnerabilities/{quote(cve)}/feed")

    async def cve_feed(self, request: Request) -> Response:
        who, cve = await self.kit.enter(request), request.path_params["cve"]
        return self.kit.stream(request, who, "cve", cve, lambda: self.screens.cve(who, cve), SLOWER, ALL)


def _listed(request: Request) -> tuple[str, str]:
    """Filter and place of a list."""
    return request.query_params.get("q", "").strip(), request.query_params.get("after", "")


def _query(request: Request) -> str:
    """What the tab is asked for; of the history two days, and whether only their difference."""
    params = request.query_params
    if "since" in params or "until" in params:
        net = " net" if params.get("net") else ""
        return f"{params.get('since', '').strip()}..{params.get('until', '').strip()}{net}"
    return str(params.get("q", "")).strip()


def _tab(request: Request) -> str:
    tab: str = request.path_params.get("tab", "summary")
    if tab not in ENDPOINT_TABS:
        raise NotFound(f"an endpoint has no page {tab[:40]!r}; there are {', '.join(ENDPOINT_TABS)}")
    return tab
