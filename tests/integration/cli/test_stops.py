"""`brakeline freeze | unfreeze | approval` and `rollout resume`, against people's API over TLS with real people."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from tests.support_cli import served
from tests.support_people import PASSWORD, House
from tests.support_rollout import CHANGE, SmallFleet

from brakeline.cli.__main__ import main
from brakeline.cli.output import Exit
from brakeline.core.clock import ManualClock
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.rollout.api import router as rollout_router
from brakeline.rollout.freeze_api import router as freeze_router
from brakeline.rollout.presets import policy_for
from brakeline.rollout.undo_api import router as rollback_router
from brakeline.server.app import make_api
from brakeline.tenancy.api import router as tenancy_router
from brakeline.tenancy.approval_api import router as approval_router
from brakeline.tenancy.break_glass import BreakGlass
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import DAY_MS


@dataclass
class Cell:
    """A server, its people, and the command line of Olga's token."""

    fleet: SmallFleet
    house: House
    olga: Principal
    anna: Principal
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    async def run(self, *words: str, typed: str = "") -> tuple[int, str, str]:
        self.monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = await asyncio.to_thread(main, words)
        return code, *self.capsys.readouterr()

    async def rollout(self) -> str:
        ids = [t.identity.endpoint_id for t in self.fleet.twins]
        return await self.fleet.service.create(self.olga, "libssl3", CHANGE, policy_for(6), ids)


@pytest.fixture
async def cell(
    database: Database, clock: ManualClock, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Cell]:  # fmt: skip
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(6)
    house = House(fleet.tenancy, clock)
    link = await fleet.tenancy.bootstrap()
    assert link is not None
    olga = await house.enter_by(link.secret, link.person.email)
    anna = await house.add("Anna", "approver", by=olga)
    house.later(30 * DAY_MS)
    token = (await fleet.tenancy.create_token(olga, "command line")).secret
    api = make_api((tenancy_router, approval_router, rollout_router, rollback_router, freeze_router))
    api.state.tenancy, api.state.clock = fleet.tenancy, clock
    api.state.rollout, api.state.freezing = fleet.service, fleet.freezing
    api.state.break_glass = BreakGlass(tmp_path / "break-glass.json", database, clock, IdMaker(clock))
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # standard output is the command line's
    async with served(api, tmp_path, monkeypatch, token):
        yield Cell(fleet, house, olga, anna, capsys, monkeypatch)
    structlog.reset_defaults()


async def test_from_freeze_to_unfreeze_by_two_people(cell: Cell) -> None:
    rollout = await cell.rollout()
    assert (await cell.run("rollout", "start", rollout))[0] == 0, "careful: one person"
    code, out, _ = await cell.run("freeze", "--reason", "mail is down")
    assert code == 0
    assert out.startswith("Everything is frozen by token command line since ")
    assert out.endswith(": mail is down\n")
    code, out, _ = await cell.run("freeze", "--json")
    assert (code, json.loads(out)["state"], json.loads(out)["presses"]) == (0, "frozen", 1)
    _, out, _ = await cell.run("rollout", "show", rollout)
    assert "holding: frozen by token command line since" in out
    code, _, err = await cell.run("rollout", "start", rollout)
    assert (code, "mail is down" in err) == (Exit.CONFLICT, True)

    assert (await cell.run("unfreeze"))[0] == Exit.USAGE, "without a reason"
    code, out, err = await cell.run("unfreeze", "--reason", "it was the mirror", "--json")
    assert code == Exit.PENDING
    asked = json.loads(out)["approval"]
    assert f"brakeline approval approve {asked['id']}" in err
    code, out, _ = await cell.run("approval", "list")
    assert asked["id"] in out
    assert "Lift the freeze: everything is frozen by token command line" in out
    _, out, _ = await cell.run("approval", "show", asked["id"])
    assert "Reason: it was the mirror" in out

    code, out, err = await cell.run("approval", "approve", asked["id"], "--email", "owner@localhost", typed=PASSWORD)
    assert (code, "You asked for it yourself" in err) == (Exit.NOT_ALLOWED, True), "the token is Olga's"
    assert (await cell.run("approval", "approve", asked["id"], typed=PASSWORD))[0] == Exit.USAGE, "nobody said who"
    wrong = await cell.run("approval", "approve", asked["id"], "--email", "anna@example.org", typed="a wrong one")
    assert wrong[0] == Exit.NOT_ALLOWED
    code, out, err = await cell.run("approval", "approve", asked["id"], "--email", "anna@example.org", typed=PASSWORD)
    assert (code, out) == (0, f"{asked['id']}: done\n")
    assert "Lift the freeze" in err, "what is agreed to is said before"
    assert not cell.fleet.frozen.frozen
    assert (await cell.run("approval", "list"))[1] == "Nothing waits for a second person.\n"
    assert (await cell.run("unfreeze", "--reason", "again"))[0] == Exit.CONFLICT


