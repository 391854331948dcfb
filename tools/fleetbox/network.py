"""The fleet's world: one core namespace with a bridge and gateway per region, one namespace per endpoint, no way out.

Addresses: region r has 10.91.r.0/24, gateway .1, its n-th endpoint .(9+n). A partition drops what passes the
endpoint's bridge port, in both directions, so open connections hang as they do when a cable is pulled.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterable

from tools.fleetbox.process import quietly, run
from tools.fleetbox.settings import NETNS_ROOT, FleetError, Place
from tools.fleetbox.state import EndpointState

CLONE_NEWNET = 0x40000000
FIRST_HOST = 10


def gateway(region_index: int) -> str:
    return f"10.91.{region_index + 1}.1"


def address(region_index: int, number: int) -> str:
    """Address of the `number`-th endpoint (from 0) of a region."""
    return f"10.91.{region_index + 1}.{FIRST_HOST + number}"


def create_core(place: Place, regions: Iterable[str]) -> None:
    """The core namespace with its bridges; it routes between regions and has no link to this machine's network."""
    core = place.namespace("core")
    lines = ["link set lo up"]
    for index, region in enumerate(regions):
        bridge = bridge_name(region)
        lines += [
            f"link add {bridge} type bridge",
            f"addr add {gateway(index)}/24 dev {bridge}",
            f"link set {bridge} up",
        ]
    run(["ip", "netns", "add", core])
    run(["ip", "-n", core, "-batch", "-"], input_text="\n".join(lines) + "\n")
    run(["ip", "netns", "exec", core, "sysctl", "-qw", "net.ipv4.ip_forward=1"])


def connect(place: Place, endpoint: EndpointState) -> None:
    """A namespace for `endpoint`, plugged into its region's bridge."""
    core, inside = place.namespace("core"), place.namespace(endpoint.name)
    port = port_name(endpoint.name)
    run(["ip", "netns", "add", inside])
    # made in both namespaces at once: no end of it is ever in this machine's own namespace
    run(["ip", "link", "add", port, "netns", core, "type", "veth", "peer", "name", "eth0", "netns", inside])
    run(["ip", "-n", core, "link", "set", port, "master", bridge_name(endpoint.region), "up"])
    # A machine that loses its power sends nothing any more. The namespace outlives it, and so would what its sockets
    # have not sent yet: that would arrive after the next boot, and look like a second machine with the same key.
    run(["ip", "netns", "exec", inside, "sysctl", "-q", "-w", "net.ipv4.tcp_orphan_retries=1"])
    configure(place, endpoint)


def configure(place: Place, endpoint: EndpointState) -> None:
    """What a machine does to its network when it boots; mends whatever was done to it since. Can be repeated."""
    lines = (
        f"addr replace {endpoint.address}/24 dev eth0",
        "link set eth0 up",
        "link set lo up",
        f"route replace default via {endpoint.gateway}",
    )
    inside = place.namespace(endpoint.name)
    run(["ip", "-n", inside, "-batch", "-"], input_text="\n".join(lines) + "\n")


def partition(place: Place, name: str) -> None:
    """Cut `name` off. Doing it twice is the same as once."""
    port, table = port_name(name), f"cut_{name}"
    rules = (
        f"add table bridge {table}",
        f"delete table bridge {table}",
        f"add table bridge {table}",
        f"add chain bridge {table} forward {{ type filter hook forward priority 0; }}",
        f"add chain bridge {table} input {{ type filter hook input priority 0; }}",
        f"add chain bridge {table} output {{ type filter hook output priority 0; }}",
        f'add rule bridge {table} forward iifname "{port}" drop',
        f'add rule bridge {table} forward oifname "{port}" drop',
        f'add rule bridge {table} input iifname "{port}" drop',
        f'add rule bridge {table} output oifname "{port}" drop',
    )
    _nft(place, "\n".join(rules) + "\n")


def heal(place: Place, name: str) -> None:
    """Plug `name` in again; nothing happens when it was not cut off."""
    table = f"cut_{name}"
    _nft(place, f"add table bridge {table}\ndelete table bridge {table}\n")


def partitioned(place: Place) -> frozenset[str]:
    """Names of the endpoints that are cut off."""
    listing = run(["ip", "netns", "exec", place.namespace("core"), "nft", "list", "tables", "bridge"])
    return frozenset(line.split()[-1].removeprefix("cut_") for line in listing.splitlines() if "cut_" in line)


def listen_in(namespace: str, host: str, port: int) -> socket.socket:
    """A listening TCP socket at host:port *inside* `namespace`, usable from this process outside of it."""
    libc = ctypes.CDLL("libc.so.6", use_errno=True)
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(NETNS_ROOT / namespace, os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET):
            raise FleetError(f"cannot enter namespace {namespace}: {os.strerror(ctypes.get_errno())}")
        try:
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(256)
        finally:
            if libc.setns(here, CLONE_NEWNET):
                raise FleetError(f"cannot come back from namespace {namespace}")
        return listener
    finally:
        os.close(here)
        os.close(there)


def namespaces(prefix: str) -> tuple[str, ...]:
    """Named network namespaces that begin with `prefix`."""
    if not NETNS_ROOT.is_dir():
        return ()
    return tuple(sorted(path.name for path in NETNS_ROOT.iterdir() if path.name.startswith(prefix)))


def remove(prefix: str) -> None:
    """Delete those namespaces, also half-made ones (a name without a mount)."""
    for name in namespaces(prefix):
        if not quietly(["ip", "netns", "del", name]):
            (NETNS_ROOT / name).unlink(missing_ok=True)


def bridge_name(region: str) -> str:
    return f"br-{region}"


def port_name(endpoint: str) -> str:
    return f"v-{endpoint}"


def _nft(place: Place, rules: str) -> None:
    run(["ip", "netns", "exec", place.namespace("core"), "nft", "-f", "-"], input_text=rules)
