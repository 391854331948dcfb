"""Routes of budgets and freeze windows, below the settings.

The danger ladder: a freeze window is added in one press; a budget is looked at before it is set, and what lets more be
changed than before (raising, removing, ending a window) takes a reason.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, asked
from brakeline.console.views_limits import BudgetForm

PAGE = "/settings/limits"


class LimitsPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route(PAGE, self.limits),
            Route(f"{PAGE}/budgets", self.set_budget, methods=["POST"]),
            Route(f"{PAGE}/budgets/remove", self.remove_budget, methods=["POST"]),
            Route(f"{PAGE}/windows", self.add_window, methods=["POST"]),
            Route(f"{PAGE}/windows/{{id}}/remove", self.remove_window, methods=["POST"]),
        ]

    async def limits(self, request: Request) -> Response:
        """The address holds the form: what a budget would do can be sent to a colleague."""
        who = await self.kit.enter(request)
        view = await self.screens.limits(who, _form(dict(request.query_params)))
        return await self.kit.page(request, who, "limits", view, "Limits")

    async def set_budget(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        return asked(await self.screens.set_budget(who, _form(form), form.get("reason", ""))) or _back("budget")

    async def remove_budget(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        group, per, reason = form.get("group", ""), form.get("per", ""), form.get("reason", "")
        return asked(await self.screens.remove_budget(who, group, per, reason)) or _back("budget-gone")

    async def add_window(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        await self.screens.add_window(who, form)
        return _back("window")

    async def remove_window(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        window_id, reason = request.path_params["id"], form.get("reason", "")
        return asked(await self.screens.remove_window(who, window_id, reason)) or _back("window-gone")


def _back(done: str) -> Response:
    return RedirectResponse(f"{PAGE}?done={done}", 303)


def _form(fields: dict[str, str]) -> BudgetForm:
    return BudgetForm(
        fields.get("group", "").strip(), fields.get("per", "hour"), fields.get("amount", "").strip(),
        fields.get("at_least", "").strip(),
    )  # fmt: skip
