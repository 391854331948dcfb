"""`./dev up`: one command, and this very machine is assessed, truthfully, with no power to change it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import require

from brakeline.protocol.managers import is_found

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 600  # a bound for a hung test, not a measurement


class Up:
    """`./dev up` on a fresh directory, and the command line that speaks to it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        command = [sys.executable, str(ROOT / "dev"), "up", "--data", str(data), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready = next((line for line in self.process.stdout if line.startswith("ready ")), "").strip()

    def cli(self, *words: str) -> Any:
        environment = os.environ | {"BRAKELINE_CONTEXT": str(self.data / "context.json")}
        command = [sys.executable, "-m", "brakeline.cli", *words, "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def until(seen: Callable[[], Any]) -> Any:
    """What `seen` returns as soon as it is true."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if found := seen():
            return found
        time.sleep(0.2)
    pytest.fail("did not happen within the bound")


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    require(shutil.which("dpkg-query"), "a Debian machine to assess")
    folder = Path(tempfile.mkdtemp(prefix="bl-up-"))
    folder.chmod(0o755)  # so that the unprivileged agent can reach its own part
    made = Up(folder / "data")
    try:
        yield made
    finally:
        made.process.terminate()
        made.process.wait(timeout=WAIT_S)
        shutil.rmtree(folder)


def test_it_says_ready_when_it_can_serve(up: Up) -> None:
    context = json.loads((up.data / "context.json").read_text())
    trust = ssl.create_default_context(cafile=context["ca_file"])
    url = up.ready.removeprefix("ready ")
    with urllib.request.urlopen(f"{url}/readyz", context=trust, timeout=10) as answer:
        assert answer.status == 200


def test_this_machines_packages_are_what_dpkg_says(up: Up) -> None:
    (endpoint,) = until(lambda: [e for e in up.cli("endpoint", "list")["items"] if e["inventory_ms"]])
    listed = up.cli("endpoint", "packages", endpoint["id"])["items"]
    query = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Package}\t${Architecture}\t${Version}\n"]
    lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    installed = {tuple(line.split("\t")[1:]) for line in lines if line.split("\t")[0].strip()[1] != "n"}
    managed = [p for p in listed if not is_found(p["architecture"])]
    assert {(p["name"], p["architecture"], p["version"]) for p in managed} == installed
    assert all(p["where"] for p in listed if p not in managed)  # beside them: what lies on the disk, with its place


def test_its_findings_name_cves_and_what_closes_them(up: Up) -> None:
    (endpoint,) = up.cli("endpoint", "list")["items"]
    summary = until(lambda: up.cli("exposure", "summary"))
    assert summary
    pending = up.cli("endpoint", "updates", endpoint["id"])
    assert "items" in pending


def test_its_mode_is_assess_and_there_is_no_helper(up: Up) -> None:
    (endpoint,) = up.cli("endpoint", "list")["items"]
    told = up.cli("policy", "explain", endpoint["id"])
    assert told["settings"]["mode"] == "assess"
    assert told["why"]
    assert json.loads((up.data / "agent" / "agent.json").read_text())["helper_socket"] == ""


def test_the_agent_runs_unprivileged(up: Up) -> None:
    require(os.geteuid() == 0, "root, to see that it is dropped")
    bundle = str(up.data / "agent")
    users = subprocess.run(["ps", "-ewwo", "user:20,args"], capture_output=True, text=True, check=True).stdout
    running = [line for line in users.splitlines() if bundle in line]
    assert running
    assert {line.split()[0] for line in running} == {"nobody"}


def test_it_ends_in_order(up: Up) -> None:
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(timeout=5) == 0  # an interface that others rely on
    left = subprocess.run(["pgrep", "-f", str(up.data)], capture_output=True, text=True, check=False).stdout
    assert left == ""
