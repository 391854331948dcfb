"""The launcher's look and a real proxy in front of a real TLS cell: which way, within which time, in which words.

What runs meanwhile is in `test_fail_open`. The words are the agent's (`tests/integration/agent/test_proxy.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from tests.support import require
from tests.support_launcher import GOOD, Endpoint, release_bytes
from tests.support_proxy import INSIDE, ConnectProxy, endless, hangs, proxying, says

from brakeline.launcher import cell, settings, source
from brakeline.launcher.disk import RealDisk
from brakeline.launcher.model import Found
from brakeline.launcher.records import Records

LOOK_S = 2.0


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with proxying("ann", "s3cret") as made:
        yield made


@pytest.fixture
def offered(host: Endpoint, proxy: ConnectProxy) -> str:
    """The release that is offered to an endpoint with a proxy."""
    host.prepare(release_bytes("1.0.0"))
    release_id = host.cell.repository.publish("2.0.0", release_bytes("2.0.0", GOOD, 2), 2)
    host.cell.repository.offer(release_id)
    (host.etc / "proxy.json").write_text(json.dumps({"proxy": proxy.url.replace("//", "//ann:s3cret@")}))
    return release_id


def look(host: Endpoint, way: str = "", server: str = "", seconds: float = 9.0) -> Found:
    known = settings.load(host.root, host.etc, host.home)
    known = replace(known, way=way, server_url=server or known.server_url)
    disk = RealDisk(host.root)
    return source.look(known, disk, Records(disk).load()[0], (), seconds)


def inside(host: Endpoint) -> str:
    return host.cell.url.replace("127.0.0.1", INSIDE)


def test_documents_and_release_come_by_the_proxy(host: Endpoint, proxy: ConnectProxy, offered: str) -> None:
    found = look(host, server=inside(host))
    assert (found.fresh, found.staged, found.problems) == (True, offered, ())
    assert found.way == f"by the proxy {proxy.place}"
    assert len(proxy.asked) == 2
    assert b"targets" not in proxy.seen, "a proxy sees TLS"


def test_the_way_that_worked_last_comes_first_and_is_told(host: Endpoint, proxy: ConnectProxy, offered: str) -> None:
    found = look(host, way=f"directly, not by the proxy {proxy.place}")
    assert (found.staged, proxy.asked) == (offered, [])
    proxy.misbehave = says(b"HTTP/1.1 503 Down\r\n\r\n")
    found = look(host)
    assert (found.way, len(proxy.asked)) == (f"directly, not by the proxy {proxy.place}", 1)


def test_a_proxy_that_hangs_leaves_the_direct_way_enough_time(
    host: Endpoint, proxy: ConnectProxy, offered: str
) -> None:
    proxy.misbehave = hangs
    began = time.monotonic()
    found = look(host, seconds=LOOK_S)
    assert (found.fresh, time.monotonic() - began < LOOK_S + 1) == (True, True), found.problems
    assert offered


def test_a_direct_way_that_is_dropped_leaves_the_proxy_enough_time(
    host: Endpoint, proxy: ConnectProxy, offered: str
) -> None:
    with socket.create_server(("127.0.0.2", 0)) as silent:  # takes connections and never speaks
        port = silent.getsockname()[1]
        proxy.ports[port] = int(host.cell.url.rpartition(":")[2])
        proxy.hosts["127.0.0.2"] = "127.0.0.1"
        found = look(host, f"directly, not by the proxy {proxy.place}", f"https://127.0.0.2:{port}", 2 * LOOK_S)
    assert (found.fresh, found.way) == (True, f"by the proxy {proxy.place}"), found.problems
    assert offered


def test_a_name_that_is_looked_up_for_ever_leaves_the_other_way_its_time(
    host: Endpoint, offered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver knows no limit that we could give it; so the first way is a thread's."""
    real: Callable[..., socket.socket] = socket.create_connection

    def create_connection(address: tuple[str, int], *rest: float) -> socket.socket:
        if address[0] == "slow.example":
            time.sleep(LOOK_S)
        return real(address, *rest)

    monkeypatch.setattr(cell.socket, "create_connection", create_connection)
    (host.etc / "proxy.json").write_text(json.dumps({"proxy": "http://slow.example:3128"}))
    began = time.monotonic()
    assert look(host, seconds=LOOK_S).fresh
    assert time.monotonic() - began < LOOK_S + 1
    assert offered


