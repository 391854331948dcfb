"""Routes of accepted risk, terms and trend below the vulnerabilities, and of updates.

The danger ladder: to take an acceptance back takes a reason; to accept takes a reason and an end, and a second person
where the terms say so; to loosen the terms takes a second person always.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, asked
from brakeline.core.errors import Conflict, Invalid

ROOT = "/vulnerabilities"
DAYS = ("30", "90", "365")


class FindingPages:
    """Mounted before `FleetPages`, whose `/vulnerabilities/{cve}` would take these addresses."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route(f"{ROOT}/accepted", self.acceptances),
            Route(f"{ROOT}/accepted/{{id}}/end", self.end, methods=["POST"]),
            Route(f"{ROOT}/trend", self.trend, methods=["GET"]),
            Route(f"{ROOT}/trend/follow", self.follow, methods=["POST"]),
            Route(f"{ROOT}/trend/unfollow", self.unfollow, methods=["POST"]),
            Route("/updates", self.updates),
            Route("/updates/{name:path}/decline", self.decline, methods=["POST"]),
            Route("/updates/{name:path}/allow", self.allow, methods=["POST"]),
            Route("/updates/{name:path}", self.update),
            Route(f"{ROOT}/terms", self.terms, methods=["GET"]),
            Route(f"{ROOT}/terms", self.set_terms, methods=["POST"]),
            Route(f"{ROOT}/{{cve}}/accept", self.accept, methods=["POST"]),
        ]

    async def acceptances(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.acceptances(who, every=request.query_params.get("all", "") == "yes")
        return await self.kit.page(request, who, "accepted", view, "Accepted")

    async def end(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        await self.screens.end_acceptance(who, request.path_params["id"], form.get("reason", ""))
        return RedirectResponse(f"{ROOT}/accepted?done=acceptance-ended", 303)

    async def accept(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        cve, days, filter_text = request.path_params["cve"], form.get("days", ""), form.get("filter", "")
        waits = await self.screens.accept_cve(who, cve, form.get("reason", ""), days, filter_text)
        return asked(waits) or RedirectResponse(f"{ROOT}/{cve}?done=accepted", 303)

    async def terms(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "terms", await self.screens.terms(who), "Terms")

    async def trend(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        text = request.query_params.get("days", "90")
        days = int(text) if text in DAYS else 90
        view = await self.screens.trend(who, days, request.query_params.get("q", ""))
        return await self.kit.page(request, who, "trend", view, "Over time")

    async def follow(self, request: Request) -> Response:
        """What is refused brings the page back with what was typed."""
        who, form = await self.kit.posted(request)
        typed = form.get("q", "")
        try:
            query = await self.screens.follow(who, typed)
        except (Conflict, Invalid) as wrong:
            view = replace(await self.screens.trend(who, 90), typed=typed, error=f"{wrong.detail}.")
            return await self.kit.page(request, who, "trend", view, "Over time", status=wrong.status)
        return RedirectResponse(f"{ROOT}/trend?{urlencode({'q': query, 'done': 'followed'})}", 303)

    async def unfollow(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        await self.screens.unfollow(who, form.get("q", ""))
        return RedirectResponse(f"{ROOT}/trend?done=unfollowed", 303)

    async def updates(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.updates(who, request.query_params.get("q", "").strip())
        return await self.kit.page(request, who, "updates", view, "Updates")

    async def update(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.update(who, request.path_params["name"])
        return await self.kit.page(request, who, "update", view, view.name)

    async def decline(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        name = request.path_params["name"]
        await self.screens.decline_update(who, name, form.get("version", ""), form.get("reason", ""))
        return RedirectResponse(f"/updates/{quote(name)}?done=declined", 303)

    async def allow(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        name = request.path_params["name"]
        await self.screens.allow_update(who, name, form.get("version", ""), form.get("reason", ""))
        return RedirectResponse(f"/updates/{quote(name)}?done=allowed", 303)

    async def set_terms(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        return asked(await self.screens.set_terms(who, form)) or RedirectResponse(f"{ROOT}/terms?done=terms", 303)
