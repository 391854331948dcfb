"""The contract's worlds of Windows: `windows` and `winget` in memory, `msi` with real packages in wine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests import support_msi

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.fake import Version
from brakeline.agent.providers.model import Provider
from brakeline.agent.providers.windows.fake import FakeBox, package
from brakeline.agent.providers.windows.fake_winget import FakeWinget
from brakeline.agent.providers.windows.provider import HOLDS, LIST, ProgramsProvider
from brakeline.agent.providers.windows.winget_cli import Winget
from brakeline.agent.providers.windows.winget_provider import WingetProvider

ZEROS: Final = ".0.0"


def code(name: str, number: str) -> str:
    """A GUID for each package and version, always the same."""
    h = hashlib.sha256(f"{name} {number}".encode()).hexdigest().upper()
    return f"{{{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:32]}}}"


class Windows:
    """An endpoint whose owner lists packages that lie in a folder."""

    foretells_way_back = True
    kind = "x64"

    def __init__(self, work: Path) -> None:
        self.work, self.depot = work, work / "depot"
        self.depot.mkdir(parents=True)
        self.rows: list[dict[str, Any]] = []
        self.provider: Provider = self.make()

    def make(self) -> Provider:
        self.box = FakeBox()
        return ProgramsProvider(SystemClock(), Machine(root=self.work / "root"), box=self.box, pause=lambda _: None)

    def v(self, version: str, name: str = "p") -> str:
        return version + ZEROS

    def bare(self, version: str) -> str:
        return version.removesuffix(ZEROS)

    def name(self, name: str) -> str:
        return name

    own = plain = name

    def publish(self, *versions: Version) -> None:
        for v in versions:
            file = self.depot / f"{v.name}-{v.version}.msi"
            file.write_bytes(self.built(v))
            self.rows.append({
                "name": v.name, "version": self.v(v.version), "kind": "msi", "from": str(file),
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "bytes": file.stat().st_size,
                "product": code(v.name, v.version), "upgrade": code(v.name, "upgrade"), "architecture": self.kind,
            })  # fmt: skip
        self.write(LIST, json.dumps({"format": 1, "packages": self.rows}))

    def built(self, v: Version) -> bytes:
        return package(
            name=f"Test {v.name}", version=self.v(v.version), product=code(v.name, v.version),
            upgrade=code(v.name, "upgrade"), code=1603 if v.script_fails else 0,
        )  # fmt: skip

    def write(self, path: str, text: str) -> None:
        place = self.work / "root" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def install(self, *names: str) -> None:
        for name in names:
            row = next(r for r in self.rows if r["name"] == name)
            assert self.box.run(self.line(row), 60).code == 0

    def line(self, row: dict[str, Any]) -> str:
        return f'msiexec.exe /i "{self.box.native(Path(row["from"]))}" /qn /norestart REBOOT=ReallySuppress'

    def hold(self, name: str) -> None:
        self.write(HOLDS, f"{name}\n")

    def cut_network(self) -> None:
        self.depot.rename(self.work / "away")

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        mine = {r["product"]: r["version"] for r in self.rows if r["name"] == name}
        found = [mine[e.key] for e in self.box.entries() if e.key in mine]
        return self.bare(found[0]) if found else ""


class Wine(Windows):
    """The same with packages of Windows Installer, put in by wine's msiexec, seen by our reader in Windows' Python."""

    kind = "x86"  # wixl builds 32-bit packages

    def make(self) -> Provider:
        self.box = support_msi.box()  # type: ignore[assignment]
        self.box.forget(*(code(name, number) for name in ("p", "q") for number in ("1", "2", "3")))  # type: ignore[attr-defined]
        return ProgramsProvider(SystemClock(), Machine(root=self.work / "root"), box=self.box)

    def built(self, v: Version) -> bytes:
        return support_msi.build(
            self.depot, f"Test {v.name}", self.v(v.version), code(v.name, v.version), code(v.name, "upgrade"),
        )  # fmt: skip


@contextmanager
def windows(work: Path) -> Iterator[Windows]:
    yield Windows(work)


@contextmanager
def msi(work: Path) -> Iterator[Wine]:
    yield Wine(work)


class OfWinget:
    """A winget in memory; p, q … are Ids of packages."""

    foretells_way_back = False

    def __init__(self, work: Path) -> None:
        self.box = FakeWinget()
        self.provider: Provider = WingetProvider(
            SystemClock(), Machine(root=work), winget=Winget(self.box, "C:\\winget.exe"), pause=lambda _: None
        )

    def v(self, version: str, name: str = "p") -> str:
        return version + ZEROS

    def bare(self, version: str) -> str:
        return version.removesuffix(ZEROS)

    def name(self, name: str) -> str:
        return f"{self.own(name)}:winget"

    def own(self, name: str) -> str:
        return f"Test.{name}"

    def plain(self, name: str) -> str:
        return name.partition(":")[0].removeprefix("Test.")

    def publish(self, *versions: Version) -> None:
        for v in versions:
            self.box.packages.setdefault(self.own(v.name), []).append(self.v(v.version))

    def install(self, *names: str) -> None:
        for name in names:
            self.box.here[self.own(name)] = self.box.packages[self.own(name)][0]

    def hold(self, name: str) -> None:
        self.box.pins.add(self.own(name))

    def cut_network(self) -> None:
        self.box.network = False

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        return self.bare(self.box.here.get(self.own(name), ""))


@contextmanager
def winget(work: Path) -> Iterator[OfWinget]:
    yield OfWinget(work)
