"""Routes that stop everything, and of what takes two people.

FREEZE is one press of a form on every page, asks nothing, and works while the database is away: then the answer is a
page made from memory. `/emergency` takes the printed break-glass code instead of a session. Lifting and agreeing are
steps with a reason, or with the digest of what was shown and the password.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, read_form
from brakeline.console.security import require_own_origin
from brakeline.console.views import Link, Shell
from brakeline.console.views_stop import EmergencyView, PressedView
from brakeline.core.errors import Fault, Forbidden, Invalid, Unauthenticated

FROZEN = (
    "Everything is frozen. The press is on the disk and in force: nothing new starts on any endpoint. The database "
    "does not answer; what was pressed is written down when it does."
)


class StopPages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens, self.doors = kit, kit.screens, kit.doors

    def routes(self) -> list[Route]:
        return [
            Route("/freeze", self.page, methods=["GET"]),
            Route("/freeze", self.press, methods=["POST"]),
            Route("/freeze/lift", self.lift, methods=["POST"]),
            Route("/emergency", self.emergency, methods=["GET"]),
            Route("/emergency", self.break_glass, methods=["POST"]),
            Route("/approvals", self.approvals),
            Route("/approvals/{id}", self.approval),
            Route("/approvals/{id}/approve", self.approve, methods=["POST"]),
            Route("/approvals/{id}/reject", self.reject, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "freeze", await self.screens.freeze_page(who), "Freeze")

    async def press(self, request: Request) -> Response:
        """One press, no question asked."""
        who, form = await self.kit.pressed(request)
        state = await self.screens.freeze(who, form.get("reason", ""))
        if state == "pressed":
            return self.kit.from_memory(request, PressedView("Frozen", FROZEN, (Link("Overview", "/"),)))
        return RedirectResponse("/freeze?done=frozen", 303)

    async def lift(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        reason = form.get("reason", "").strip()
        if not reason:
            raise Invalid("lifting a freeze needs a reason; it is written to the audit log")
        approval_id = await self.screens.unfreeze(who, reason)
        return RedirectResponse(f"/approvals/{approval_id}?done=asked" if approval_id else "/freeze?done=lifted", 303)

    async def emergency(self, _: Request) -> Response:
        return self._door(EmergencyView())

    async def break_glass(self, request: Request) -> Response:
        """The code instead of a session; whoever types it is asked nothing else."""
        require_own_origin(request.headers)
        form = await read_form(request)
        try:
            who = self.doors.by_code(form.get("code", ""))
            await self.screens.freeze(who, form.get("reason", ""))
        except (Unauthenticated, Forbidden) as wrong:
            return self._door(EmergencyView(error=_said(wrong)), 401)
        return self._door(EmergencyView(pressed="Everything is frozen. Nothing new starts on any endpoint."))

    async def approvals(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "approvals", await self.screens.approvals(who), "Approvals")

    async def approval(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.approval(who, request.path_params["id"])
        return await self.kit.page(request, who, "approval", view, view.title)

    async def approve(self, request: Request) -> Response:
        """The form carries what was seen (its digest), and the password proves who sits here now."""
        who, form = await self.kit.posted(request)
        approval_id = request.path_params["id"]
        state = await self.screens.approve(who, approval_id, form.get("digest", ""), form.get("password", ""))
        return RedirectResponse(f"/approvals/{approval_id}?done={'taken-over' if state == 'open' else 'agreed'}", 303)

    async def reject(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        approval_id, reason = request.path_params["id"], form.get("reason", "").strip()
        if not reason:
            raise Invalid("saying no needs a reason; it is written to the audit log")
        await self.screens.reject(who, approval_id, reason)
        return RedirectResponse(f"/approvals/{approval_id}?done=rejected", 303)

    def _door(self, view: EmergencyView, status: int = 200) -> Response:
        return HTMLResponse(self.kit.renderer.page("emergency", view, Shell("Emergency")), status_code=status)


def _said(fault: Fault) -> str:
    return " ".join(p for p in (fault.title, fault.detail) if p)
