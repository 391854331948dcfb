"""A real endpoint with systemd restarts by a genuine order: down in order, and back as another boot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.system.box import Box
from tests.system.product import Product
from tests.system.world import Server, wait_for

from brakeline.fleet.cell import CellIdentity
from brakeline.protocol import codec
from brakeline.protocol.messages import RestartOrder, SignedOrder

ASK = """python3 - <<'END'
import json, socket, struct
data = json.dumps({request}).encode()
s = socket.socket(socket.AF_UNIX)
s.settimeout(30)
s.connect("/run/brakeline/helper.sock")
s.sendall(struct.pack(">I", len(data)) + data)
said = b""
while len(said) < 4 or len(said) < 4 + struct.unpack(">I", said[:4])[0]:
    more = s.recv(65536)
    if not more:
        break
    said += more
print(said[4:].decode())
END"""
BACK_WAIT_S = 150.0


def order(server: Server, endpoint_id: str, boot_id: str) -> SignedOrder:
    """As the cell signs it, with the very key on its disk."""
    year = 365 * 86_400_000
    return CellIdentity.load(Path(server.data) / "cell.key").sign_restart(
        RestartOrder(endpoint_id, "ro_x", boot_id, 1_700_000_000_000, 1_700_000_000_000 + 10 * year)
    )


def ask(box: Box, signed: SignedOrder) -> dict[str, object]:
    request = {"verb": "restart", "order": codec.to_plain(signed), "server_ms": 0}
    text = box.run("eu1", ASK.format(request=repr(request)))
    said: dict[str, object] = json.loads(text) if text.strip() else {}
    return said


@pytest.mark.long
def test_a_genuine_order_restarts_a_real_system_once_and_only_where_root_allows_it(server: Server, box: Box) -> None:
    box.up(1, ("eu",), server.data)
    product = Product(server)
    endpoint_id = product.await_inventories(("eu1",))["eu1"]
    boot = product.show(endpoint_id)["boot_id"]
    signed = order(server, endpoint_id, boot)
    assert ask(box, signed)["code"] == "not_allowed"

    box.run(
        "eu1", "echo '{\"restarts_a_day\": 1}' > /etc/brakeline/restart.json; systemctl stop brakeline-helper.service"
    )
    assert ask(box, signed).get("ok", True) is True  # it may go down before it has answered

    def back() -> str:
        shown = product.show(endpoint_id)
        assert not shown["summary"]["asleep"], "whoever restarts has promised to come back"
        now: str = shown["boot_id"]
        return now if now != boot else ""

    again = wait_for("another boot to check in", back, BACK_WAIT_S)
    assert ask(box, signed)["code"] == "other_boot"
    assert ask(box, order(server, endpoint_id, again))["code"] == "limit"
    assert len(box.run("eu1", "cat /var/lib/brakeline-helper/reboots").splitlines()) == 1
