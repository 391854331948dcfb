"""A booted endpoint in a network that only an HTTP proxy leads out of: the console's line, agent, launcher, helper.

Nothing resolves the cell's name there, so whatever arrives has come by the proxy, which wants a password.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.support_proxy import INSIDE, ConnectProxy, proxying
from tests.system.box import Box
from tests.system.product import Product
from tests.system.world import Server, wait_for
from tools.fleetbox import network
from tools.fleetbox.enrol import with_address

PASSWORD = "s3cret%40home"  # with an @ in it, as it is written in an address
NAME, PORT, WAIT_S = "eu1", 3128, 90.0


@pytest.fixture(scope="module")
def proxy(box: Box, server: Server) -> Iterator[ConnectProxy]:
    box.up(1, ("eu",), server.data, enrolled=False)
    listening = network.listen_in(box.place.namespace("core"), network.gateway(0), PORT)
    with proxying("ann", "s3cret@home", listening=listening) as made:
        yield made


def cell_port(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


@pytest.mark.long
def test_the_console_s_line_enrols_by_the_proxy_and_all_goes_by_it_afterwards(
    box: Box, server: Server, proxy: ConnectProxy
) -> None:
    product = Product(server)
    line = with_address(product.one_liner("eu"), INSIDE, cell_port(server))
    assert box.execute(NAME, f"set -o pipefail; {line}").returncode, "nothing leads there directly"
    given = f"http://ann:{PASSWORD}@{proxy.place}"
    box.run(NAME, f"(umask 077; echo {given} > /root/proxy)")
    box.run(NAME, f"export https_proxy=$(cat /root/proxy); set -o pipefail; {line} --proxy /root/proxy; rm /root/proxy")

    status = json.loads(box.run(NAME, "brakeline-agent status --json"))
    assert status["connection"] == "connected"
    assert proxy.place in box.run(NAME, "brakeline-agent status")
    product.await_inventories((NAME,))
    there, found = product.endpoints()[NAME], box.versions(NAME)
    assert product.packages(str(there["id"])).keys() == found.keys(), "what dpkg says has arrived"
    report = "/var/lib/brakeline-launcher/report.json"
    way = wait_for("a look", lambda: json.loads(box.run(NAME, f"cat {report}"))["way"], WAIT_S)
    assert way == f"by the proxy {proxy.place}"

    assert proxy.asked
    assert all(asked.startswith(f"CONNECT {INSIDE}:") for asked in proxy.asked)
    assert b"et_" not in proxy.seen, "the token went through TLS"
    for kept in ("/var/lib/brakeline-launcher/report.json", "/var/lib/brakeline/status.json"):
        assert "s3cret" not in box.run(NAME, f"cat {kept}")
    assert box.run(NAME, "stat -c '%a %U %G' /etc/brakeline/proxy.json").strip() == "640 root brakeline"
    running = box.run(NAME, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "s3cret" not in running, "no process that stays has it in its arguments"
    assert "s3cret" not in box.run(NAME, "journalctl --no-pager"), "sudo writes each command line there"
