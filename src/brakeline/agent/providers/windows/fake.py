"""A Windows in memory: the fake `Box`, which ships, and passes the contract of providers with packages of its own form.

Its packages are small JSON files; its installers do what msiexec and an Inno Setup do to the registry, and answer with
their numbers. `script` says what happens instead of the next starts: a code, an `OSError`, silence until the time-out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brakeline.agent.providers.windows.box import Ended
from brakeline.agent.providers.windows.pending import Hive
from brakeline.agent.providers.windows.programs import Entry

_INSTALL = re.compile(r'msiexec\.exe /i "([^"]+)" /qn /norestart REBOOT=ReallySuppress.*')
_UNINSTALL = re.compile(r"msiexec\.exe /x (\{[0-9A-F\-]{36}\}) /qn /norestart REBOOT=ReallySuppress.*")
_EXE = re.compile(r'"([^"]+\.exe)" (/\S.*)')


def package(**what: object) -> bytes:
    """The file of a package: name, version, and product with upgrade, or key; `code` is what its installer answers."""
    return json.dumps(what, sort_keys=True).encode()


@dataclass
class FakeBox:
    """Programs by key below Uninstall."""

    programs: dict[str, Entry] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)  # upgrade code by product code
    hive: dict[str, dict[str, object]] = field(default_factory=dict)
    holders: list[str] = field(default_factory=list)  # who installs, one answer a look
    script: list[Ended | OSError] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # everything that was started

    def entries(self) -> tuple[Entry, ...]:
        return tuple(self.programs.values())

    def upgrades(self) -> Mapping[str, str]:
        return self.codes

    def restarts(self) -> Hive:
        return self.hive

    def busy(self) -> str:
        return self.holders.pop(0) if self.holders else ""

    def native(self, path: Path) -> str:
        return str(path)

    def run(self, line: str, timeout_s: float) -> Ended:  # noqa: ARG002 - it takes no time
        self.lines.append(line)
        if self.script:
            answer = self.script.pop(0)
            if isinstance(answer, OSError):
                raise answer
            return answer
        if found := _UNINSTALL.fullmatch(line):
            return Ended(0 if self.programs.pop(found[1], None) else 1605)
        found = _INSTALL.fullmatch(line) or _EXE.fullmatch(line)
        return self._install(Path(found[1])) if found else Ended(1639)

    def _install(self, path: Path) -> Ended:
        try:
            what: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return Ended(1620)
        code = int(what.get("code", 0))
        if code in (0, 3010, 1641):
            self.put(**what)
        return Ended(code)

    def put(self, name: str, version: str, product: str = "", upgrade: str = "", key: str = "", **more: object) -> None:
        """A program that is installed. An MSI takes the place of every other product of its upgrade code."""
        for old in [p for p, code in self.codes.items() if upgrade and code == upgrade]:
            self.programs.pop(old, None)
            del self.codes[old]
        values: dict[str, object] = {"DisplayName": name, "DisplayVersion": version, "Publisher": "Test"}
        if product:
            values["WindowsInstaller"] = 1
            self.codes[product] = upgrade
        values |= {"UninstallString": more["uninstall"]} if "uninstall" in more else {}
        self.programs[product or key] = Entry(product or key, values, user=str(more.get("user", "")))
