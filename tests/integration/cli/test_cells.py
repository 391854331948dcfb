"""`brakeline cell|lead` against a real server over TLS: what is printed, what is refused and what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.support_cells import Cell, Wire
from tests.support_cli import served
from tests.support_rollout import OWNER

from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.platform.bus import MemoryBus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.remediation.service import RemediationService
from brakeline.remediation.settings_api import router as settings_router
from brakeline.rollout.lead_api import router
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def berlin(database: Database, clock: ManualClock, tmp_path: Path) -> Cell:
    made = Cell("berlin", "eu", database, clock, tmp_path / "berlin", Wire())
    await made.enrol(2, ("eu",))
    await made.hear()
    return made


@pytest.fixture
async def run(
    berlin: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Run]:
    api = make_api((router, settings_router))
    api.dependency_overrides[current_principal] = lambda: OWNER
    api.state.cells, api.state.conducting = berlin.cells, berlin.conducting
    ids, bus = IdMaker(berlin.clock), MemoryBus()
    api.state.remediation = RemediationService(berlin.db, berlin.clock, ids, bus, berlin.fleet)
    api.state.remediation.conducting = berlin.conducting

    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def test_a_cell_is_added_joined_drained_restored_and_isolated(run: Run) -> None:
    code, out, err = await run("cell", "add", "berlin", "--region", "eu", "--url", "https://berlin")
    assert (code, out.startswith("blcell1."), "shown once" in err) == (0, True, True)
    code, said, _ = await run("cell", "join", out.strip())
    assert (code, said) == (0, "This cell is berlin to https://berlin from now on.\n")
    code, said, err = await run("cell", "list")
    assert (code, "joined" in said, "Conducted by https://berlin as berlin" in err) == (0, True, True)
    code, _, err = await run("cell", "add", "berlin", "--region", "eu")
    assert (code != 0, "isolate it first" in err) == (True, True)
    code, _, err = await run("cell", "drain", "berlin")
    assert (code, "say why" in err) == (2, True)
    assert (await run("cell", "drain", "berlin", "--reason", "moves house"))[0] == 0
    assert "drained" in (await run("cell", "list"))[1]
    assert (await run("cell", "restore", "berlin", "--reason", "has moved"))[0] == 0
    assert (await run("cell", "isolate", "--reason", "look first"))[0] == 0
    assert "isolated" in (await run("cell", "list"))[2]
    assert (await run("cell", "isolate", "berlin", "--reason", "stolen"))[0] == 0
    code, _, err = await run("cell", "restore", "berlin", "--reason", "found")
    assert (code != 0, "isolated" in err) == (True, True)


async def test_settings_are_drafted_over_cells_and_shown_in_words(run: Run) -> None:
    token = (await run("cell", "add", "berlin", "--region", "eu", "--url", "https://berlin"))[1]
    assert (await run("cell", "join", token.strip()))[0] == 0
    words = ("--filter", "tag:db", "--window", "mon-fri 22:00/05:00", "--conffiles", "hold")
    code, said, err = await run("settings", "lead", "nights", *words)
    lead = said.partition(":")[0]
    assert (code, said.splitlines()[0]) == (0, f"{lead}: Settings nights, drafted over 1 cell.")
    assert "  changed configuration files: hold" in said
    assert f"brakeline lead start {lead}" in err
    assert "  maintenance windows: mon,tue,wed,thu,fri 22:00/05:00" in (await run("lead", "show", lead))[1]
    code, said, _ = await run("settings", "lead", "nights")
    assert (code, "  policy nights is taken away" in said) == (0, True)
    for wrong, says in (
        (("--conffiles", "sometimes"), "conffiles is one of"),
        (("--window", "sat"), "is no weekly window"),
        (("--refresh-interval-s", "5"), "an interval is 60"),
        (("--cell", "oslo"), "cells that have joined"),
        (("--filter", "os:"), ""),
        (("--mode", "always"), "assess, patch or leave"),
    ):
        code, _, err = await run("settings", "lead", "nights", *wrong)
        assert (code, says in err) == (2, True), err


async def test_wrong_input_says_what_and_what_to_do(run: Run) -> None:
    code, _, err = await run("cell", "join", "blcell1.nonsense")
    assert (code, "this is no join token" in err) == (2, True)
    code, _, err = await run("cell", "add", "Berlin 1", "--region", "eu")
    assert (code, "small letters, digits" in err) == (2, True)
    code, _, err = await run("cell", "drain", "oslo", "--reason", "x")
    assert (code != 0, "brakeline cell list" in err) == (True, True)
    code, _, err = await run("lead", "create", "t", "--update", "libssl3=1")
    assert (code, "cells that have joined" in err) == (2, True)
    code, _, err = await run("lead", "create", "t", "--update", "libssl3")
    assert (code, "NAME=VERSION" in err) == (2, True)
    code, _, err = await run("lead", "show", "ld_none")
    assert (code != 0, "brakeline lead list" in err) == (True, True)


async def test_a_lead_is_drafted_shown_started_paused_resumed_and_braked(run: Run, berlin: Cell) -> None:
    token = (await run("cell", "add", "berlin", "--region", "eu", "--url", "https://berlin"))[1].strip()
    await run("cell", "join", token)
    made = json.loads((await run("lead", "create", "ssl", "--update", "libssl3=3.0.17", "--json"))[1])
    code, _, _ = await run("lead", "create", "ssl", "--update", "libssl3=3.0.17", "--pace", "fast")
    assert code == 0, "a draft; to start it takes two people"
    await berlin.linked.reconcile()
    await berlin.linked.reconcile()
    out = (await run("lead", "show", made["id"]))[1]
    assert "ssl" in out
    assert "berlin" in out
    assert json.loads((await run("lead", "start", made["id"], "--json"))[1])["state"] == "rolling"
    assert "paused" in (await run("lead", "pause", made["id"], "--reason", "lunch"))[1]
    code, _, err = await run("lead", "resume", made["id"])
    assert (code, "say why" in err) == (2, True)
    assert (await run("lead", "resume", made["id"], "--reason", "back"))[0] == 0
    assert "halted" in (await run("lead", "brake", made["id"]))[1]
    assert "halted" in (await run("lead", "list"))[1]
    code, _, err = await run("lead", "resume", made["id"], "--reason", "again")
    assert (code != 0, "it is halted" in err) == (True, True)
