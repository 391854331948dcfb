"""`brakeline update decline|allow|declined` against a real server over TLS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.support_cli import served
from tests.support_fleet import OWNER, SmallFleet

from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.rollout.api import router
from brakeline.rollout.service import RolloutService
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def run(
    database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Run]:  # fmt: skip
    fleet = SmallFleet(database, clock, ids)
    await fleet.enrol("web1")
    api = make_api((router,))
    api.dependency_overrides[current_principal] = lambda: OWNER
    api.state.rollout = RolloutService(
        database, clock, ids, fleet.bus, fleet.service, fleet.cell, tmp_path / "journal"
    )  # fmt: skip

    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["update", *words])
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def test_decline_list_and_allow(run: Run) -> None:
    code, out, _ = await run("declined")
    assert (code, out) == (0, "") or "Nothing is declined" in out
    code, out, err = await run("decline", "libssl3", "3.0.17-1", "--reason", "breaks the till")
    assert (code, "offered to no endpoint" in out + err, "update allow libssl3 3.0.17-1" in out + err) == (
        0,
        True,
        True,
    )
    code, out, _ = await run("declined", "--json")
    (row,) = json.loads(out)
    assert (row["name"], row["version"], row["declined"]) == ("libssl3", "3.0.17-1", True)
    assert row["reason"].endswith(": breaks the till")
    code, out, err = await run("allow", "libssl3", "3.0.17-1", "--reason", "new driver")
    assert (code, "may be offered again" in out + err) == (0, True)
    code, _, err = await run("allow", "libssl3", "3.0.17-1", "--reason", "new driver")
    assert (code != 0, "nobody has declined this version" in err) == (True, True)
    code, _, err = await run("decline", "lib ssl", "3", "--reason", "x")
    assert (code, "brakeline update show" in err) == (2, True)
