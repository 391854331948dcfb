"""Packages of Windows Installer, built here, and a `Box` that is wine: our real one, under Windows' Python, by pipe.

Windows Installer, the registry and its two views are wine's, not Windows'. One machine serves a whole run of tests.
"""

from __future__ import annotations

import atexit
import base64
import json
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import require
from tests.support_windows import Machine, dos

from brakeline.agent.providers.windows.box import Ended
from brakeline.agent.providers.windows.pending import Hive
from brakeline.agent.providers.windows.programs import Entry

SOURCE = Path(__file__).parents[1] / "src"
WXS = """<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Name="{name}" Id="{product}" UpgradeCode="{upgrade}" Language="1033" Version="{version}"
    Manufacturer="Test">
    <Package InstallerVersion="200" Compressed="yes" Manufacturer="Test" />
    <Media Id="1" Cabinet="a.cab" EmbedCab="yes" />
    <Upgrade Id="{upgrade}">
      <UpgradeVersion Minimum="0.0.1" Maximum="{version}" IncludeMinimum="yes" IncludeMaximum="no" Property="OLD" />
    </Upgrade>
    <InstallExecuteSequence><RemoveExistingProducts After="InstallInitialize" /></InstallExecuteSequence>
    <Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFilesFolder">
      <Directory Id="INSTALLDIR" Name="{name}"><Component Id="Main" Guid="{product}">
        <File Id="F" Name="version.txt" Source="{file}" KeyPath="yes" />
      </Component></Directory></Directory></Directory>
    <Feature Id="All" Level="1"><ComponentRef Id="Main" /></Feature>
  </Product>
</Wix>
"""
SERVE = """
import base64, json, sys
sys.path.insert(0, {source!r})
from dataclasses import asdict
from pathlib import Path
from brakeline.agent.providers.windows.real import RealBox
box = RealBox()
for line in sys.stdin:
    verb, *words = json.loads(line)
    try:
        if verb == "run":
            ended = box.run(*words)
            answer = [ended.code, base64.b64encode(ended.output).decode(), ended.timed_out]
        elif verb == "entries":
            answer = [asdict(e) for e in box.entries()]
        else:
            answer = getattr(box, verb)()
    except OSError as e:
        answer = {{"error": str(e)}}
    print(json.dumps(answer, default=str), flush=True)
"""


def build(place: Path, name: str, version: str, product: str, upgrade: str) -> bytes:
    """One package."""
    require(shutil.which("wixl"), "wixl")
    with tempfile.TemporaryDirectory(dir=place) as work:
        file, source, out = (Path(work) / f"p.{end}" for end in ("txt", "wxs", "msi"))
        file.write_text(version)
        source.write_text(
            WXS.format(name=name, product=product, upgrade=upgrade, version=version, file=file.name), encoding="utf-8"
        )
        subprocess.run(["wixl", "-o", str(out), source.name], cwd=work, check=True, capture_output=True, timeout=60)
        return out.read_bytes()


class WineBox:
    """The port, served by `RealBox` in wine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.process = subprocess.Popen(
            machine.python("-I", "-c", SERVE.format(source=dos(SOURCE))), env=machine.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, *words: object) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read().decode(errors="replace")[-3000:] if self.process.stderr else ""
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise OSError(answer["error"])
        return answer

    def entries(self) -> tuple[Entry, ...]:
        return tuple(Entry(e["key"], e["values"], e["view"], e["user"]) for e in self.ask("entries"))

    def upgrades(self) -> dict[str, str]:
        found: dict[str, str] = self.ask("upgrades")
        return found

    def restarts(self) -> Hive:
        found: Hive = self.ask("restarts")
        return found

    def busy(self) -> str:
        return str(self.ask("busy"))

    def native(self, path: Path) -> str:
        return dos(path)

    def run(self, line: str, timeout_s: float) -> Ended:
        code, output, timed_out = self.ask("run", line, timeout_s)
        return Ended(code, base64.b64decode(output), timed_out)

    def forget(self, *products: str) -> None:
        """Take away what an earlier test has left."""
        for key in {e.key for e in self.entries()} & set(products):
            self.run(f"msiexec.exe /x {key} /qn /norestart", 120)


_serving: list[WineBox] = []


def box() -> WineBox:
    """One machine for all tests of this run, gone when that ends; its port anew where a test has cut its power."""
    if not _serving or _serving[0].process.poll() is not None:
        _serving[:] = [WineBox(_machine())]
    return _serving[0]


@cache
def _machine() -> Machine:
    require(shutil.which("wine"), "wine (Debian package wine64)")
    place = Path(tempfile.mkdtemp(prefix="brakeline-wine-msi-"))
    machine = Machine(place / "prefix")

    def gone() -> None:
        machine.power_cut()
        shutil.rmtree(place, ignore_errors=True)  # 700 MB

    atexit.register(gone)
    machine.make()
    return machine
