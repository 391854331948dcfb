"""Routes of advisory data: what is live, what is held. To refuse takes a reason; to accept may take a second person."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, asked

PAGE = "/content"


class ContentPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route(PAGE, self.content),
            Route(f"{PAGE}/{{feed}}/fetch", self.fetch, methods=["POST"]),
            Route(f"{PAGE}/{{feed}}/accept", self.accept, methods=["POST"]),
            Route(f"{PAGE}/{{feed}}/refuse", self.refuse, methods=["POST"]),
        ]

    async def content(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "content", await self.screens.content(who), "Advisory data")

    async def fetch(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        await self.screens.fetch_content(who, request.path_params["feed"])
        return _back("content-fetched")

    async def accept(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        feed = request.path_params["feed"]
        return asked(await self.screens.accept_content(who, feed, form.get("sha256", ""))) or _back("content")

    async def refuse(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        feed, reason = request.path_params["feed"], form.get("reason", "")
        await self.screens.refuse_content(who, feed, form.get("sha256", ""), reason)
        return _back("content-refused")


def _back(done: str) -> Response:
    return RedirectResponse(f"{PAGE}?done={done}", 303)
