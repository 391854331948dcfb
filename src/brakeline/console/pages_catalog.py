"""Routes of own packages and the curated catalogue: look only; what changes them is the command line's or the API's."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakeline.console.kit import Kit


class CatalogPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route("/own-packages", self.packages), Route("/own-packages/{name}", self.package),
            Route("/catalogue", self.catalogue), Route("/catalogue/{name}", self.product),
        ]  # fmt: skip

    async def packages(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "packages", await self.screens.packages(who), "Own packages")

    async def package(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        version = request.query_params.get("version", "")
        view = await self.screens.package(who, request.path_params["name"], version)
        return await self.kit.page(request, who, "package", view, view.title)

    async def catalogue(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        query = request.query_params.get("q", "")[:200]
        return await self.kit.page(request, who, "catalogue", await self.screens.catalogue(who, query), "Catalogue")

    async def product(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.product(who, request.path_params["name"])
        return await self.kit.page(request, who, "product", view, view.title)
