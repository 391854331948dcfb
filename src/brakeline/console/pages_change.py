"""Routes of everything that changes endpoints: new deployment, rollouts, policies.

The danger ladder: what narrows (brake, pause, withdraw) is one press of a form; what widens (start, resume, a policy)
shows first whom it concerns, and carries the count that the person has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, asked, counted
from brakeline.console.views import Link
from brakeline.console.views_change import DeploymentForm, PolicyForm
from brakeline.console.views_over import OverForm
from brakeline.console.views_stop import PressedView
from brakeline.core.errors import Invalid

BRAKED = (
    "Braked. The press is on the disk and in force: nothing more of it is offered. The database does not answer; what "
    "was pressed is written down when it does."
)
SLOW = 4  # ticks: a page of endpoints asks the database for each
WORD_FIELDS = ("windows", "restart", "conffiles", "restarts_a_day", "download_kib_s", "nice", "probes")
ASK_FIELDS = ("selection", "names", "filter", "policy", "name")


class ChangePages:
    def __init__(self, kit: Kit) -> None:
        self.kit, self.screens = kit, kit.screens

    def routes(self) -> list[Route]:
        return [
            Route("/rollouts", self.rollouts),
            Route("/rollouts/new", self.new_deployment, methods=["GET"]),
            Route("/rollouts/new", self.start_deployment, methods=["POST"]),
            Route("/rollouts/{id}", self.rollout),
            Route("/rollouts/{id}/feed", self.rollout_feed),
            Route("/rollouts/{id}/endpoints", self.members),
            Route("/rollouts/{id}/endpoints/feed", self.members_feed),
            Route("/rollouts/{id}/brake", self.brake, methods=["POST"]),
            Route("/rollouts/{id}/pause", self.pause, methods=["POST"]),
            Route("/rollouts/{id}/withdraw", self.withdraw, methods=["POST"]),
            Route("/rollouts/{id}/resume", self.resume, methods=["POST"]),
            Route("/rollouts/{id}/start", self.start, methods=["POST"]),
            Route("/policies", self.policies, methods=["GET"]),
            Route("/policies", self.create_policy, methods=["POST"]),
            Route("/policies/{id}/delete", self.delete_policy, methods=["POST"]),
            Route("/policies/settings", self.start_settings, methods=["POST"]),
        ]

    async def rollouts(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        params = request.query_params
        view = await self.screens.rollouts(who, params.get("state", ""), params.get("after", ""))
        return await self.kit.page(request, who, "rollouts", view, "Rollouts")

    async def rollout(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.rollout(who, request.path_params["id"])
        return await self.kit.page(request, who, "rollout", view, view.name, feed=f"/rollouts/{view.id}/feed")

    async def rollout_feed(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        rollout_id = request.path_params["id"]
        return self.kit.stream(request, who, "rollout", rollout_id, lambda: self.screens.rollout(who, rollout_id))

    async def members(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        rollout_id, asked = request.path_params["id"], _members(request)
        view = await self.screens.rollout_members(who, rollout_id, *asked.values())
        feed = f"/rollouts/{rollout_id}/endpoints/feed?{urlencode(asked)}"
        return await self.kit.page(request, who, "rollout_members", view, view.title, feed=feed)

    async def members_feed(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        rollout_id, asked = request.path_params["id"], _members(request)
        return self.kit.stream(
            request, who, "rollout_members", f"{rollout_id}?{urlencode(asked)}",
            lambda: self.screens.rollout_members(who, rollout_id, *asked.values()), SLOW,
        )  # fmt: skip

    async def brake(self, request: Request) -> Response:
        """One press, no question asked: stopping is the safe side."""
        who, _ = await self.kit.pressed(request)
        if await self.screens.brake(who, request.path_params["id"]) == "pressed":
            return self.kit.from_memory(request, PressedView("Braked", BRAKED, (Link("Back", _href(request)),)))
        return _back(request)

    async def pause(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        await self.screens.pause(who, request.path_params["id"])
        return _back(request, "paused")

    async def withdraw(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        await self.screens.withdraw(who, request.path_params["id"])
        return _back(request)

    async def resume(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        reason = form.get("reason", "").strip()
        if not reason:
            raise Invalid("going on after a stop needs a reason; it is written to the audit log")
        return asked(await self.screens.resume(who, request.path_params["id"], reason)) or _back(request, "resumed")

    async def start(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        return asked(await self.screens.start(who, request.path_params["id"])) or _back(request)

    async def new_deployment(self, request: Request) -> Response:
        """The address holds the whole form: a preview can be sent to a colleague."""
        who = await self.kit.enter(request)
        params = request.query_params
        form = replace(deployment(dict(params)), over=over_of(params, params.getlist("cell")))
        view = await self.screens.new_deployment(who, form, any(k in params for k in ASK_FIELDS))
        return await self.kit.page(request, who, "new_deployment", view, "New deployment")

    async def start_deployment(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        expected = counted(form.get("expect_count", ""))
        rollout_id = await self.screens.start_deployment(who, deployment(form), expected, form.get("digest", ""))
        return RedirectResponse(f"/rollouts/{rollout_id}", 303)

    async def policies(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        params = dict(request.query_params)
        view = await self.screens.policies(who, _policy(params), "filter" in params)
        return await self.kit.page(request, who, "policies", view, "Policies")

    async def create_policy(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        await self.screens.create_policy(who, _policy(form))
        return RedirectResponse("/policies?done=policy", 303)

    async def delete_policy(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        await self.screens.delete_policy(who, request.path_params["id"])
        return RedirectResponse("/policies?done=policy-gone", 303)

    async def start_settings(self, request: Request) -> Response:
        who, form = await self.kit.posted(request)
        expected = counted(form.get("expect_count", ""))
        rollout_id = await self.screens.start_settings(who, expected, form.get("digest", ""))
        return RedirectResponse(f"/rollouts/{rollout_id}", 303)


def _members(request: Request) -> dict[str, str]:
    """Which endpoints of a rollout are asked for."""
    return {name: request.query_params.get(name, "") for name in ("region", "ring", "show", "after")}


def _href(request: Request) -> str:
    return f"/rollouts/{request.path_params['id']}"


def _back(request: Request, done: str = "") -> Response:
    return RedirectResponse(_href(request) + (f"?done={done}" if done else ""), 303)


def deployment(fields: Mapping[str, str]) -> DeploymentForm:
    """As typed; where it goes is read by `over_of`."""
    return DeploymentForm(
        name=fields.get("name", "").strip(), filter=fields.get("filter", "").strip(),
        selection=fields.get("selection", "security"), names=fields.get("names", "").strip(),
        policy=fields.get("policy", ""), pace_reason=fields.get("pace_reason", "").strip(),
        across=fields.get("across") == "yes",
    )  # fmt: skip


def over_of(fields: Mapping[str, str], cells: Sequence[str]) -> OverForm:
    """Where it goes, as chosen."""
    return OverForm(fields.get("where") == "cells", tuple(cells), fields.get("exploited") == "yes")


def _policy(fields: dict[str, str]) -> PolicyForm:
    expected = fields.get("expect_count", "")
    return PolicyForm(
        name=fields.get("name", "").strip(), filter=fields.get("filter", "").strip(), mode=fields.get("mode", "patch"),
        self_update=fields.get("self_update", ""), pin=fields.get("pin", "").strip(),
        channel=fields.get("channel", ""),
        expect_count=counted(expected) if expected else None, pace=fields.get("pace", ""),
        **{name: fields.get(name, "").strip() for name in WORD_FIELDS},
    )  # fmt: skip
