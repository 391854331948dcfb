"""`brakeline deployment log|stop|retry` and `endpoint runs|history` against a real server over TLS and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.support_cli import served
from tests.support_rollout import OWNER, SmallFleet, Twin, quick_policy

from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.protocol.codec import decode
from brakeline.protocol.messages import Offer, RunEntry, RunKind, RunPart
from brakeline.rollout.single import Single
from brakeline.rollout.single_api import router as single_router
from brakeline.runlog.api import router
from brakeline.runlog.service import Kept, RunLog
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(2, ("eu",), fate="waits")
    return made


@pytest.fixture
def log(fleet: SmallFleet, database: Database, clock: ManualClock) -> RunLog:
    return RunLog(database, clock, fleet.fleet, fleet.service, Kept(30, 64, 400))


@pytest.fixture
async def run(
    fleet: SmallFleet, log: RunLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Run]:
    api = make_api((router, single_router))
    api.dependency_overrides[current_principal] = lambda: OWNER
    api.state.runlog, api.state.single = log, Single(fleet.service)

    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def began(fleet: SmallFleet, log: RunLog) -> tuple[str, Twin, Callable[..., Awaitable[None]]]:
    """A rollout, the twin whose transaction runs, and how it tells of it."""
    rollout = await fleet.create(quick_policy(1))
    await fleet.round()
    twin = next(t for t in fleet.twins if t.orders)
    offer = decode(Offer, twin.orders[0].payload.encode())

    async def tell(*entries: RunEntry, ended: bool = False) -> None:
        now = fleet.clock.now_ms()
        await log.take(twin.identity, RunPart("tx_" + offer.offer_id[3:], offer.offer_id, entries, ended, now))

    return rollout, twin, tell


async def test_a_run_is_followed_to_its_end(fleet: SmallFleet, log: RunLog, run: Run) -> None:
    _, twin, tell = await began(fleet, log)
    endpoint_id, now = twin.identity.endpoint_id, fleet.clock.now_ms()
    code, _, err = await run("deployment", "log", endpoint_id)
    assert (code, "no log of such a run" in err) == (3, True)

    await tell(
        RunEntry(1, now, RunKind.COMMAND, 1, argv=("apt-get", "install", "a b")),
        RunEntry(2, now, RunKind.OUTPUT, 1, "Setting up"),
    )
    following = asyncio.create_task(run("deployment", "log", endpoint_id, "--follow"))
    await asyncio.sleep(0)
    await tell(RunEntry(3, now, RunKind.DROPPED, 0, "too fast", lines=7))
    await tell(RunEntry(4, now, RunKind.EXIT, 1, rc=0, took_ms=1500), ended=True)
    code, out, _ = await following
    assert code == 0
    assert [line[9:] for line in out.splitlines()] == [
        "$ apt-get install 'a b'", "  Setting up", "! 7 lines are not here: too fast", "= exit code 0 after 1.50 s",
    ]  # fmt: skip
    code, out, _ = await run("deployment", "log", endpoint_id, "--commands")
    assert (code, "apt-get install 'a b'" in out, "1.50 s" in out) == (0, True, True)
    code, out, _ = await run("endpoint", "runs", endpoint_id, "--json")
    assert [v["state"] for v in json.loads(out)["items"]] == ["ended"]


async def test_one_endpoint_is_stopped_and_tried_again(fleet: SmallFleet, log: RunLog, run: Run) -> None:
    rollout, twin, _ = await began(fleet, log)
    endpoint_id = twin.identity.endpoint_id
    code, out, _ = await run("deployment", "stop", rollout, endpoint_id, "--reason", "a fair")
    assert (code, "told" in out, "drop it at once" in out) == (0, True, True)
    code, _, err = await run("deployment", "retry", rollout, endpoint_id)
    assert code == 2, "a retry needs a reason"
    code, out, _ = await run("deployment", "retry", rollout, endpoint_id, "--reason", "it is over", "--json")
    assert (code, json.loads(out)["state"]) == (0, "again")
    code, _, err = await run("deployment", "stop", rollout, "ep_elsewhere")
    assert (code, "no such endpoint" in err) == (3, True)


async def test_changes_come_as_a_table_csv_and_ndjson_and_wrong_moments_are_refused(
    fleet: SmallFleet, log: RunLog, run: Run
) -> None:
    endpoint_id = fleet.twins[0].identity.endpoint_id
    code, out, err = await run("endpoint", "history", endpoint_id, "--since", "2026-01-01")
    assert (code, "Nothing changed." in out, "Nothing is kept yet" in err) == (0, True, True)
    code, out, _ = await run("endpoint", "history", endpoint_id, "--format", "csv")
    assert (code, out.startswith("endpoint_id,at_ms,kind,name")) == (0, True)
    assert (await run("endpoint", "history", endpoint_id, "--format", "ndjson"))[:2] == (0, "")
    code, _, err = await run("endpoint", "history", endpoint_id, "--since", "yesterday")
    assert (code, "2026-11-26T08:00" in err) == (2, True)
    assert (await run("endpoint", "history", endpoint_id, "--format", "xml"))[0] == 2
    assert (await run("endpoint", "history", endpoint_id, "--since", "2026-11-26", "--until", "2026-11-01"))[0] == 2
