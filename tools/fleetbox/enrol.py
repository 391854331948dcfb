"""Enrolling endpoints by the very one-liner that the console shows.

Only the address is exchanged: endpoints reach the server through the relay on their region's gateway. What is
trusted, the pinned key in the one-liner and the authority inside the script, does not depend on the address.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tools.fleetbox.endpoint import execute
from tools.fleetbox.process import run
from tools.fleetbox.settings import FleetError, Place
from tools.fleetbox.state import EndpointState

AT_ONCE = 3  # installing is processor-bound; more at once only makes each slower
OUTPUT_TAIL = 1200
TAG = "fleet-in-a-box"  # so that a policy or a filter can mean these endpoints and no others


@dataclass(frozen=True, slots=True)
class Server:
    """The server that a fleet enrols at, as its context file tells."""

    port: int
    context: Path


def read_server(data: Path) -> Server:
    """The server running on `data`; FleetError when there is none."""
    context = (data / "context.json").resolve()
    try:
        port = urlsplit(json.loads(context.read_bytes())["url"]).port
    except (OSError, ValueError, KeyError) as error:
        raise FleetError(
            f"No running server on {data} ({error}): start one with `./dev up`, name its directory with --data, or "
            "start the endpoints alone with --no-enrol."
        ) from None
    return Server(port or 443, context)


def one_liner(server: Server, region: str, uses: int) -> str:
    """A fresh one-liner for `uses` endpoints of `region`, as the console shows it."""
    program = str(Path(sys.executable).with_name("brakeline"))
    command = [program, "enrol", "token", "create", "--region", region, "--uses", str(uses), "--tag", TAG, "--json"]
    answer = json.loads(run(command, env={**os.environ, "BRAKELINE_CONTEXT": str(server.context)}))
    return str(answer["one_liner"])


def with_address(line: str, host: str, port: int) -> str:
    """`line` dialling host:port instead of the server's own address; FleetError when it dials nothing."""
    changed, count = re.subn(r"https://[^/\s'\"]+", f"https://{host}:{port}", line)
    if not count:
        raise FleetError(f"the one-liner names no https address: {line}")
    return changed


def enrol(
    place: Place, server: Server, endpoints: tuple[EndpointState, ...], say: Callable[[str], None]
) -> tuple[str, ...]:
    """Run the one-liner on every endpoint; names of those on which it failed, each explained through `say`."""
    regions = sorted({endpoint.region for endpoint in endpoints})
    lines = {region: one_liner(server, region, sum(e.region == region for e in endpoints)) for region in regions}

    def one(endpoint: EndpointState) -> str:
        command = with_address(lines[endpoint.region], endpoint.gateway, server.port)
        # a person sees what curl says; we need its exit code as well, which a plain pipe would swallow
        done = execute(place, endpoint.name, ["bash", "-o", "pipefail", "-c", command])
        if done.returncode:
            say(f"{endpoint.name}: enrolment failed ({done.returncode}):\n{(done.stdout + done.stderr)[-OUTPUT_TAIL:]}")
            return endpoint.name
        return ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return tuple(name for name in pool.map(one, endpoints) if name)
