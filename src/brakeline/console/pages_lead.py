"""Routes that draft a lead of updates or of a release, from the forms of `pages_change` and `pages_release`.

A draft changes no endpoint; it leads to its card, where it is started. What is refused brings the form back as it was
typed, with the reason.
"""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit
from brakeline.console.pages_change import deployment
from brakeline.console.present_release_acts import refusal
from brakeline.console.views_over import OverForm
from brakeline.core.errors import Fault
from brakeline.protocol.channels import STABLE


class LeadPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route("/rollouts/new/lead", self.draft_updates, methods=["POST"]),
            Route("/releases/{id}/lead", self.draft_release, methods=["POST"]),
        ]

    async def draft_updates(self, request: Request) -> Response:
        who, fields = await self.kit.posted(request)
        form = replace(deployment(fields), over=_over(fields))
        try:
            return _card(await self.screens.draft_updates(who, form, fields.get("digest", "")))
        except Fault as wrong:
            view = await self.screens.new_deployment(who, form, False)
            view = replace(view, error=refusal(wrong))
            return await self.kit.page(request, who, "new_deployment", view, "New deployment", status=wrong.status)

    async def draft_release(self, request: Request) -> Response:
        who, fields = await self.kit.posted(request)
        release_id, pace, form = request.path_params["id"], fields.get("pace", "careful"), _over(fields)
        channel = fields.get("channel", STABLE)
        try:
            return _card(await self.screens.draft_release(who, release_id, pace, form, channel))
        except Fault as wrong:
            view = await self.screens.promotion(who, release_id, pace, form, channel)
            view = replace(view, refused=refusal(wrong), led=None)
            return await self.kit.page(
                request, who, "promotion", view, f"Promote {view.name}", status=wrong.status
            )  # fmt: skip


def _over(fields: dict[str, str]) -> OverForm:
    return OverForm(True, tuple(fields.get("cells", "").split()), fields.get("exploited") == "yes")


def _card(lead_id: str) -> Response:
    return RedirectResponse(f"/settings/cells?done=lead-made#{lead_id}", 303)
