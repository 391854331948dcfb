"""Routes of imported bills of materials: look only; files are taken in by the command line or the API."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakeline.console.kit import Kit


class SbomPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [Route("/assets", self.assets), Route("/assets/{id}", self.asset)]

    async def assets(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "assets", await self.screens.assets(who), "Bills of materials")

    async def asset(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.asset(who, request.path_params["id"])
        return await self.kit.page(request, who, "asset", view, view.name)
