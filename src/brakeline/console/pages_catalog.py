"""Routes of own packages: look only; packages are signed and taken in by the command line or the API."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakeline.console.kit import Kit


class CatalogPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [Route("/own-packages", self.packages), Route("/own-packages/{name}", self.package)]

    async def packages(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "packages", await self.screens.packages(who), "Own packages")

    async def package(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        version = request.query_params.get("version", "")
        view = await self.screens.package(who, request.path_params["name"], version)
        return await self.kit.page(request, who, "package", view, view.title)
