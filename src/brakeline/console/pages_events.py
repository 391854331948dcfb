"""Routes of receivers of events, below the settings."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit
from brakeline.core.errors import NotFound

PAGE = "/settings/events"
ACTS = ("test", "replay", "remove")


class EventPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route(PAGE, self.page, methods=["GET"]),
            Route(PAGE, self.add, methods=["POST"]),
            Route(f"{PAGE}/{{id}}/{{act}}", self.act, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "events", await self.screens.events(who), "Events")

    async def add(self, request: Request) -> Response:
        """Answers with the page itself: the key is shown once, so there is nothing to redirect to."""
        who, form = await self.kit.posted(request)
        name, address, kinds = form.get("name", ""), form.get("address", ""), form.get("kinds", "")
        view = await self.screens.add_sink(who, name, address, kinds)
        return await self.kit.page(request, who, "events", view, "Events")

    async def act(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        act = request.path_params["act"]
        if act not in ACTS:
            raise NotFound(f"a receiver knows {', '.join(ACTS)}")
        await self.screens.sink_act(who, request.path_params["id"], act)
        return RedirectResponse(f"{PAGE}?done=sink-{act}", 303)
