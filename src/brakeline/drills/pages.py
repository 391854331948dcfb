"""Pages of drills: reports, a plan before the run, the live page, incidents replayed.

Running a drill widens nothing (no real endpoint is asked), so it takes one look at its plan and one press; stopping one
is one press. The console mounts these beside its own pages.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit
from brakeline.console.screens import Visitor
from brakeline.console.views import Link
from brakeline.console.views_drills import DrillForm, DrillsView, DrillView, ReplayView
from brakeline.core.clock import Clock
from brakeline.core.errors import Fault, Invalid
from brakeline.drills import present
from brakeline.drills.model import ENDPOINTS, State
from brakeline.drills.own_pages import OwnPages
from brakeline.drills.own_replays import OwnReplays
from brakeline.drills.real_pages import RealDrillPages
from brakeline.drills.replaying import Replays
from brakeline.drills.service import DrillService

PAGE = 25
ANOTHER = "Another replay runs on this server. Reload to look again."
IDLE = "Nothing has been replayed since this server started. A replay of millions takes some minutes of one processor."


class DrillPages:
    """See the module."""

    def __init__(self, kit: Kit, drills: DrillService, replays: Replays, clock: Clock, own: OwnReplays) -> None:
        self.kit, self.drills, self.replays, self.clock, self.own = kit, drills, replays, clock, own

    def routes(self) -> list[Route]:
        return [
            Route("/drills", self.list, methods=["GET"]),
            Route("/drills", self.run, methods=["POST"]),
            Route("/drills/incidents", self.incidents, methods=["GET"]),
            Route("/drills/incidents", self.replay, methods=["POST"]),
            *OwnPages(self.kit, self.own).routes(),
            *RealDrillPages(self.kit, self.drills, self.clock).routes(),
            Route("/drills/{id}", self.show),
            Route("/drills/{id}/feed", self.feed),
            Route("/drills/{id}/stop", self.stop, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        """The address holds the form: a plan can be sent to a colleague."""
        who = await self.kit.enter(request)
        params = request.query_params
        view = await self._list(who, _form(dict(params)), params.get("before", ""), ask="fault" in params)
        return await self.kit.page(request, who, "drills", view, "Drills")

    async def _list(self, who: Visitor, form: DrillForm, before: str, *, ask: bool) -> DrillsView:
        found = await self.drills.list(who.principal, before=before or None, limit=PAGE)
        newest = await self.drills.list(who.principal, limit=1)
        running = next((d for d in newest if d.state is State.RUNNING), None)
        plan, error = None, ""
        if ask:
            try:
                plan = present.plan_view(self.drills.plan(who.principal, form.fault, _number(form.endpoints)))
            except Fault as wrong:
                error = wrong.detail
        return DrillsView(
            present.rows(found, self.clock.now_ms()), present.choices(form), form, plan, error,
            Link(running.fault, present.href(running.id)) if running else None, who.may("rollout.create"),
            f"/drills?before={found[-1].id}" if len(found) == PAGE else "", "/drills" if before else "",
        )  # fmt: skip

    async def run(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        made = await self.drills.run(who.principal, form.get("fault", ""), _number(form.get("endpoints", "")))
        return RedirectResponse(present.href(made.id), 303)

    async def show(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self._view(who, request.path_params["id"])
        feed = f"{present.href(view.id)}/feed" if view.running else ""
        return await self.kit.page(request, who, "drill", view, f"Drill {view.title}", feed=feed)

    async def feed(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        drill_id = request.path_params["id"]
        return self.kit.stream(request, who, "drill", drill_id, lambda: self._view(who, drill_id), 2)

    async def _view(self, who: Visitor, drill_id: str) -> DrillView:
        found = await self.drills.show(who.principal, drill_id)
        return present.view(found, self.clock.now_ms(), may_stop=who.may("rollout.brake"))

    async def stop(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        stopped = await self.drills.stop(who.principal, request.path_params["id"])
        return RedirectResponse(present.href(stopped.id), 303)

    async def incidents(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        who.principal.require("rollout.read")
        return await self.kit.page(request, who, "incidents", self._replay(who), "Incidents")

    def _replay(self, who: Visitor) -> ReplayView:
        answer, key, may = self.replays.kept(), self.replays.running, who.may("rollout.create")
        rows = present.replay_rows(answer) if answer else ()
        benign = present.benign(answer) if answer else ""
        if key is not None and not self.replays.running_for():
            return ReplayView("running", ANOTHER, rows, benign, may_run=may)
        if key is not None:
            note = f"Replaying {key.endpoints:,} endpoints, now: {self.replays.at or 'starting'}. Reload to look again."
            return ReplayView("running", note, rows, benign, str(key.endpoints), str(key.seeds), "", may)
        if why := self.replays.why_failed():
            return ReplayView("refused", why, rows, benign, may_run=may)
        note = "Simulated through the shipped planner and brake; other rules are expected numbers." if answer else IDLE
        return ReplayView("done" if answer else "idle", note, rows, benign, may_run=may)

    async def replay(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        who.principal.require("rollout.create")
        self.replays.begin(_number(form.get("endpoints", "")), _number(form.get("seeds", "")))
        return RedirectResponse("/drills/incidents", 303)


def _form(fields: dict[str, str]) -> DrillForm:
    return DrillForm(fields.get("fault", "").strip(), fields.get("endpoints", str(ENDPOINTS)).strip())


def _number(text: str) -> int:
    plain = text.replace(",", "").replace("_", "").strip()
    if not plain.isascii() or not plain.isdigit() or len(plain) > 9:
        raise Invalid(f"a number of endpoints is written in digits, not {text[:20]!r}")
    return int(plain)
