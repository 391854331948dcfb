"""A release whose entry is a program of its own, made by PyInstaller: published, taken by real launchers, confirmed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import require
from tests.system.test_release_rollout import until_told
from tools.badreleases.run import World, world

from brakeline.releases import onedir
from brakeline.releases.build import Built

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def release() -> Built:
    missing = [tool for tool in onedir.NEEDED if shutil.which(tool) is None]
    require(not missing, f"{', '.join(missing)} (Debian package binutils): PyInstaller's tools")
    return onedir.agent_release("2.0.0", 40)


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    require(os.geteuid() == 0 and shutil.which("unshare") is not None, "root and unshare: endpoints are namespaces")
    with world(print, 2) as made:
        yield made


def test_built_again_elsewhere_it_has_the_same_bytes(
    release: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    before = os.umask(0o077)
    try:
        again = onedir.agent_release("2.0.0", 40)
    finally:
        os.umask(before)
    assert again.bundle == release.bundle
    assert (again.sbom, again.provenance) == (release.sbom, release.provenance)


def test_a_launcher_runs_it_out_of_its_own_tree_and_the_cell_hears_of_it(release: Built, running: World) -> None:
    cell, endpoints = running.cell, running.endpoints
    rollout_id = cell.promote(cell.publish(release.bundle))
    until_told(cell, rollout_id, "1 of 1 treated endpoints are proven", 150)
    (canary,) = [e for e in endpoints if e.report().confirmed == release.release_id]
    programs = {os.readlink(f"/proc/{pid}/exe") for pid in _processes(canary.user)}
    own = canary.base / "root" / "versions" / release.release_id / onedir.AGENT
    assert str(own) in programs, "no Python of this machine runs it"
    (known,) = [e for e in cell.ask("GET", "/endpoints")["items"] if e["agent_version"] == "2.0.0"]
    assert known["state"] == "active"


def _processes(user: str) -> list[str]:
    uid = next(
        line.split(":")[2] for line in Path("/etc/passwd").read_text().splitlines() if line.startswith(f"{user}:")
    )
    return [p.name for p in Path("/proc").glob("[0-9]*") if p.exists() and str(p.stat().st_uid) == uid]
