"""`bad-update`: everything up to the moment at which a person lets a harmful update loose and watches the brake.

Version 1.0 of a demonstration package is installed by real apt, then a version is published whose maintainer script
does the harm. Starting the rollout is left to the person: `Ready.text` says how, with the figures of its preview.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tools.fleetbox import endpoint, enrol
from tools.fleetbox.fleet import Say
from tools.fleetbox.process import run
from tools.fleetbox.repository import Built, Repository
from tools.fleetbox.settings import REPOSITORY, FleetError, Place
from tools.fleetbox.state import load, locked

PACKAGE, GOOD = "brakeline-demo", "1.0"
FILTER = f"tag:{enrol.TAG}"
AT_ONCE = 3  # apt is processor-bound
SCAN_WAIT_S = 120.0
SHELL_FAILS = "echo 'this update breaks on every machine' >&2; exit 7"
SHELL_CUTS = "ip link set dev eth0 down"
HARMS = {"postinst": (SHELL_FAILS, "its maintainer script fails"), "network": (SHELL_CUTS, "it cuts the network")}
REPAIRS = {
    "postinst": "./dev fleet run NAME dpkg --remove brakeline-demo",
    "network": "./dev fleet powercut NAME, then ./dev fleet start NAME",
}


@dataclass(frozen=True, slots=True)
class Ready:
    """A bad update that waits to be let loose. `count`: endpoints that the preview would change now."""

    version: str
    harm: str
    count: int
    skipped: tuple[str, ...]  # "host: why" of those that the preview leaves out
    needs_policy: bool
    url: str
    context: Path


def prepare(place: Place, harm: str, say: Say) -> Ready:
    """Package, repository, version 1.0 everywhere, then the bad one; FleetError when an endpoint cannot follow."""
    with locked(place.lock_file, f"the fleet '{place.name}'"):
        state = load(place)
        if not state.endpoints:
            raise FleetError("No endpoints: start some with `./dev fleet up`.")
        if not state.server_data:
            raise FleetError("These endpoints have no server: `./dev fleet down`, `./dev up`, then `./dev fleet up`.")
        server, names = enrol.read_server(Path(state.server_data)), tuple(state.endpoints)
        ids = {name: _enrolled_id(place, name) for name in names}
        version = _publish_and_install(place, names, harm, say)
        say(f"{PACKAGE} {version} is published: {HARMS[harm][1]}")
    _await_scans(server, ids, version)
    say(f"all {len(ids)} endpoints have told the server that {version} is on offer")
    return _ready(server, ids, version, harm)


def _publish_and_install(place: Place, names: tuple[str, ...], harm: str, say: Say) -> str:
    """The version of the bad update; by then every endpoint has 1.0 and knows of it."""
    repository = Repository(place, place.run / "packages")
    try:
        known = repository.versions(PACKAGE)
        if not known:
            repository.publish(Built(PACKAGE, GOOD))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: _install_good(place, repository, name), names))
        say(f"{PACKAGE} {GOOD} is installed on {' '.join(names)}")
        version = f"{max((int(float(v)) for v in known), default=1) + 1}.0"
        repository.publish(Built(PACKAGE, version, postinst=HARMS[harm][0]))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(repository.refresh, names))
        return version
    finally:
        repository.close()


def _install_good(place: Place, repository: Repository, name: str) -> None:
    """What an earlier bad update left behind is purged first: dpkg takes no lower version over it."""
    shown = endpoint.execute(place, name, ["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Version}", PACKAGE]).stdout
    if shown.split() not in ([], ["ii", GOOD]):
        endpoint.execute(place, name, ["dpkg", "--purge", "--force-remove-reinstreq", PACKAGE])
    try:
        repository.introduce(name, f"{PACKAGE}={GOOD}")
    except FleetError as error:
        again = f"`./dev fleet powercut {name}`, then `./dev fleet start {name}`"
        raise FleetError(f"{error}\nIf an earlier update cut {name} off its network: {again}.") from None


def _enrolled_id(place: Place, name: str) -> str:
    done = endpoint.execute(place, name, ["cat", "/etc/brakeline/agent.json"])
    if done.returncode:
        raise FleetError(f"{name} is not enrolled: `./dev fleet down`, then `./dev fleet up` with a server.")
    return str(json.loads(done.stdout)["endpoint_id"])


def _await_scans(server: enrol.Server, ids: dict[str, str], version: str) -> None:
    """Every endpoint scans now, and the server has seen it."""
    for endpoint_id in ids.values():
        cli(server, "endpoint", "scan", endpoint_id)
    waiting, deadline = dict(ids), time.monotonic() + SCAN_WAIT_S
    while waiting := {name: i for name, i in waiting.items() if not _offers(server, i, version)}:
        if time.monotonic() > deadline:
            raise FleetError(f"Not told the server of {version} within {SCAN_WAIT_S:.0f} s: {' '.join(waiting)}.")
        time.sleep(1)


def _offers(server: enrol.Server, endpoint_id: str, version: str) -> bool:
    items = cli(server, "endpoint", "updates", endpoint_id)["items"]
    return any(u["name"] == PACKAGE and u["candidate"] == version for u in items)


def _ready(server: enrol.Server, ids: dict[str, str], version: str, harm: str) -> Ready:
    seen = cli(server, "deployment", "preview", "--filter", FILTER, "--select", "names", "--name", PACKAGE)
    left_out = [s for s in seen["plan"]["skipped"] if s["endpoint_id"] in ids.values()]
    url = str(json.loads(server.context.read_bytes())["url"])
    needs_policy = any(s["code"] == "assess_only" for s in left_out)
    count = len(ids) if needs_policy else int(seen["count"])
    skipped = () if needs_policy else tuple(f"{s['hostname']}: {s['reason']}" for s in left_out)
    return Ready(version, harm, count, skipped, needs_policy, url, server.context)


def cli(server: enrol.Server, *words: str) -> Any:
    """The JSON answer of the command line."""
    command = [str(_program()), *words, "--json"]
    return json.loads(run(command, env={**os.environ, "BRAKELINE_CONTEXT": str(server.context)}))


def _program() -> Path:
    return Path(sys.executable).with_name("brakeline")


def told(ready: Ready) -> str:
    """What to do next: lines to paste, and the console's page."""
    program = _program()
    shown = str(program.relative_to(REPOSITORY) if program.is_relative_to(REPOSITORY) else program)
    if ready.context != REPOSITORY / "var/context.json":
        shown += f" --context {ready.context}"
    chosen = f"--filter {FILTER} --select names --name {PACKAGE}"
    asked = {"filter": FILTER, "selection": "names", "names": PACKAGE, "policy": "rehearsal"}
    policy = f"  {shown} policy create fleet --mode patch --filter {FILTER}\n" if ready.needs_policy else ""
    left_out = "".join(f"  left out: {line}\n" for line in ready.skipped)
    return (
        f"\n{PACKAGE} {ready.version} waits. Let it loose, and see it stopped in its first ring:\n{left_out}{policy}"
        f"  {shown} deployment create {chosen} --pace rehearsal --expect {ready.count} --start\n"
        f"  {shown} rollout watch ID        (the id that the line before prints)\n"
        f"or in the console{' (after the policy)' if ready.needs_policy else ''}:\n"
        f"  {ready.url}/rollouts/new?{urlencode(asked, safe=':')}\n"
        f"To mend the endpoint that it reached: {REPAIRS[ready.harm]}\n"
    )
