"""`brakeline pool` against a real server over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support_cli import served
from tests.support_rollout import OWNER, SmallFleet, quick_policy

from brakeline.cells.model import Signed
from brakeline.cli.__main__ import main
from brakeline.cli.output import Exit
from brakeline.core.clock import ManualClock
from brakeline.fleet.cell import CellIdentity
from brakeline.platform.database import Database
from brakeline.protocol.codec import encode
from brakeline.rollout.pool_api import router
from brakeline.rollout.pool_sheet import CONTEXT, Sheet
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


async def test_a_sheet_goes_out_into_a_file_and_a_partner_s_comes_in(
    run: Run, fleet: SmallFleet, tmp_path: Path
) -> None:
    code, _, err = await run("pool", "export")
    assert (code != 0, "brakeline pool join" in err) == (True, True)
    await run("pool", "join")
    sheet = str(tmp_path / "sheet.json")
    assert (await run("pool", "export", sheet))[0] == 0
    code, _, err = await run("pool", "partner", "acme", "--key", fleet.service.cell.public_hex)
    assert (code, "this installation's own key" in err) == (2, True)
    other = CellIdentity(Ed25519PrivateKey.from_private_bytes(b"e" * 32))
    assert (await run("pool", "partner", "acme", "--key", other.public_hex))[0] == 0
    code, _, err = await run("pool", "import", "acme", sheet)
    assert (code != 0, "not signed by the key" in err) == (True, True)
    payload = encode(Sheet(fleet.clock.now_ms(), "0.1.0"))
    signed = Signed(payload.decode(), other.sign(CONTEXT + payload).hex())
    (tmp_path / "theirs.json").write_bytes(encode(signed))
    code, out, _ = await run("pool", "import", "acme", str(tmp_path / "theirs.json"))
    assert (code, out) == (0, "acme: 0 sums taken in.\n")
    (tmp_path / "none.json").write_text("hello")
    code, _, err = await run("pool", "import", "acme", str(tmp_path / "none.json"))
    assert (code, "is no sheet" in err) == (2, True)
    assert "acme" in (await run("pool", "show"))[1]
    assert (await run("pool", "part", "acme"))[0] == 0
    code, _, err = await run("pool", "part", "acme")
    assert (code != 0, "brakeline pool show" in err) == (True, True)
