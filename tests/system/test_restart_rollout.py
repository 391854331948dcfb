"""Real systems with systemd are restarted ring by ring; the one whose root does not allow it stays up and says why."""

from __future__ import annotations

import pytest
from tests.system.box import Box
from tests.system.product import ENDED, Product
from tests.system.world import Server, wait_for

NAMES = ("eu1", "eu2", "us1")
ALLOW = "echo '{\"restarts_a_day\": 1}' > /etc/brakeline/restart.json; systemctl restart brakeline-agent.service"
ROLLOUT_WAIT_S = 420.0


@pytest.mark.long
def test_a_rollout_of_restarts_goes_ring_by_ring_and_leaves_alone_whoever_does_not_allow_it(
    server: Server, box: Box
) -> None:
    box.up(len(NAMES), ("eu", "us"), server.data)
    product = Product(server)
    ids = product.await_inventories(NAMES)
    product.allow_patching("tag:fleet-in-a-box")
    for name in NAMES[:2]:
        box.run(name, ALLOW)
    boots = {name: box.boot_id(name) for name in NAMES}
    plan = server.cli("rollout", "restart", "--filter", "tag:fleet-in-a-box", "--any", "--pace", "rehearsal")
    assert len(plan["endpoints"]) == len(NAMES)
    made = server.cli(
        "rollout", "restart", "--filter", "tag:fleet-in-a-box", "--any", "--pace", "rehearsal", "--yes", "--start",
    )  # fmt: skip

    def all_back() -> bool:
        now = {name: product.show(ids[name])["boot_id"] for name in NAMES[:2]}
        return all(now[name] and now[name] != boots[name] for name in now)

    wait_for("both that allow it to come back", all_back, ROLLOUT_WAIT_S)
    ended = product.await_state(made["id"], ENDED, ROLLOUT_WAIT_S)
    states = {m["hostname"]: (m["state"], m["note"]) for m in ended["members"]}
    shown = {name: product.show(ids[name])["summary"]["hostname"] for name in NAMES}
    assert states[shown["eu1"]][0] == states[shown["eu2"]][0] == "proven", states
    assert "allows no restart by order" in states[shown["us1"]][1]
    assert box.boot_id("us1") == boots["us1"]
    for name in NAMES[:2]:
        assert len(box.run(name, "cat /var/lib/brakeline-helper/reboots").splitlines()) == 1