def test_what_went_wrong_is_told_of_both_ways_in_the_agent_s_words(
    host: Endpoint, proxy: ConnectProxy, offered: str
) -> None:
    assert offered
    for fault, told in ((says(b"HTTP/1.1 407 No\r\n\r\n"), "answered 407: it refuses them; check user and password"),
                        (endless, "answered with headers of more than 16384 bytes")):  # fmt: skip
        proxy.misbehave = fault
        (problem,) = look(host, server=inside(host), seconds=LOOK_S).problems
        assert problem.startswith(f"unreachable: {inside(host)}: the proxy {proxy.place} {told}; directly: ")
        assert "s3cret" not in problem


# --- a network of its own, whose firewall drops what does not go to the proxy ---------------------------------------


@pytest.fixture
def office() -> Iterator[tuple[str, str]]:
    """(its network namespace, the address in it behind which the proxy is)."""
    require(os.geteuid() == 0 and shutil.which("ip"), "root and ip: a network of its own")
    name, here, there = f"bl-office-{os.getpid()}", f"blp{os.getpid() % 100_000}", "198.18.77.1"
    steps = (
        f"ip netns add {name}", f"ip link add {here} type veth peer name out netns {name}",
        f"ip addr add {there}/30 dev {here}", f"ip link set {here} up", f"sysctl -q net.ipv4.conf.{here}.forwarding=0",
        f"ip -n {name} addr add 198.18.77.2/30 dev out", f"ip -n {name} link set out up",
        f"ip -n {name} link set lo up", f"ip -n {name} route add default via {there}",
    )  # fmt: skip
    try:
        for step in steps:
            subprocess.run(step.split(), check=True)
        yield name, there
    finally:
        subprocess.run(["ip", "link", "del", here], check=False)
        subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.mark.long
def test_a_launcher_whose_only_way_out_is_the_proxy_heals_its_agent(host: Endpoint, office: tuple[str, str]) -> None:
    """It was outside before, so the direct way, which is dropped here, is tried first; every look keeps to its time."""
    name, there = office
    host.knobs |= {"check_s": 10}
    host.prepare(release_bytes("1.0.0"))
    release_id = host.cell.repository.publish("2.0.0", release_bytes("2.0.0", GOOD, 2), 2)
    host.cell.repository.offer(release_id)
    plain = json.loads((host.etc / "agent.json").read_text())
    port = int(host.cell.url.rpartition(":")[2])
    (host.etc / "agent.json").write_text(json.dumps(plain | {"server_url": f"https://192.0.2.1:{port}"}))
    host.wrap = ("ip", "netns", "exec", name)
    host.start()
    host.until(lambda: host.runs("1.0.0") == 1, 40, "the last good release without a way out")
    with proxying("ann", "s3cret", there) as proxy:
        proxy.hosts["192.0.2.1"] = "127.0.0.1"
        (host.etc / "proxy.json").write_text(json.dumps({"proxy": proxy.url.replace("//", "//ann:s3cret@")}))
        host.until_confirmed(release_id, 60)
        assert host.report().way == f"by the proxy {proxy.place}"
        assert not [p for p in host.report().problems if p.startswith("check")]
        way = f"directly, not by the proxy {proxy.place}"
        asked = json.dumps({"way": way})
        places = ["--root", str(host.root), "--etc", str(host.etc), "--home", str(host.home)]
        began = time.monotonic()
        done = subprocess.run(
            [*host.wrap, "/usr/bin/python3", "-I", str(host.program), "check", *places, asked],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
        found = json.loads(done.stdout.splitlines()[-1])
        assert (found["fresh"], found["way"]) == (True, f"by the proxy {proxy.place}"), found
        assert 3 < time.monotonic() - began < 10, "half of its time went to the way that is dropped"
    assert "s3cret" not in host.log()
