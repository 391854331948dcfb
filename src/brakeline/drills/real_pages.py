"""The page of drills on real endpoints: consent, a plan before the run, the run. It is followed as any other drill."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, counted
from brakeline.console.present import span
from brakeline.console.screens import Visitor
from brakeline.console.views import Link
from brakeline.console.views_drills import PlanRing
from brakeline.console.views_real_drill import RealDrillForm, RealDrillView, RealPlanView
from brakeline.core.clock import Clock
from brakeline.core.errors import Fault, Invalid
from brakeline.drills import present
from brakeline.drills.model import RealPlan, State
from brakeline.drills.service import DrillService

PAGE = "/drills/real"


class RealDrillPages:
    """See the module."""

    def __init__(self, kit: Kit, drills: DrillService, clock: Clock) -> None:
        self.kit, self.drills, self.clock = kit, drills, clock

    def routes(self) -> list[Route]:
        return [
            Route(PAGE, self.show, methods=["GET"]),
            Route(PAGE, self.run, methods=["POST"]),
            Route(f"{PAGE}/agree", self.agree, methods=["POST"]),
            Route(f"{PAGE}/take-back", self.take_back, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The address holds the form: a plan can be sent to a colleague."""
        who = await self.kit.enter(request)
        view = await self._view(who, _form(dict(request.query_params)))
        return await self.kit.page(request, who, "real_drill", view, "Drill on real endpoints")

    async def _view(self, who: Visitor, form: RealDrillForm) -> RealDrillView:
        consent = await self.drills.real.consent(who.principal)
        newest = await self.drills.list(who.principal, limit=1)
        running = next((Link(d.fault, present.href(d.id)) for d in newest if d.state is State.RUNNING), None)
        plan, error = None, ""
        try:
            plan = plan_view(await self.drills.real.plan(who.principal, form.filter, _fails(form.fails)))
        except Fault as wrong:
            error = wrong.detail
        said = f"{consent.given_by} agreed, {present.moment(consent.given_ms, self.clock.now_ms())}." if consent else ""
        return RealDrillView(
            said, form, plan, error, running, who.may("rollout.approve"), who.may("rollout.brake"),
            who.may("rollout.create"),
        )  # fmt: skip

    async def run(self, request: Request) -> Response:
        who, fields = await self.kit.posted(request)
        form, expected = _form(fields), counted(fields.get("expect_count", ""))
        made = await self.drills.real.run(who.principal, form.filter, _fails(form.fails), expected)
        return RedirectResponse(present.href(made.id), 303)

    async def agree(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        await self.drills.real.give(who.principal)
        return RedirectResponse(PAGE, 303)

    async def take_back(self, request: Request) -> Response:
        """One press: it only narrows."""
        who, _ = await self.kit.posted(request)
        await self.drills.real.take_back(who.principal)
        return RedirectResponse(PAGE, 303)


def plan_view(p: RealPlan) -> RealPlanView:
    """The step before."""
    rings = tuple(PlanRing(r.name, r.upto, r.controls, "") for r in p.rings)
    note = f"A first ordered failure stops a small ring. It ends after {span(p.longest_s)} at most, whatever happens."
    return RealPlanView(p.endpoints, p.sentences, rings, note)


def _form(fields: dict[str, str]) -> RealDrillForm:
    return RealDrillForm(fields.get("filter", "").strip(), fields.get("fails", "").strip())


def _fails(text: str) -> int | None:
    if text and (not text.isascii() or not text.isdigit() or len(text) > 6):
        raise Invalid(f"a number of endpoints is written in digits, not {text[:20]!r}")
    return int(text) if text else None
