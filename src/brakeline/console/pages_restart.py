"""Routes of due restarts: first who it would be, then a press that carries the number that was seen.

What the press makes is a draft, whose own page starts it.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, counted
from brakeline.console.views_restart import RestartForm
from brakeline.rollout.people import WrongTerms

FILTER_CHARS_MAX = 500


class RestartPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        path = "/rollouts/restart"
        return [Route(path, self.show, methods=["GET"]), Route(path, self.make, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.restarts(who, _form(request.query_params))
        return await self.kit.page(request, who, "restart", view, "Restart")

    async def make(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        expected = counted(form.get("expect_count", ""))
        made = await self.screens.make_restarts(who, _form(form), expected)
        return RedirectResponse(f"/rollouts/{made}", 303)


def _form(said: Mapping[str, str]) -> RestartForm:
    return RestartForm(
        said.get("filter", "")[:FILTER_CHARS_MAX], said.get("any") == "yes", said.get("pace") or "careful",
        *(_number(name, said.get(name, "")) for name in ("warn", "deferrals", "defer", "deadline")),
    )  # fmt: skip


def _number(name: str, text: str) -> int:
    """How people are asked, as it was filled in; empty = 0."""
    if len(text) > 6 or not ((text.isascii() and text.isdigit()) or not text):
        raise WrongTerms(f"{name} is a whole number, not {text[:20]!r}")
    return int(text or 0)
