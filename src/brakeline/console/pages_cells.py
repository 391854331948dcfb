"""Routes of cells and leads, below the settings.

The danger ladder: BRAKE is one press; what takes a cell out or in, and going on after a pause, takes a reason; a lead
of settings is looked at before it is drafted, and drafted before it is started; tokens are made and redeemed on the
command line, where they are shown once and kept by nobody's browser.
"""

from __future__ import annotations

from collections import defaultdict

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, asked
from brakeline.console.views_change import PolicyForm
from brakeline.console.views_lead import LeadForm

PAGE = "/settings/cells"
SETTINGS = f"{PAGE}/leads/settings"  # drafts a lead of settings


class CellPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route(PAGE, self.cells),
            Route(f"{PAGE}/isolate", self.isolate_self, methods=["POST"]),
            Route(SETTINGS, self.lead_settings),
            Route(SETTINGS, self.draft_settings, methods=["POST"]),
            Route(f"{PAGE}/leads/{{id}}/brake", self.brake, methods=["POST"]),
            Route(f"{PAGE}/leads/{{id}}/take", self.take, methods=["POST"]),
            Route(f"{PAGE}/leads/{{id}}/{{act}}", self.lead_act, methods=["POST"]),
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

    async def lead_act(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        act = request.path_params["act"]
        waits = await self.screens.lead_act(who, request.path_params["id"], act, form.get("reason", ""))
        return asked(waits) or _back(f"lead-{act}")

    async def lead_settings(self, request: Request) -> Response:
        """The address holds the whole form: what would be led can be sent to a colleague."""
        who = await self.kit.enter(request)
        params = dict(request.query_params)
        view = await self.screens.lead_settings(who, _lead(params), "name" in params)
        return await self.kit.page(request, who, "lead_settings", view, "Lead settings")

    async def draft_settings(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        await self.screens.draft_settings(who, _lead(form))
        return _back("lead-drafted")


def _lead(fields: dict[str, str]) -> LeadForm:
    said = defaultdict(str, {name: text.strip() for name, text in fields.items()})
    policy = PolicyForm(
        name=said["name"], filter=said["filter"], mode=said["mode"] or "leave", windows=said["windows"],
        restart=said["restart"], conffiles=said["conffiles"], restarts_a_day=said["restarts_a_day"],
        download_kib_s=said["download_kib_s"], nice=said["nice"], probes=said["probes"],
    )  # fmt: skip
    return LeadForm(policy, said["refresh_interval_s"], said["inventory_interval_s"], said["cells"], said["pace"])


def _back(done: str) -> Response:
    return RedirectResponse(f"{PAGE}?done={done}", 303)
