"""The real agent on a Windows endpoint in wine, enrolled with a real server on this host (tests/support_windows.py)."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support_windows import FOLDER, Machine, OnWindows
from tools.badreleases import endpoints
from tools.badreleases.cell import Cell

from brakeline.releases import zipapp
from brakeline.releases.build import ENTRY, Built, build_release, bundled

KNOBS: dict[str, Any] = endpoints.KNOBS | {"ready_s": 40, "healthy_s": 60, "check_s": 20, "stop_s": 5}  # wine is slow
COUNT = 'import os, sys\nopen(os.environ["HOME"] + "/bad-release-runs", "a").write("{version}\\n")\n'


@dataclass
class AgentOnWindows(OnWindows, endpoints.Endpoint):
    """An enrolled endpoint: `endpoints.Endpoint`'s words, Windows' processes."""

    machine: Machine = field(default_factory=lambda: Machine(Path("/nonexistent")))

    @property
    def root(self) -> Path:
        return self.base / "root"

    @property
    def home(self) -> Path:
        return self.base / "home"

    def enrol_here(self, cell: Cell, seed: Built, *more: str) -> str:
        """As an installer would: launcher, pinned root, identity, a first release. What the agent said."""
        for name in ("root", "etc", "home"):
            (self.base / name).mkdir()
        (self.base / "launcher.pyz").write_bytes(zipapp.build(product="launcher"))
        (self.base / "etc/root.json").write_text(str(cell.ask("GET", "/releases/root")["root"]))
        shutil.copy(cell.context["ca_file"], self.base / "ca.pem")
        with tarfile.open(fileobj=io.BytesIO(seed.bundle)) as tar:
            tar.extract("agent.pyz", self.base, filter="data")
        words = ("--server", cell.url, "--token", cell.token(1), "--ca", f"{FOLDER}\\ca.pem")
        said = self.agent("enrol", *words, *more)
        arguments = ["run", "--config", f"{FOLDER}\\etc\\agent.json", "--state", f"{FOLDER}\\home"]
        own = {"knobs": KNOBS, "budget": endpoints.BUDGET, "arguments": arguments}
        (self.base / "etc/launcher.json").write_text(json.dumps(own))
        self.adopt(seed.bundle)
        return said

    def agent(self, verb: str, *words: str, code: int = 0) -> str:
        """A verb of the agent for people; what it prints."""
        places = ("--config", f"{FOLDER}\\etc\\agent.json", "--state", f"{FOLDER}\\home")
        done = subprocess.run(
            self.machine.python("-I", f"{FOLDER}\\agent.pyz", verb, *words, *places), env=self.machine.environment,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=240, check=False,
        )  # fmt: skip
        text = (done.stdout + done.stderr).decode(errors="replace").replace("\r", "")
        assert done.returncode == code, text[-2000:]
        return text

    def kill_agent(self) -> None:
        """As the task manager does it."""
        for pid in self.pids():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def log(self) -> str:
        return (self.base / "log").read_text(errors="replace")

    def must(self, true: Any, seconds: float, what: str) -> None:
        """It becomes true in time."""
        assert self.until(true, seconds), f"{what}: {self.report()}\n{self.log()[-4000:]}"


@dataclass
class World:
    """One server, one endpoint on it; every release is newer than the one before."""

    cell: Cell
    host: AgentOnWindows
    seed: Built
    said: str  # at enrolment
    number: int

    def good(self) -> Built:
        """A release of this very source."""
        self.number += 1
        return build_release("agent", f"{self.number}.0.0", self.number)

    def bad(self, program: str) -> Built:
        """A release that counts its executions and then does what the program says."""
        self.number += 1
        version = f"{self.number}.0.0+bad"
        text = COUNT.replace("{version}", version) + program
        return bundled("agent", version, self.number, {"agent.pyz": text.encode()}, ENTRY["agent"])

    def release(self, built: Built) -> str:
        """Publish and promote; the rollout's id."""
        return self.cell.promote(self.cell.publish(built.bundle))

    def endpoint(self) -> dict[str, Any]:
        """What the server says about it."""
        (item,) = self.cell.ask("GET", "/endpoints")["items"]
        found: dict[str, Any] = self.cell.ask("GET", f"/endpoints/{item['id']}")
        return found


def _number_shipped(cell: Cell) -> int:
    """The highest number among the releases that came with the server, once it has published them."""
    deadline = time.monotonic() + 60
    while True:
        found = cell.ask("GET", "/releases")["items"]
        if {r["product"] for r in found} >= {"agent", "launcher"}:
            return max(int(r["sequence"]) for r in found)
        assert time.monotonic() < deadline, found
        time.sleep(0.3)


@contextlib.contextmanager
def enrolled(machine: Machine, *words: str) -> Iterator[World]:
    """A server and an endpoint that runs its first release; gone afterwards. `words`: more of its enrolment."""
    place = Path(tempfile.mkdtemp(prefix="brakeline-windows-"))
    base = machine.prefix / "drive_c" / "endpoint"
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    cell, host = Cell(place), AgentOnWindows("w0", base, "", machine=machine)
    try:
        cell.start()
        number = _number_shipped(cell) + 1
        seed = build_release("agent", f"{number}.0.0", number)
        cell.publish(seed.bundle)
        world = World(cell, host, seed, host.enrol_here(cell, seed, *words), number)
        host.start()
        host.must(lambda: host.report().running == seed.release_id, 60, "the first release runs")
        yield world
    finally:
        host.power_cut()
        cell.stop()
        shutil.rmtree(place, ignore_errors=True)
