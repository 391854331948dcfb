"""Settings led over two regions with two cells each: four real servers, one cut off in mid-rollout.

As `test_cells`, with endpoints that run by settings. While one cell is cut off no ring opens and nobody gets anything
anywhere; it heals by itself. In the end the words are a policy of each cell, and of what the cells have of their own
nothing has crossed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.integration.server.test_server_process import ServerProcess
from tests.system.test_cells import (
    CELLS,
    CUT,
    EACH,
    END_S,
    LOST_S,
    RING_S,
    Endpoint,
    World,
    _missed,
    _nothing_of_an_endpoint_crossed,
    brakeline,
)

from brakeline.protocol import routes
from brakeline.protocol.codec import decode, encode
from brakeline.protocol.digests import settings_digest, transaction_digest
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    LocalLimits,
    Offer,
    Outcome,
    Ready,
    Results,
    Settings,
    Transaction,
    TransactionResult,
)

pytestmark = pytest.mark.long
OFTEN = 3600
OWN = ("own-hours-of-dallas", "sat,sun 03:07/04:11")


class SettingsEndpoint(Endpoint):
    """Runs by what its cell tells and offers."""

    runs = Settings()

    def live(self) -> None:
        self.said = {"settings": settings_digest(self.runs), "local": LocalLimits()}
        super().live()

    def _take(self, reply: dict[str, Any]) -> None:
        self.runs = decode(Settings, json.dumps(reply["settings"]).encode())
        ready = []
        for c in reply["candidates"]:
            name, version = c["updates"][0]["name"], c["updates"][0]["version"]
            action = Action(ActionKind.UPGRADE, name, "all", settings_digest(self.runs), version)
            ready.append(Ready(c["rollout_id"], c["generation"], Transaction((action,), transaction_digest((action,)))))
        self._ready = tuple(ready)
        for order in reply["offers"]:
            offer = decode(Offer, order["payload"].encode())
            assert offer.settings is not None
            if offer.offer_id not in {o.offer_id for o in self.offers}:
                self.offers.append(offer)
            self.runs = offer.settings
            result = TransactionResult("tx_" + offer.offer_id[3:], offer.offer_id, offer.rollout_id, offer.generation,
                                       Outcome.INSTALLED, "ok", "", started_ms=1, ended_ms=2)  # fmt: skip
            self.twin.signed(routes.RESULTS, encode(Results((result,))))


def led(server: ServerProcess) -> list[tuple[str, int]]:
    """Policies that a lead has brought."""
    return [(p["name"], p["refresh_interval_s"]) for p in brakeline(server, "policy", "list")["items"] if p["led"]]


class SettingsWorld(World):
    kind = SettingsEndpoint

    def begin(self) -> None:
        brakeline(self.servers["dallas-1"], "policy", "create", OWN[0], "--filter", "", "--mode", "leave", "--window",
                  OWN[1])  # fmt: skip
        cells = [word for name, _ in CELLS for word in ("--cell", name)]
        made = brakeline(self.conductor, "settings", "lead", "often", "--refresh-interval-s", str(OFTEN), "--pace",
                         "rehearsal", *cells)  # fmt: skip
        assert made["settings"] == [f"seconds between looks for newer package lists: {OFTEN}"]
        self.lead = made["id"]
        self.until("every cell to tell its size", lambda v: all(c["eligible"] == EACH for c in v["cells"]), RING_S)
        brakeline(self.conductor, "lead", "start", self.lead)

    def often(self) -> dict[str, int]:
        return {n: sum(e.runs.refresh_interval_s == OFTEN for e in mine) for n, mine in self.endpoints.items()}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SettingsWorld]:
    with ExitStack() as stack:
        yield SettingsWorld(tmp_path, stack)


def test_settings_hold_while_a_cell_is_cut_off_and_are_everywhere_when_it_is_back(world: SettingsWorld) -> None:
    world.link()
    world.begin()
    world.until("the second ring", lambda v: v["ring"] == 1, RING_S)
    world.taps[CUT].cut = True
    lost = world.until("it to be missed", lambda v: _missed(v) == {CUT}, LOST_S)
    assert lost["ring"] == 1, "no ring opens while a cell is lost"
    assert all(c["treated"] <= c["granted"] for c in lost["cells"])
    had = world.often()[CUT]
    for _ in range(10):
        assert world.until("a look", lambda _: True, RING_S)["ring"] == 1
    assert world.often()[CUT] == had

    world.taps[CUT].cut = False
    world.until("the end", lambda v: v["state"] == "completed", END_S)
    everybody = {name: EACH for name, _ in CELLS}
    world.until("everybody to run by them", lambda _: world.often() == everybody, RING_S)
    for name, server in world.servers.items():
        world.until(f"the policy in {name}", lambda _, s=server: led(s) == [("often", OFTEN)], RING_S)
    _nothing_of_an_endpoint_crossed(world)
    said = b"\n".join(x for tap in world.taps.values() for x in tap.said).decode()
    assert "refresh_interval_s" in said, "the change itself crosses …"
    for word in (*OWN, OWN[1].partition(" ")[2], "inventory_interval_s"):
        assert word not in said, "… and nothing that a cell has of its own"
