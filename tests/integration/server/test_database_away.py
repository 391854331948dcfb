"""BRAKE and FREEZE while the database is really away: who may press, what is told, and what is written down later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.asgi import Answer, call
from tests.postgres_clusters import Cluster, TestDatabase
from tests.support_rollout import SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import CheckIn, Health
from brakeline.rollout.api import router as rollout_router
from brakeline.rollout.freeze_api import router as freeze_router
from brakeline.server.app import make_api
from brakeline.tenancy.api import COOKIE
from brakeline.tenancy.api import router as tenancy_router
from brakeline.tenancy.break_glass import BreakGlass
from brakeline.tenancy.remembered import REMEMBERED_S

ORIGIN = {"origin": "https://cell.test"}


@dataclass
class Cell:
    """People's API of rollouts over a database that can be taken away."""

    api: Any
    fleet: SmallFleet
    cluster: Cluster
    clock: ManualClock
    rollout: str = ""
    owner: dict[str, str] | None = None

    async def press(self, path: str, headers: dict[str, str] | None = None, body: Any = None) -> Answer:
        return await call(self.api, "POST", f"/api/v1{path}", body, headers or self.owner)

    async def away(self) -> None:
        await asyncio.to_thread(lambda: asyncio.run(self.cluster.running.stop()))

    async def back(self) -> None:
        await asyncio.to_thread(lambda: asyncio.run(self.cluster.running.ensure()))


@pytest.fixture
async def cell(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Cell]:
    cluster = await asyncio.to_thread(Cluster, "wheel18")
    made: TestDatabase = await cluster.new_database()
    database = await Database.open(made.dsn_app, made.dsn_feed, pool_max=4)
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(3)
    link = await fleet.tenancy.bootstrap()
    assert link is not None
    api = make_api((tenancy_router, rollout_router, freeze_router))
    api.state.tenancy, api.state.clock = fleet.tenancy, clock
    api.state.rollout, api.state.freezing = fleet.service, fleet.freezing
    api.state.break_glass = BreakGlass(tmp_path / "break-glass.json", database, clock, IdMaker(clock))
    begun = await call(api, "POST", "/api/v1/auth/redeem", {"secret": link.secret})
    found = Cell(api, fleet, cluster, clock, owner={"cookie": f"{COOKIE}={begun.cookie(COOKIE)}", **ORIGIN})
    found.rollout = await fleet.create(quick_policy(1))
    await fleet.rounds(1)
    yield found
    await database.close()
    await asyncio.to_thread(cluster.close)


async def test_whoever_was_here_within_a_quarter_of_an_hour_stops_everything(cell: Cell) -> None:
    token = (await cell.press("/tokens", body={"name": "ci", "permissions": ["rollout.brake"]})).json()["secret"]
    viewer = (await cell.press("/tokens", body={"name": "see", "permissions": ["rollout.read"]})).json()["secret"]
    for secret in (token, viewer):
        await call(cell.api, "GET", "/api/v1/auth/whoami", headers={"authorization": f"Bearer {secret}"})
    told: list[str] = []
    cell.fleet.service.on_stop = told.append
    await cell.away()
    assert (await cell.press("/tokens", body={"name": "x"})).status == 503, "nothing else is authorised so"
    refused = await cell.press("/freeze", {"authorization": f"Bearer {viewer}"})
    assert (refused.status, refused.json()["code"]) == (503, "database-away")
    forged = await cell.press("/freeze", {"cookie": cell.owner["cookie"], "origin": "https://evil.test"})  # type: ignore[index]
    assert forged.status == 403
    assert told == []

    braked = await cell.press(f"/rollouts/{cell.rollout}/brake", {"authorization": f"Bearer {token}"})
    assert (braked.status, braked.json()["state"]) == (200, "pressed")
    pressed = await cell.press("/freeze", body={"reason": "mail is down"})
    assert (pressed.status, pressed.json()["state"]) == (200, "pressed")
    assert told == [cell.fleet.twins[0].identity.tenant_id] * 2, "endpoints that wait are told at once, without a bus"
    for t in cell.fleet.twins:
        orders, halted = await cell.fleet.service.on_check_in(t.identity, CheckIn("0.1", 1, "", Health()))
        assert (orders, halted) == ((), (cell.rollout,))
    assert (await cell.press("/freeze", body={"reason": "mail is down"})).json() == pressed.json()

    await cell.back()
    await cell.fleet.service.reconcile()
    log = (await call(cell.api, "GET", "/api/v1/audit?limit=20", headers=cell.owner)).json()["items"]
    acts = {e["action"]: e for e in log}
    assert acts["freeze.press"]["actor_name"] == "Owner"
    assert json.loads(acts["freeze.press"]["after"])["reason"] == "mail is down"
    assert json.loads(acts["rollout.brake"]["after"])["by"] == "token ci"
    shown = (await call(cell.api, "GET", f"/api/v1/rollouts/{cell.rollout}", headers=cell.owner)).json()
    assert shown["state"] == "halted"
    assert (await call(cell.api, "GET", "/api/v1/freeze", headers=cell.owner)).json()["by"] == "Owner"


async def test_who_was_here_longer_ago_needs_the_code_and_who_has_left_has_none(cell: Cell) -> None:
    made = await cell.press("/break-glass")
    assert made.status == 201
    code = made.json()["code"]
    second = (await cell.press("/tokens", body={"name": "gone", "permissions": ["rollout.brake"]})).json()
    bearer = {"authorization": f"Bearer {second['secret']}"}
    await call(cell.api, "GET", "/api/v1/auth/whoami", headers=bearer)
    assert (await call(cell.api, "DELETE", f"/api/v1/tokens/{second['token_id']}", headers=cell.owner)).status == 204
    await cell.away()
    assert (await cell.press("/freeze", bearer)).status == 503
    cell.clock.advance(REMEMBERED_S + 1)
    late = await cell.press("/freeze")
    assert (late.status, "break-glass" in late.json()["hint"]) == (503, True)
    wrong = await cell.press("/freeze", {"authorization": "BreakGlass bg-0000"})
    assert wrong.status == 401
    pressed = await cell.press("/freeze", {"authorization": f"BreakGlass {code.upper()}"})
    assert (pressed.status, pressed.json()["by"]) == (200, "the break-glass code")
    braked = await cell.press(f"/rollouts/{cell.rollout}/brake", {"authorization": f"BreakGlass {code}"})
    assert braked.json()["state"] == "pressed"


async def test_the_code_stops_and_does_nothing_else_and_a_new_one_voids_it(cell: Cell) -> None:
    old = (await cell.press("/break-glass")).json()["code"]
    new = (await cell.press("/break-glass")).json()["code"]
    path = cell.fleet.directory / "break-glass.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert new not in path.read_text()
    assert new.removeprefix("bg-").replace("-", "") not in path.read_text()
    glass = {"authorization": f"BreakGlass {new}"}
    assert (await cell.press("/freeze", {"authorization": f"BreakGlass {old}"})).status == 401
    for method, other in (("GET", "/rollouts"), ("POST", "/freeze/lift"), ("POST", "/break-glass"), ("GET", "/freeze")):
        answer = await call(cell.api, method, f"/api/v1{other}", {"reason": "x"} if method == "POST" else None, glass)
        assert answer.status == 401, other
    assert (await cell.press("/freeze", glass)).json()["state"] == "frozen"
