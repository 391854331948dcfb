"""The agent as endpoints get it: the zipapp, run by Debian's python3, against a small cell over real TLS."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support import require
from tests.support_cell import TOKEN, Cell, Pki, serving

from brakeline.releases import zipapp

PYTHON = "/usr/bin/python3"
SCAN_S_MAX = 120.0  # a full look at nice 19 beside other work; 4 s on an idle machine


@dataclass
class Machine:
    """One endpoint's files and processes."""

    home: Path
    bundle: Path
    pki: Pki
    looked: Path | None = None  # what a full look at this machine found; see `looked`
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def command(self, *verb: str) -> list[str]:
        return [PYTHON, "-I", str(self.bundle), *verb, "--config", str(self.config), "--state", str(self.state)]

    @property
    def config(self) -> Path:
        return self.home / "agent.json"

    @property
    def state(self) -> Path:
        return self.home / "state"

    def call(self, *verb: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*verb), capture_output=True, text=True, timeout=60, check=False)

    def enrol(self, url: str, token: str = TOKEN, *more: str, proxy: str = "none") -> subprocess.CompletedProcess[str]:
        """Without a proxy, whatever the environment of the tests names."""
        more = (*more, "--proxy", proxy)
        done = self.call("enrol", "--server", url, "--token", token, "--ca", str(self.pki.ca_file), *more)
        if self.looked is not None and done.returncode == 0:
            (self.state / "work").mkdir(mode=0o700, exist_ok=True)
            shutil.copy(self.looked, self.state / "work")
        return done

    def run(self, *prefix: str) -> subprocess.Popen[str]:
        command = [*prefix, *self.command("run")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.processes.append(process)
        return process

    def status(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.call("status", "--json").stdout)
        return shown


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require(shutil.which(PYTHON), "Debian's python3")
    path = tmp_path_factory.mktemp("bundle") / "brakeline-agent.pyz"
    path.write_bytes(zipapp.build())
    return path


@pytest.fixture(scope="session")
def looked(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One full look at this machine for all agents of the session, made by the product's own `scan`.

    Agents take it for a look of their own of a moment ago: they check its stamp, and look anew if anything changed.
    """
    state = tmp_path_factory.mktemp("looked")
    command = [PYTHON, "-I", str(bundle), "scan", "--full", "--state", str(state)]
    subprocess.run(command, capture_output=True, timeout=SCAN_S_MAX, check=True)
    return state / "work" / "looked.json"


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    with serving(Cell(), Pki(tmp_path)) as cell:
        yield cell


@pytest.fixture
def machine(tmp_path: Path, bundle: Path, cell: Cell, looked: Path) -> Iterator[Machine]:
    """Not enrolled yet; depends on `cell` for the authority's file."""
    home = tmp_path / "machine"
    home.mkdir()
    pki = object.__new__(Pki)
    pki.ca_file = tmp_path / "ca.pem"
    pki.ca_pem = pki.ca_file.read_text()
    machine = Machine(home, bundle, pki, looked)
    yield machine
    for process in machine.processes:
        if process.poll() is None:
            process.kill()
        process.communicate()
