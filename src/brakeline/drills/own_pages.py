"""The page of incidents under the own shape and plan: what stands, the shape in sentences, and a form for the next."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit
from brakeline.console.views_change import Choice
from brakeline.console.views_drills import OwnReplayView
from brakeline.core.errors import Invalid
from brakeline.drills import present
from brakeline.drills.own_replays import OwnAnswer, OwnReplays
from brakeline.drills.replaying import SEEDS_MAX

PAGE: Final = "/drills/own"
PACES: Final = (
    Choice("careful", "Careful", "26 h of watching per ring", chosen=True),
    Choice("fast", "Fast", "6 h 15 min per ring"),
    Choice("emergency", "Emergency", "few large rings, 6 h 15 min each, nobody held out"),
)


class OwnPages:
    """See the module."""

    def __init__(self, kit: Kit, replays: OwnReplays) -> None:
        self.kit, self.replays = kit, replays

    def routes(self) -> list[Route]:
        return [Route(PAGE, self.show, methods=["GET"]), Route(PAGE, self.begin, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        found = view(await self.replays.show(who.principal), may_run=who.may("rollout.create"))
        return await self.kit.page(request, who, "own_incidents", found, "What would this plan have cost us?")

    async def begin(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        await self.replays.begin(who.principal, _seeds(form.get("seeds", "")), pace=form.get("pace", ""))
        return RedirectResponse(PAGE, 303)


def view(found: OwnAnswer, *, may_run: bool) -> OwnReplayView:
    """Every answer with the shape that it would be asked with now."""
    answer = found.answer
    return OwnReplayView(
        found.state, found.note, found.shape.sentences, PACES, present.replay_rows(answer) if answer else (),
        present.benign(answer) if answer else "", may_run,
    )  # fmt: skip


def _seeds(text: str) -> int:
    plain = text.strip()
    if not plain.isascii() or not plain.isdigit() or len(plain) > 3:
        raise Invalid(f"a number of histories is written in digits, 1 to {SEEDS_MAX}, not {plain[:20]!r}")
    return int(plain)
