"""Routes of releases of our own: list, one release, its plan, the acts on it, the keys.

Every act has a step before it that says what it does and to how many, and needs a reason; promoting carries the count
that the person has seen.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, counted
from brakeline.console.pages_change import over_of
from brakeline.console.pages_fleet import SLOW
from brakeline.console.screens import RELEASE_ACTS
from brakeline.core.errors import Invalid, NotFound
from brakeline.protocol.channels import STABLE

DONE = {"withdraw": "withdrawn", "recall": "recalled"}


class ReleasePages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route("/releases", self.releases),
            Route("/releases/keys", self.keys),
            Route("/releases/{id}", self.release),
            Route("/releases/{id}/feed", self.release_feed),
            Route("/releases/{id}/promote", self.promotion, methods=["GET"]),
            Route("/releases/{id}/promote", self.promote, methods=["POST"]),
            Route("/releases/{id}/{verb}", self.act, methods=["GET"]),
            Route("/releases/{id}/{verb}", self.do, methods=["POST"]),
        ]

    async def releases(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.releases(who, request.query_params.get("after", ""))
        return await self.kit.page(request, who, "releases", view, "Releases")

    async def keys(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "release_keys", await self.screens.release_keys(who), "Release keys")

    async def release(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.release(who, request.path_params["id"])
        return await self.kit.page(request, who, "release", view, view.name, feed=f"/releases/{view.id}/feed")

    async def release_feed(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        release_id = request.path_params["id"]
        return self.kit.stream(
            request, who, "release", release_id, lambda: self.screens.release(who, release_id), SLOW
        )  # fmt: skip

    async def promotion(self, request: Request) -> Response:
        """The plan. The address holds pace, channel and cells, so it can be sent to a colleague."""
        who = await self.kit.enter(request)
        params = request.query_params
        over = over_of(params, params.getlist("cell"))
        pace, channel = params.get("pace", "careful"), params.get("channel", STABLE)
        view = await self.screens.promotion(who, request.path_params["id"], pace, over, channel)
        return await self.kit.page(request, who, "promotion", view, f"Promote {view.name}")

    async def promote(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        expected = counted(form.get("expect_count", ""))
        pace, channel = form.get("pace", "careful"), form.get("channel", STABLE)
        rollout_id = await self.screens.promote(who, request.path_params["id"], pace, expected, channel)
        return RedirectResponse(f"/rollouts/{rollout_id}", 303)

    async def act(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.release_act(who, request.path_params["id"], _verb(request))
        return await self.kit.page(request, who, "release_act", view, view.title)

    async def do(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        release_id, verb, reason = request.path_params["id"], _verb(request), form.get("reason", "").strip()
        if not reason:
            raise Invalid(f"to {verb} a release takes a reason; it is written to the audit log")
        if approval_id := await self.screens.act_on_release(who, release_id, verb, reason):
            return RedirectResponse(f"/approvals/{approval_id}?done=asked", 303)
        return RedirectResponse(f"/releases/{release_id}?done={DONE.get(verb, '')}", 303)


def _verb(request: Request) -> str:
    verb: str = request.path_params["verb"]
    if verb not in RELEASE_ACTS:
        raise NotFound(f"a release has no page {verb[:40]!r}; there are promote, {', '.join(RELEASE_ACTS)}")
    return verb
