"""`brakeline pool` against a real server over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.support_cli import served
from tests.support_rollout import OWNER, SmallFleet, quick_policy

from brakeline.cli.__main__ import main
from brakeline.cli.output import Exit
from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.rollout.pool_api import router
from brakeline.rollout.pools import Pools
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    (tmp_path / "fleet").mkdir()
    made = SmallFleet(database, clock, tmp_path / "fleet")
    await made.enrol(2)
    return made


@pytest.fixture
async def run(
    fleet: SmallFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Run]:
    api = make_api((router,))
    api.dependency_overrides[current_principal] = lambda: OWNER
    api.state.pools, api.state.clock = Pools(fleet.service, fleet.tenancy.approvals), fleet.clock

    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def test_an_organisation_joins_sees_with_whom_it_is_compared_and_leaves(run: Run, fleet: SmallFleet) -> None:
    code, out, err = await run("pool", "show")
    assert (code, "shares nothing" in out, "brakeline pool join" in err) == (0, True, True)
    code, out, _ = await run("pool", "join")
    assert (code, out.startswith("Shared from now on.")) == (0, True)
    rollout_id = await fleet.create(quick_policy(1))
    code, out, _ = await run("pool", "show")
    assert (code, rollout_id in out, "Olga" in out) == (0, True, True)
    assert (await run("pool", "leave"))[0] == 0
    assert "shares nothing" in (await run("pool", "show"))[1]


async def test_after_the_first_week_it_waits_for_a_second_person(run: Run, fleet: SmallFleet) -> None:
    fleet.clock.advance(8 * 86_400)
    code, out, err = await run("pool", "join")
    assert (code, "not done yet" in out, "brakeline approval approve" in err) == (Exit.PENDING, True, True)
    assert "shares nothing" in (await run("pool", "show"))[1]
