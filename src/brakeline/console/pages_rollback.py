"""Routes of a way back: first the plan with its names, then a press that carries the number that was seen.

What the press makes is a draft, whose own page starts it: going back changes endpoints like going forward does.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, counted


class RollbackPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        path = "/rollouts/{id}/rollback"
        return [Route(path, self.show, methods=["GET"]), Route(path, self.make, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.rollback(who, request.path_params["id"])
        return await self.kit.page(request, who, "rollback", view, "Way back")

    async def make(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        expected = counted(form.get("expect_count", ""))
        made = await self.screens.make_rollback(who, request.path_params["id"], expected)
        return RedirectResponse(f"/rollouts/{made}", 303)
