"""Routes of the pool, below the settings. To share becomes a request that a second person agrees to; to stop is one
press."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, asked

PAGE = "/settings/pool"


class PoolPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route(PAGE, self.page),
            Route(f"{PAGE}/join", self.join, methods=["POST"]),
            Route(f"{PAGE}/leave", self.leave, methods=["POST"]),
            Route(f"{PAGE}/partners/{{name}}/part", self.part, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "pool", await self.screens.pool(who), "Pool")

    async def join(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        return asked(await self.screens.pool_join(who)) or RedirectResponse(f"{PAGE}?done=pool", 303)

    async def leave(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        await self.screens.pool_leave(who)
        return RedirectResponse(f"{PAGE}?done=pool-left", 303)

    async def part(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        await self.screens.pool_part(who, request.path_params["name"])
        return RedirectResponse(f"{PAGE}?done=pool-parted", 303)
