"""The verbs of a fleet: up, ls, run, clone, power cut, start, partition, heal, down.

Order of `up`: layers, then for each thing first the note in the state file, then the thing itself.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tools.fleetbox import cgroups, endpoint, enrol, managers, network, rootfs, services, sweep
from tools.fleetbox.settings import DISK_MIB, ENDPOINTS_MAX, INOTIFY_INSTANCES, FleetError, Place
from tools.fleetbox.sources import archive
from tools.fleetbox.state import EndpointState, FleetState, load, locked, save

PROGRAMS = ("mmdebstrap", "systemd-nspawn", "ip", "nft", "nsenter", "setpriv", "unshare", "apt-config")
INOTIFY_PER_ENDPOINT = 6  # measured: 128 stop the 23rd endpoint
BOOTS_AT_ONCE = 8

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What `up` is asked for. `data`: the server's directory, None = no server; `mode`: auto, systemd or plain."""

    endpoints: int
    regions: tuple[str, ...]
    data: Path | None
    mode: str = "auto"
    disk_mib: int = DISK_MIB
    enrol: bool = True  # with a server: False = only the way to it, `enrol_all` comes later
    managers: str = ""  # as `managers.dealt` reads it: "" = apt everywhere


@dataclass(frozen=True, slots=True)
class Line:
    """One endpoint as `ls` shows it. `condition`: off, starting, running, degraded, plain."""

    name: str
    region: str
    address: str
    condition: str
    partitioned: bool
    memory_mib: int
    pid: int
    manager: str = "apt"


def missing() -> tuple[str, ...]:
    """What this machine lacks for a fleet, in words; empty = nothing."""
    filesystems = Path("/proc/filesystems").read_text().split()
    return (
        *(["root (a fleet mounts and makes namespaces)"] if os.geteuid() else []),
        *(f"the program {name}" for name in PROGRAMS if shutil.which(name) is None),
        *(f"the file system {name}" for name in ("overlay", "tmpfs") if name not in filesystems),
        *(["control groups under /sys/fs/cgroup"] if not cgroups.hierarchies() else []),
    )


def up(place: Place, wish: Wish, say: Say) -> FleetState:
    """A running fleet as wished; FleetError when it cannot be (what was made so far is removed by `down`)."""
    if lacks := missing():
        raise FleetError(f"This machine cannot run a fleet, it lacks: {'; '.join(lacks)}.")
    server = enrol.read_server(wish.data) if wish.data else None
    with locked(place.lock_file, f"the fleet '{place.name}'"):
        if load(place).endpoints and cgroups.members(place.prefix):
            raise FleetError(f"A fleet '{place.name}' is up already: `./dev fleet down` first.")
        if left := sweep.down(place):
            raise FleetError(f"An earlier fleet could not be removed; left: {', '.join(left)}.")
        layers = rootfs.ensure(place, say, dict.fromkeys(managers.dealt(wish.endpoints, wish.managers)))
        if layers.note:
            say(layers.note)
        state = _build(place, wish, layers, server.port if server else 0)
        state = _boot(place, state, wish.mode, say)
        if server and wish.enrol:
            enrol_all(place, server, say)
        return state


def plan(wish: Wish, layers: rootfs.Layers) -> dict[str, EndpointState]:
    """Names, regions and addresses: endpoints are dealt to regions in turn, listed region by region; the managers
    are dealt in that order."""
    managed = managers.dealt(wish.endpoints, wish.managers)
    share = {index: range(index, wish.endpoints, len(wish.regions)) for index in range(len(wish.regions))}
    planned = (
        EndpointState(
            f"{region}{number + 1}", region, network.address(index, number), network.gateway(index),
            "plain" if wish.mode == "plain" else "systemd", layers.of(managed[place]), wish.disk_mib, managed[place],
        )
        for index, region in enumerate(wish.regions)
        for number, place in enumerate(share[index])
    )  # fmt: skip
    return {one.name: one for one in planned}


def clone(place: Place, source_name: str, name: str, say: Say) -> EndpointState:
    """A second machine from the disk of a running one: same keys, same machine id, another address."""
    with locked(place.lock_file, f"the fleet '{place.name}'"):
        state = load(place)
        source = state.endpoint(source_name)
        if name in state.endpoints:
            raise FleetError(f"There is an endpoint '{name}' already.")
        index = state.regions.index(source.region)
        used = [int(e.address.rsplit(".", 1)[1]) for e in state.endpoints.values() if e.region == source.region]
        twin = replace(source, name=name, address=network.address(index, max(used) + 1 - network.FIRST_HOST))
        save(place, state.with_endpoint(twin))
        network.connect(place, twin)
        endpoint.make_disk(place, twin)
        endpoint.execute(place, source_name, ["sync"])
        endpoint.copy_disk(place, source, twin)
        endpoint.boot(place, twin)
        say(f"{name} {endpoint.wait_up(place, twin)} (disk of {source_name})")
        return twin


def down(place: Place) -> tuple[str, ...]:
    """Remove everything; what could not be removed (normally nothing)."""
    with locked(place.lock_file, f"the fleet '{place.name}'"):
        left = sweep.down(place)
        place.lock_file.unlink(missing_ok=True)
    return left


