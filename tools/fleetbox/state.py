"""What a fleet remembers about itself, on disk before it happens: one JSON file, replaced whole and fsynced.

An endpoint is written down before anything of it exists, so that no kill can leave an unknown one. The lock keeps
two verbs from working on one fleet at the same time; children do not inherit it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO

from tools.fleetbox.settings import FleetError, Place

LOCK_WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class EndpointState:
    """One endpoint. `address`: IPv4 in its region's /24; `layers`: lower directories, topmost first."""

    name: str
    region: str
    address: str
    gateway: str
    mode: str  # systemd | plain
    layers: tuple[str, ...]
    disk_mib: int
    manager: str = "apt"  # of its system


@dataclass(frozen=True, slots=True)
class FleetState:
    """One fleet. `services_pid`: the process with proxy and relay, 0 = none yet."""

    name: str
    regions: tuple[str, ...] = ()
    endpoints: dict[str, EndpointState] = field(default_factory=dict)
    services_pid: int = 0
    server_port: int = 0
    server_data: str = ""  # the server's data directory, "" = no server
    inotify_before: int = 0  # kernel setting to restore, 0 = not touched

    def endpoint(self, name: str) -> EndpointState:
        """The endpoint called `name`; FleetError lists those there are."""
        if name not in self.endpoints:
            known = " ".join(self.endpoints) or "none: start some with `./dev fleet up`"
            raise FleetError(f"No endpoint '{name}' in this fleet. There are: {known}.")
        return self.endpoints[name]

    def with_endpoint(self, endpoint: EndpointState) -> FleetState:
        return replace(self, endpoints={**self.endpoints, endpoint.name: endpoint})


def write_durably(path: Path, data: bytes) -> None:
    """`path` holds either the old bytes or these, whatever happens."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def save(place: Place, state: FleetState) -> None:
    """Write `state` down before going on."""
    place.run.mkdir(parents=True, exist_ok=True)
    write_durably(place.state_file, json.dumps(asdict(state), indent=1).encode())


def load(place: Place) -> FleetState:
    """The fleet as written down; an empty one when there is none or the file is unreadable (`down` sweeps by name)."""
    try:
        raw = json.loads(place.state_file.read_bytes())
        endpoints = {
            name: EndpointState(**{**value, "layers": tuple(value["layers"])})
            for name, value in raw.pop("endpoints").items()
        }
        return FleetState(**{**raw, "regions": tuple(raw["regions"]), "endpoints": endpoints})
    except (OSError, ValueError, KeyError, TypeError):
        return FleetState(place.name)


@contextmanager
def locked(path: Path, what: str, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold the lock file at `path`; FleetError with the holder's pid after `wait_s`. The holder may remove the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + wait_s
    while (file := _try_lock(path)) is None:
        if time.monotonic() > end:
            holder = path.read_text().strip() if path.exists() else ""
            raise FleetError(f"{what} is busy (pid {holder or '?'}) for {wait_s:.0f} s.")
        time.sleep(0.1)
    with file:
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _try_lock(path: Path) -> IO[str] | None:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file  # and not a file that its last holder removed while we waited
    except OSError:
        pass
    file.close()
    return None
