"""A disk is copied with the key on it: the two machines are found out, get nothing more, and each enrols anew."""

from __future__ import annotations

import functools

import pytest
from tests.system.box import Box
from tests.system.product import Product
from tests.system.world import Server, wait_for
from tools.fleetbox import enrol, fleet

FOUND_WAIT_S = 60.0


@pytest.mark.long
def test_two_machines_with_one_key_are_cloned_until_each_enrols_again(server: Server, box: Box) -> None:
    box.up(1, ("eu",), server.data)
    product = Product(server)
    identity = product.await_inventories(("eu1",))["eu1"]
    fleet.clone(box.place, "eu1", "twin", print)
    wait_for("the clone to be found", lambda: product.show(identity)["summary"]["state"] == "cloned", FOUND_WAIT_S)
    assert product.show(identity)["state_reason"]
    # neither is believed any more, and each says why and what to do
    for name in ("eu1", "twin"):
        status = wait_for(f"{name} to know", functools.partial(_refusal, box, name), FOUND_WAIT_S)
        assert "Enrol this machine again" in status
    assert not product.endpoints()

    for name in ("eu1", "twin"):
        line = enrol.with_address(product.one_liner("eu"), "10.91.1.1", server.port)
        box.run(name, f"set -o pipefail; {line} --force")
    fresh = wait_for("two new identities", lambda: _active_ids(server, identity), FOUND_WAIT_S)
    assert identity not in fresh


def _refusal(box: Box, name: str) -> str:
    """What the agent itself says, once it says that the cell takes it for a clone."""
    said = box.execute(name, "brakeline-agent status").stdout
    return said if "refused by the cell (cloned)" in said else ""


def _active_ids(server: Server, old: str) -> set[str]:
    items = server.cli("endpoint", "list")["items"]
    found = {item["id"] for item in items if item["state"] == "active" and item["id"] != old}
    return found if len(found) == 2 else set()
