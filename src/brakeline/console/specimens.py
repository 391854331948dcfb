"""`/_ui`: every screen in every state, from samples; only in development (`settings.dev`)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from brakeline.console.kit import Kit, navigation
from brakeline.console.samples import SAMPLES
from brakeline.console.samples_stop import TOLD
from brakeline.console.views import Link, NavCounts, Shell
from brakeline.core.errors import NotFound

DOORS = ("login", "emergency")  # pages without the shell


class SpecimenPages:
    def __init__(self, kit: Kit) -> None:
        self.kit = kit

    def routes(self) -> list[Route]:
        return [Route("/_ui", self.index), Route("/_ui/{page}/{state}", self.specimen)]

    async def index(self, _: Request) -> Response:
        shelves = {
            page: tuple(Link(state, f"/_ui/{page}/{state}") for state in states) for page, states in SAMPLES.items()
        }
        return HTMLResponse(self.kit.renderer.page("specimens", shelves, shell_for("specimens")))

    async def specimen(self, request: Request) -> Response:
        page, state = request.path_params["page"], request.path_params["state"]
        view = SAMPLES.get(page, {}).get(state)
        if view is None:
            raise NotFound("no such specimen; /_ui lists them")
        return HTMLResponse(self.kit.renderer.page(page, view, shell_for(page)))


def shell_for(page: str) -> Shell:
    """The shell around a specimen: as for alice, without a feed."""
    if page in DOORS:
        return Shell(title=page)
    sections = {"rollout": "/rollouts", "cve": "/vulnerabilities", "overview": "/", "new_deployment": "/rollouts/new",
                "release_act": "/releases", "freeze": "/", "pressed": "/", "promotion": "/releases",
                 "release_keys": "/releases", "limits": "/settings", "cells": "/settings", "pool": "/settings",
                 "lead_settings": "/settings",
                 "accepted": "/vulnerabilities", "terms": "/vulnerabilities", "trend": "/vulnerabilities",
                 "events": "/settings", "update": "/updates",
                "rollback": "/rollouts", "content": "/content", "incidents": "/drills",
                 "real_drill": "/drills", "own_incidents": "/drills"}  # fmt: skip
    path = sections.get(page, "/" + page.removeprefix("add_").rstrip("s") + "s")
    nav = navigation(path, NavCounts(100_000, 312, 1, 2), drills=True)
    frozen = TOLD if page in ("freeze", "pressed") else ""
    return Shell(page.replace("_", " "), nav, "Alice", "form-token", dev=True, freeze=True, frozen=frozen)