async def test_a_resume_after_a_halt_waits_and_can_be_rejected(cell: Cell) -> None:
    rollout = await cell.rollout()
    await cell.run("rollout", "start", rollout)
    await cell.run("rollout", "brake", rollout)
    code, out, err = await cell.run("rollout", "resume", rollout, "--reason", "false alarm")
    assert code == Exit.PENDING
    approval = out.partition(":")[0]
    assert "not done yet" in out
    assert "A second person agrees until" in err
    _, out, _ = await cell.run("rollout", "explain", rollout)
    assert "second person: token command line asks to resume it: a second person agrees until" in out
    code, out, _ = await cell.run("approval", "reject", approval, "--reason", "look at the log first")
    assert (code, out) == (0, f"{approval}: rejected\n")
    assert "rejected: look at the log first" in (await cell.run("approval", "show", approval))[1]
    assert (await cell.run("approval", "approve", approval, "--email", "anna@example.org", typed=PASSWORD))[0] == 4


async def test_a_rollout_in_the_fast_lane_is_a_draft_until_somebody_agrees(cell: Cell) -> None:
    words = [w for t in cell.fleet.twins for w in ("--endpoint", t.identity.endpoint_id)]
    code, out, _ = await cell.run(
        "rollout", "new", "--title", "quick", "--update", "curl=2", "--pace", "fast", "--start", *words, "--json"
    )
    made = json.loads(out)
    assert (code, made["approval"]["act"]) == (Exit.PENDING, "rollout.fast-lane")
    assert json.loads((await cell.run("rollout", "show", made["id"], "--json"))[1])["state"] == "draft"


async def test_the_break_glass_code_is_read_from_standard_input(cell: Cell) -> None:
    rollout = await cell.rollout()
    code, out, err = await cell.run("auth", "break-glass")
    assert code == 0
    assert "shown this once" in err
    assert (await cell.run("freeze", "--break-glass", typed="bg-1234\n"))[0] == Exit.NOT_ALLOWED
    assert (await cell.run("rollout", "brake", rollout, "--break-glass", typed=out))[0] == 0
    code, out, _ = await cell.run("freeze", "--break-glass", typed=out)
    assert (code, "frozen by the break-glass code" in out) == (0, True)


async def test_a_halted_update_is_taken_back_after_a_look_at_the_plan(cell: Cell) -> None:
    rollout = await cell.rollout()
    assert (await cell.run("rollout", "start", rollout))[0] == 0
    code, _, err = await cell.run("rollout", "rollback", rollout)
    assert (code, "Press the brake first" in err) == (Exit.CONFLICT, True)
    for _ in range(3):
        await cell.fleet.round()
    await cell.run("rollout", "brake", rollout)
    code, out, err = await cell.run("rollout", "rollback", rollout)
    assert code == 0
    assert "1 were exposed, show no harm, and have a way back" in out
    assert f"brakeline rollout rollback {rollout} --pace careful --yes" in err
    code, out, _ = await cell.run("rollout", "rollback", rollout, "--yes", "--json")
    assert code == 0
    back = json.loads(out)["id"]
    _, out, _ = await cell.run("rollout", "show", back)
    assert f"takes back: libssl3 3.0.17-1~deb12u2 (of {rollout})" in " ".join(out.split())
    assert (await cell.run("rollout", "start", back))[0] == 0, "careful, and no faster than usual: one person"
    assert (await cell.run("rollout", "resume", rollout, "--reason", "again"))[0] == Exit.CONFLICT