def start(place: Place, name: str) -> str:
    """Boot an endpoint that is off; its condition once it is up."""
    known = load(place).endpoint(name)
    network.configure(place, known)
    endpoint.boot(place, known)
    return endpoint.wait_up(place, known)


def power_cut(place: Place, name: str) -> None:
    load(place).endpoint(name)
    endpoint.power_cut(place, name)


def partition(place: Place, name: str) -> None:
    load(place).endpoint(name)
    network.partition(place, name)


def heal(place: Place, name: str) -> None:
    load(place).endpoint(name)
    network.heal(place, name)


def listing(place: Place) -> tuple[Line, ...]:
    """Every endpoint, in the order of the state file."""
    known = tuple(load(place).endpoints.values())
    cut = network.partitioned(place) if network.namespaces(place.namespace("core")) else frozenset()
    with ThreadPoolExecutor(BOOTS_AT_ONCE) as pool:
        conditions = tuple(pool.map(lambda one: endpoint.condition(place, one), known))
    return tuple(
        Line(
            one.name, one.region, one.address, condition, one.name in cut,
            cgroups.memory_mib(place.namespace(one.name)), endpoint.init_pid(place, one.name), one.manager,
        )
        for one, condition in zip(known, conditions, strict=True)
    )  # fmt: skip


def _build(place: Place, wish: Wish, layers: rootfs.Layers, server_port: int) -> FleetState:
    planned = plan(wish, layers)
    state = FleetState(
        place.name, wish.regions, planned, server_port=server_port,
        server_data=str(wish.data.resolve()) if wish.data else "", inotify_before=_raise_inotify(wish),
    )  # fmt: skip
    save(place, state)
    network.create_core(place, wish.regions)
    state = replace(state, services_pid=services.start(place, wish.regions, archive(), server_port))
    save(place, state)
    for one in planned.values():
        network.connect(place, one)
        endpoint.make_disk(place, one)
    return state


def _boot(place: Place, state: FleetState, mode: str, say: Say) -> FleetState:
    started = time.monotonic()
    try:
        conditions = _boot_all(place, state)
    except FleetError as error:
        if mode != "auto":
            raise
        say(f"WARNING: systemd does not run as PID 1 here, so endpoints run without it: {error}")
        for name in state.endpoints:
            endpoint.power_cut(place, name)
        plain = {name: replace(one, mode="plain") for name, one in state.endpoints.items()}
        state = replace(state, endpoints=plain)
        save(place, state)
        conditions = _boot_all(place, state)
    say(f"{len(conditions)} endpoints up in {time.monotonic() - started:.1f} s: " + ", ".join(conditions))
    return state


def _boot_all(place: Place, state: FleetState) -> list[str]:
    for one in state.endpoints.values():
        endpoint.boot(place, one)
    with ThreadPoolExecutor(BOOTS_AT_ONCE) as pool:
        up_ = pool.map(lambda one: f"{one.name} {endpoint.wait_up(place, one)}", state.endpoints.values())
        return list(up_)


def enrol_all(place: Place, server: enrol.Server, say: Say) -> None:
    """Enrol every endpoint of a running fleet; FleetError names those on which the one-liner failed."""
    state, started = load(place), time.monotonic()
    failed = enrol.enrol(place, server, tuple(state.endpoints.values()), say)
    if failed:
        raise FleetError(f"Not enrolled: {', '.join(failed)}. The endpoints stay up: look with `./dev fleet run`.")
    say(f"{len(state.endpoints)} endpoints enrolled in {time.monotonic() - started:.1f} s")


def _raise_inotify(wish: Wish) -> int:
    """Raise the kernel's limit if this many endpoints need it; the old value, 0 = not touched."""
    before = int(sweep.INOTIFY.read_text())
    if wish.endpoints * INOTIFY_PER_ENDPOINT <= before or before >= INOTIFY_INSTANCES:
        return 0
    sweep.INOTIFY.write_text(str(max(INOTIFY_INSTANCES, wish.endpoints * INOTIFY_PER_ENDPOINT)))
    return before


def checked(endpoints: int, regions: str) -> tuple[int, tuple[str, ...]]:
    """Numbers and names as typed, checked; FleetError says what would be right."""
    names = tuple(region for region in regions.split(",") if region)
    wrong = [name for name in names if not (name.isascii() and name.isalpha() and name.islower() and len(name) <= 8)]
    if not names or wrong or len(set(names)) != len(names):
        raise FleetError(
            f"--regions {regions}: give different names of 1 to 8 lower-case letters, separated by commas."
        )
    if "core" in names or not len(names) <= endpoints <= ENDPOINTS_MAX:
        raise FleetError(f"--endpoints {endpoints}: give at least one for each region, at most {ENDPOINTS_MAX}.")
    return endpoints, names


def say_on_screen(started: float) -> Say:
    """A `Say` that prints each line with the seconds since `started`."""

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - started:6.1f} s  {text}\n")
        sys.stdout.flush()

    return say
