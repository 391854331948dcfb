"""`brakeline budget|freeze-window` against a real server over TLS: what is printed, what is refused and what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.support_cli import served
from tests.support_fleet import OWNER, SmallFleet
from tests.support_people import wired

from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.rollout.limits_api import router as limits_router
from brakeline.rollout.service import RolloutService
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def run(
    database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Run]:  # fmt: skip
    """Run one command line against a server that has these slices, and two endpoints."""
    fleet = SmallFleet(database, clock, ids)
    await fleet.enrol("web1")
    await fleet.enrol("web2")
    api = make_api((limits_router,))
    api.dependency_overrides[current_principal] = lambda: OWNER
    rollouts = RolloutService(database, clock, ids, fleet.bus, fleet.service, fleet.cell, tmp_path / "journal")
    await wired(database, clock, ids, rollouts, OWNER.tenant_id)
    api.state.rollout = rollouts

    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def test_budgets_are_shown_lowered_raised_with_a_reason_and_removed(run: Run) -> None:
    code, out, err = await run("budget", "show")
    assert (code, "10 %, at least 50" in out, "0/50" in out) == (0, True, True)
    assert "(rule of every organisation)" in out
    assert "Every offer of every rollout" in err
    code, out, err = await run("budget", "plan", "20%")
    assert (code, out.split("\n")[1].split()) == (0, ["(the", "fleet)", "2", "50", "1"])
    assert "will want a --reason" in err
    code, out, _ = await run("budget", "set", "20")
    assert (code, out) == (0, "the fleet: 0 of 20 per hour used, 2 endpoints\n")
    code, _, err = await run("budget", "set", "30")
    assert (code, "say why" in err) == (2, True)
    code, out, _ = await run("budget", "set", "25%", "--at-least", "30", "--reason", "a bigger site", "--json")
    assert (code, json.loads(out)["limit"]) == (0, "25 %, at least 30")
    code, out, _ = await run("budget", "set", "1", "--group", "class:server", "--at-once")
    assert (code, out) == (0, "class:server: 0 of 1 at once used, 2 endpoints\n")
    assert len(json.loads((await run("budget", "show", "--json"))[1])["items"]) == 2
    code, _, err = await run("budget", "remove", "--group", "class:server", "--at-once")
    assert (code, "say why" in err) == (2, True)
    code, _, _ = await run("budget", "remove", "--group", "class:server", "--at-once", "--reason", "no longer")
    assert code == 0


async def test_freeze_windows_are_added_listed_and_removed(run: Run) -> None:
    assert "None. Add one" in (await run("freeze-window", "list"))[1]
    weekly = ("--weekly", "wed 16:00/thu 08:00", "--zone", "Europe/Berlin")
    code, out, _ = await run("freeze-window", "add", "weekend", *weekly)
    assert (code, "wed 16:00/thu 08:00 Europe/Berlin (to come)" in out) == (0, True)
    code, out, _ = await run("freeze-window", "add", "a/b now", "--until", "2027-01-04T08:00")
    assert (code, "freeze window 'a/b now' until 2027-01-04 08:00 UTC (frozen)" in out) == (0, True)
    items = json.loads((await run("freeze-window", "list", "--json"))[1])["items"]
    assert [(w["name"], w["state"]) for w in items] == [("a/b now", "frozen"), ("weekend", "to come")]
    assert "a/b now" in (await run("freeze-window", "list"))[1]
    assert (await run("freeze-window", "remove", "a/b now"))[0] == 2
    code, out, err = await run("freeze-window", "remove", "a/b now", "--reason", "released")
    assert (code, out) == (0, "a/b now is gone.\n")
    assert "rollouts go on" in err
    assert (await run("freeze-window", "remove", items[1]["id"], "--reason", "x"))[0] == 0


@pytest.mark.parametrize(
    ("words", "expected", "says"),
    [
        (("budget", "set", "0"), 2, "a budget is 1 to 100000 endpoints"),
        (("budget", "set", "-5"), 2, "no such option"),
        (("budget", "set", "999999999999"), 2, "a budget is 1 to 100000 endpoints"),
        (("budget", "set", "0%"), 2, "0.1 to 100 per cent"),
        (("budget", "set", "101%"), 2, "0.1 to 100 per cent"),
        (("budget", "set", "many"), 2, "a number of endpoints (50) or a percentage"),
        (("budget", "set", "5", "--at-least", "6"), 2, "a number of endpoints (50) or a percentage"),
        (("budget", "set", "5", "--group", "tags:db"), 2, "did you mean tag:db"),
        (("budget", "set", "5", "--group", "tag:nobody"), 2, "no endpoint is in tag:nobody"),
        (("budget", "remove"), 3, "nobody has set such a budget"),
        (("freeze-window", "add", "x"), 2, "Give a begin and an end, or weekly hours"),
        (("freeze-window", "add", "x", "--weekly", "sat 10:00/10:00"), 2, "is empty"),
        (("freeze-window", "add", "x", "--from", "2027-01-02", "--until", "2027-01-01"), 2, "ends before it begins"),
        (("freeze-window", "add", "x", "--weekly", "sat 10:00/11:00", "--zone", "Europe/Berln"), 2,
         "did you mean Europe/Berlin"),
        (("freeze-window", "add", "x", "--weekly", "sat 10:00/11:00", "--filter", "seen:<1h"), 2, "changes by itself"),
        (("freeze-window", "remove", "x"), 3, "no such freeze window"),
    ],
)  # fmt: skip
async def test_what_is_refused_says_what_to_do(run: Run, words: tuple[str, ...], expected: int, says: str) -> None:
    code, _, err = await run(*words)
    assert (code, says.lower() in err.lower()) == (expected, True), err
