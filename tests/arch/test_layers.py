"""The layering holds, and the linter would see a violation of each contract: one is planted for every contract.

All are planted in one tree and linted at once; each must be told by its own contract, as the import that was planted.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# contract name in .importlinter -> (module file that gets the line, the line)
PLANTED = {
    "Parts import downwards only": ("fleet/model.py", "import brakeline.rollout.model"),
    "The agent is core, trust, protocol and the standard library": ("agent/decide.py", "import msgspec"),
    "The launcher is core, trust, the words of the protocol and the standard library": (
        "launcher/disk.py",
        "import brakeline.agent.files",
    ),
    "The server never imports the agent, only its bundle of files": (
        "fleet/service.py",
        "import brakeline.agent.decide",
    ),
    "Words and decisions do no I/O and read no time": ("rollout/brake.py", "import time"),
    "What the executor keeps reads nothing by itself": ("rollout/kept.py", "import brakeline.platform.bus"),
    "Simulation drives the pure parts and does no I/O": ("sim/__init__.py", "import brakeline.rollout.store"),
    "tenancy's store is private": ("fleet/service.py", "import brakeline.tenancy.store"),
    "catalog's store is private": ("remediation/service.py", "import brakeline.catalog.store"),
    "fleet's store is private": ("exposure/service.py", "import brakeline.fleet.store"),
    "events' store is private": ("exposure/service.py", "import brakeline.events.store"),
    "cells' store is private": ("rollout/conducting.py", "import brakeline.cells.store"),
    "advisories' store is private": ("exposure/service.py", "import brakeline.advisories.store"),
    "releases' store is private": ("rollout/service.py", "import brakeline.releases.store"),
    "exposure's store is private": ("remediation/service.py", "import brakeline.exposure.store"),
    "sbom's store is private": ("console/desk_sbom.py", "import brakeline.sbom.store"),
    "runlog's store is private": ("console/desk_runs.py", "import brakeline.runlog.store"),
    "rollout's store is private": ("remediation/service.py", "import brakeline.rollout.store"),
    "remediation's store is private": ("server/wiring.py", "import brakeline.remediation.store"),
    "drills' store is private": ("server/wiring.py", "import brakeline.drills.store"),
}


def lint(root: Path) -> tuple[int, str]:
    """Exit code and output of the import linter over the tree at `root`."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "NO_COLOR": "1", "COLUMNS": "300"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the linter says of each contract that is broken in a tree with all violations."""
    root = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__", "static", "seed"))
    shutil.copy(ROOT / ".importlinter", root)
    for file, line in PLANTED.values():
        module = root / "src" / "brakeline" / file
        module.write_text(module.read_text() + f"\n{line}  # planted\n")
    code, output = lint(root)
    assert code != 0
    broken = re.findall(r"^(.+?) BROKEN(?: \(\d+ ignored imports?\))?$", output, re.MULTILINE)
    sections = output.partition("Broken contracts")[2]
    starts = {name: sections.index(f"\n{name}\n") for name in broken}
    ends = sorted([*starts.values(), len(sections)])
    return {name: sections[at : ends[ends.index(at) + 1]] for name, at in starts.items()}


def test_every_contract_is_kept() -> None:
    code, output = lint(ROOT)
    assert code == 0, output


def test_every_contract_has_a_planted_violation() -> None:
    names = re.findall(r"^name = (.+)$", (ROOT / ".importlinter").read_text(), re.MULTILINE)
    assert sorted(names) == sorted(PLANTED)


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_violation_is_seen(told: dict[str, str], contract: str) -> None:
    file, line = PLANTED[contract]
    importer = "brakeline." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert f"{importer} -> {line.removeprefix('import ')} " in told[contract]
