"""Whatever programs write into the registry and servers into answers: what leaves is of our grammar, or is left out."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from brakeline.agent import naming
from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.windows.fake import FakeBox
from brakeline.agent.providers.windows.here import here
from brakeline.agent.providers.windows.listed import Catalogue
from brakeline.agent.providers.windows.programs import Entry, programs
from brakeline.agent.providers.windows.provider import ProgramsProvider
from brakeline.agent.scan import read_packages, write_packages
from brakeline.core.clock import ManualClock

PIECES = (
    "Acme",
    "\t",
    "\n",
    "\0",
    "\ud800",
    "\u202e",
    '"',
    "%TEMP%",
    "..",
    "/",
    "\\",
    "ß",
    "漢字",
    " ",
    "1.0",
    "{",
    ":",
    "-",
)
VALUES = ("DisplayName", "DisplayVersion", "Publisher", "WindowsInstaller", "UninstallString", "SystemComponent")


def junk(dice: random.Random) -> object:
    kind = dice.randrange(6)
    if kind == 0:
        return dice.choice((0, 1, -1, 2**40, b"\xff\x00", None, ["a", "b"]))
    return "".join(dice.choice(PIECES) for _ in range(dice.randrange(12))) * (2000 if kind == 1 else 1)


def entry(dice: random.Random) -> Entry:
    key = "".join(dice.choice(PIECES) for _ in range(4)) or "x"
    user = dice.choice(("", "S-1-5-21-1-2-3-1001"))
    return Entry(key, {name: junk(dice) for name in VALUES if dice.random() < 0.8}, dice.choice((64, 32)), user)


@pytest.mark.parametrize("seed", range(20))
def test_every_program_of_a_registry_full_of_junk_is_legal(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    entries = [entry(dice) for _ in range(60)]
    found = here(programs(entries), Catalogue())
    for h in found:
        p = h.package
        assert naming.illegal("windows", p.name, p.architecture, [p.version]) == ""
    assert len({h.package.key for h in found}) == len(found) == len(programs(entries))
    box = FakeBox({str(i): e for i, e in enumerate(entries)})
    packages = ProgramsProvider(ManualClock(), Machine(root=tmp_path), box=box).inventory()
    assert len(packages) == len(found)
    write_packages(tmp_path / "packages.tsv", 7, packages)
    assert read_packages(tmp_path / "packages.tsv") == (7, packages)
