"""Routes of cells and leads, below the settings.

The danger ladder: BRAKE is one press; what takes a cell out or in takes a reason; tokens are made and redeemed on the
command line, where they are shown once and kept by nobody's browser.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, asked

PAGE = "/settings/cells"


class CellPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route(PAGE, self.cells),
            Route(f"{PAGE}/isolate", self.isolate_self, methods=["POST"]),
            Route(f"{PAGE}/leads/{{id}}/brake", self.brake, methods=["POST"]),
            Route(f"{PAGE}/leads/{{id}}/take", self.take, methods=["POST"]),
            Route(f"{PAGE}/{{name}}/{{act}}", self.act, methods=["POST"]),
        ]

    async def cells(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "cells", await self.screens.cells(who), "Cells")

    async def act(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        name, act = request.path_params["name"], request.path_params["act"]
        return asked(await self.screens.cell_act(who, name, act, form.get("reason", ""))) or _back("cell")

    async def isolate_self(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        await self.screens.isolate_self(who, form.get("reason", ""))
        return _back("cell")

    async def brake(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        await self.screens.brake_lead(who, request.path_params["id"])
        return _back("lead-braked")

    async def take(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        waits = await self.screens.take_lead(who, request.path_params["id"], form.get("reason", ""))
        return asked(waits) or _back("lead-taken")


def _back(done: str) -> Response:
    return RedirectResponse(f"{PAGE}?done={done}", 303)
