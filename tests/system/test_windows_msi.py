"""Windows Installer packages in wine: installed, upgraded, taken away, and read from the registry by our own reader.

Packages are built here (wixl). Windows Installer, the registry and its two views are wine's, not Windows'.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import require
from tests.support_windows import Machine, dos

from brakeline.agent.providers.windows.exits import msi

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
SOURCE = Path(__file__).parents[2] / "src"
UPGRADE_CODE = "{7C1E9D4A-52B3-4A86-9F0E-6D2B8A41C0F3}"
CODES = {"1.0.0": "{1B7A3E55-0D7C-4C55-8F11-93B2D5A6E001}", "1.1.0": "{1B7A3E55-0D7C-4C55-8F11-93B2D5A6E002}"}
WXS = """<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Name="Acme Reader" Id="{code}" UpgradeCode="{upgrade}" Language="1033" Version="{version}"
    Manufacturer="Acme">
    <Package InstallerVersion="200" Compressed="yes" Manufacturer="Acme" />
    <Media Id="1" Cabinet="a.cab" EmbedCab="yes" />
    <Upgrade Id="{upgrade}">
      <UpgradeVersion Minimum="0.0.1" Maximum="{version}" IncludeMinimum="yes" IncludeMaximum="no" Property="OLD" />
    </Upgrade>
    <InstallExecuteSequence><RemoveExistingProducts After="InstallInitialize" /></InstallExecuteSequence>
    <Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFilesFolder">
      <Directory Id="INSTALLDIR" Name="AcmeReader"><Component Id="Main" Guid="{code}">
        <File Id="F" Name="version.txt" Source="{file}" KeyPath="yes" />
      </Component></Directory></Directory></Directory>
    <Feature Id="All" Level="1"><ComponentRef Id="Main" /></Feature>
  </Product>
</Wix>
"""
LOOK = """
import json, sys
sys.path.insert(0, {source!r})
from dataclasses import asdict
from brakeline.agent.providers.windows.pending import reboot_need
from brakeline.agent.providers.windows.programs import programs
from brakeline.agent.providers.windows.registry import entries, restarts, upgrades
found = [asdict(p) for p in programs(entries(), upgrades())]
print(json.dumps({{"programs": found, "entries": len(entries()), "restart": reboot_need(restarts()).reasons}}))
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    require(shutil.which("wine"), "wine (Debian package wine64)")
    require(shutil.which("wixl"), "wixl")
    made = Machine(tmp_path_factory.mktemp("wine-msi", numbered=True) / "prefix")
    try:
        made.make()
        yield made
    finally:
        made.power_cut()
        shutil.rmtree(made.prefix, ignore_errors=True)  # 700 MB


def package(directory: Path, version: str) -> Path:
    file, source, out = (directory / f"{version}.{end}" for end in ("txt", "wxs", "msi"))
    file.write_text(version)
    source.write_text(WXS.format(code=CODES[version], upgrade=UPGRADE_CODE, version=version, file=file.name))
    subprocess.run(["wixl", "-o", str(out), source.name], cwd=directory, check=True, capture_output=True, timeout=60)
    return out


def started(machine: Machine, *words: str) -> int:
    """The exit code of a program of this machine."""
    done = subprocess.run(
        ["wine", *words], env=machine.environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
        check=False,
    )  # fmt: skip
    return done.returncode


def look(machine: Machine, before: str = "") -> dict[str, Any]:
    """What our reader finds, under Windows' Python, after the same process has done something else."""
    done = subprocess.run(
        machine.python("-I", "-c", before + LOOK.format(source=dos(SOURCE))), env=machine.environment,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def acme(machine: Machine) -> list[dict[str, Any]]:
    return [p for p in look(machine)["programs"] if p["publisher"] == "Acme"]


def test_installed_upgraded_and_taken_away(machine: Machine, tmp_path: Path) -> None:
    assert acme(machine) == []
    for version in CODES:
        code = started(machine, "msiexec", "/i", dos(package(tmp_path, version)), "/qn", "/norestart")
        assert msi(code) == (None, False)
        (found,) = acme(machine)  # one, though both views may show it, and the former version is gone
        assert (found["name"], found["version"], found["made_by"]) == ("Acme Reader", version, "msi")
        assert (found["product"], found["upgrade"]) == (CODES[version], UPGRADE_CODE)
    again = started(machine, "msiexec", "/i", dos(tmp_path / "nowhere.msi"), "/qn")
    told, _ = msi(again)
    assert told is not None, again
    assert msi(started(machine, "msiexec", "/x", CODES["1.1.0"], "/qn")) == (None, False)
    assert acme(machine) == []


def test_a_restart_that_is_due(machine: Machine) -> None:
    assert look(machine)["restart"] == []
    write = (
        "import winreg as w; m = w.HKEY_LOCAL_MACHINE\n"
        r"w.CreateKeyEx(m, r'SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending')"
        "\n"
        r"k = w.CreateKeyEx(m, r'SYSTEM\CurrentControlSet\Control\Session Manager', 0, w.KEY_WRITE)"
        "\n"
        r"w.SetValueEx(k, 'PendingFileRenameOperations', 0, w.REG_MULTI_SZ, [r'\??\C:\old.dll', r'\??\C:\new.dll'])"
    )  # by the process that looks: wine itself renames files, and forgets the value, when its machine starts again
    assert look(machine, write)["restart"] == [
        "servicing of Windows waits for a restart", r"files wait to be replaced or removed: C:\old.dll",
    ]  # fmt: skip
