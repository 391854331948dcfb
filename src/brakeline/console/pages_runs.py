"""Routes of one endpoint of a rollout: stop what has not begun (one press), try again (with a reason)."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit


class RunPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route("/endpoints/{id}/rollouts/{rollout}/stop", self.stop, methods=["POST"]),
            Route("/endpoints/{id}/rollouts/{rollout}/retry", self.retry, methods=["POST"]),
        ]

    async def stop(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        endpoint_id, rollout_id = request.path_params["id"], request.path_params["rollout"]
        state = await self.screens.stop_one(who, rollout_id, endpoint_id, form.get("reason", ""))
        return _back(endpoint_id, f"one-{state}")

    async def retry(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        endpoint_id, rollout_id = request.path_params["id"], request.path_params["rollout"]
        state = await self.screens.retry_one(who, rollout_id, endpoint_id, form.get("reason", ""))
        return _back(endpoint_id, f"one-{state}")


def _back(endpoint_id: str, done: str) -> Response:
    return RedirectResponse(f"/endpoints/{quote(endpoint_id)}/runs?done={done}", 303)
