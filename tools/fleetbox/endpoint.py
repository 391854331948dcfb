"""One endpoint: its disk, boot, commands inside, power cut. A power cut is SIGKILL for every process of it at once;
the disk (a tmpfs outside of the endpoint) keeps what was written, and `boot` starts it again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from tools.fleetbox import cgroups
from tools.fleetbox.managers import APT
from tools.fleetbox.process import children, run
from tools.fleetbox.settings import (
    LAUNCHER_KNOBS,
    LOCAL_REPOSITORY_HOST,
    NETNS_ROOT,
    PROXY_PORT,
    FleetError,
    Place,
)
from tools.fleetbox.state import EndpointState

BOOT_WAIT_S = 60.0
LOG_TAIL = 1500
INSIDE_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
)  # fmt: skip


def make_disk(place: Place, endpoint: EndpointState) -> None:
    """A tmpfs of limited size with the files in which this endpoint differs from the others."""
    directory = place.endpoint(endpoint.name)
    for name in ("root", "disk"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    options = f"size={endpoint.disk_mib}m,mode=755"
    run(["mount", "-t", "tmpfs", "-o", options, place.namespace(endpoint.name), str(directory / "disk")])
    (directory / "disk/work").mkdir()
    upper = directory / "disk/upper"
    (upper / "etc/apt/apt.conf.d").mkdir(parents=True)
    (upper / "etc/brakeline").mkdir()
    named = "" if endpoint.manager == APT else f"{endpoint.gateway} {LOCAL_REPOSITORY_HOST}\n"
    machine_id = hashlib.sha256(f"{place.name}/{endpoint.name}".encode()).hexdigest()[:32]
    files = {
        "etc/hostname": f"{endpoint.name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n{endpoint.address} {endpoint.name}\n{named}",
        "etc/machine-id": f"{machine_id}\n",
        "etc/apt/apt.conf.d/92proxy": f'Acquire::http::Proxy "http://{endpoint.gateway}:{PROXY_PORT}";\n',
        "etc/brakeline/launcher.json": json.dumps({"knobs": LAUNCHER_KNOBS}),
    }
    for name, text in files.items():
        (upper / name).write_text(text)


def copy_disk(place: Place, source: EndpointState, clone: EndpointState) -> None:
    """Give `clone` the very disk of `source`, as a snapshot of a virtual machine would: same keys, same machine id."""
    from_upper = place.endpoint(source.name) / "disk/upper"
    to_disk = place.endpoint(clone.name) / "disk"
    shutil.rmtree(to_disk / "upper")
    run(["cp", "-a", str(from_upper), str(to_disk / "upper")])


def boot(place: Place, endpoint: EndpointState) -> None:
    """Start it; returns at once (`wait_up` waits)."""
    directory = place.endpoint(endpoint.name)
    group = place.namespace(endpoint.name)
    if cgroups.members(group):
        raise FleetError(f"{endpoint.name} is running already.")
    cgroups.create(group)
    spec = {
        "name": endpoint.name,
        "directory": str(directory),
        "lower": ":".join(endpoint.layers),
        "namespace": str(NETNS_ROOT / group),
        "mode": endpoint.mode,
        "groups": [str(root / group / "cgroup.procs") for root in cgroups.hierarchies()],
    }
    launcher = Path(__file__).with_name("launcher.py")
    with (directory / "console.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", str(launcher), json.dumps(spec)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
        )  # fmt: skip
    (directory / "launcher.pid").write_text(str(process.pid))


def power_cut(place: Place, name: str) -> None:
    """Every process of it dies now, with nothing flushed and nobody told.

    They are stopped first: else a package manager that lives a moment longer than its script writes that it failed.
    """
    cgroups.stop_all(place.namespace(name))
    cgroups.kill_all(place.namespace(name))


def init_pid(place: Place, name: str) -> int:
    """This machine's pid of the endpoint's PID 1; 0 when it is not running."""
    try:
        launcher = int((place.endpoint(name) / "launcher.pid").read_text())
    except (OSError, ValueError):
        return 0
    for nspawn in children(launcher):
        for init in children(nspawn):
            return init
    return 0


def inside(place: Place, name: str, command: list[str]) -> list[str]:
    """The command line that runs `command` as root in the endpoint; FleetError when it is off."""
    init = init_pid(place, name)
    if not init:
        raise FleetError(f"{name} is not running: start it with `./dev fleet start {name}`.")
    return [
        "nsenter",
        "-t",
        str(init),
        "-m",
        "-p",
        "-u",
        "-i",
        "-n",
        "-r",
        "-w",
        "env",
        "-i",
        *INSIDE_ENVIRONMENT,
        *command,
    ]


def execute(
    place: Place, name: str, command: list[str], *, stdin: IO[bytes] | int | None = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    """Run `command` inside and capture its output."""
    return subprocess.run(inside(place, name, command), stdin=stdin, capture_output=True, text=True, check=False)


def condition(place: Place, endpoint: EndpointState) -> str:
    """off | starting | what systemd says of itself (running, degraded) | plain."""
    if not init_pid(place, endpoint.name):
        return "off"
    if endpoint.mode == "plain":
        return "plain"
    done = execute(place, endpoint.name, ["systemctl", "is-system-running"])
    return done.stdout.strip() or "starting"


def wait_up(place: Place, endpoint: EndpointState) -> str:
    """Its condition once it is up; FleetError with the end of its console when it does not come up."""
    end = time.monotonic() + BOOT_WAIT_S
    while (now := condition(place, endpoint)) not in ("running", "degraded", "plain"):
        if time.monotonic() > end:
            console = (place.endpoint(endpoint.name) / "console.log").read_text(errors="replace")[-LOG_TAIL:]
            raise FleetError(f"{endpoint.name} is '{now}' {BOOT_WAIT_S:.0f} s after its start. Its console:\n{console}")
        time.sleep(0.1)
    return now
