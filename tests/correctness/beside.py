"""The own commands of npm and flatpak as peers, judged by exit code as those of `plain` are, and the records."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from typing import Any

from tests import flatpakrepo, npmregistry
from tests.correctness.plain import LIMIT_S, claimed
from tests.correctness.standin import Claim, Said


def _ran(*command: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=os.environ | environment
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def _key(version: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", version)]


@dataclass(frozen=True)
class NpmRecords:
    """The packages' own descriptions, and the documents of the registry."""

    box: npmregistry.Endpoint

    def versions(self) -> dict[str, str]:
        found = {}
        for path in self.box.modules.rglob("package.json"):
            found[path.parent.relative_to(self.box.modules).as_posix()] = str(json.loads(path.read_text())["version"])
        return found

    def waiting(self) -> frozenset[str]:
        """Global packages alone: whatever lies in their trees comes along with them."""
        have, documents = self.versions(), self.box.registry.documents
        tops = {n: v for n, v in have.items() if "/node_modules/" not in n and n in documents}
        newest = {n: max(documents[n]["versions"], key=_key) for n in tops}
        return frozenset(n for n, v in tops.items() if _key(newest[n]) > _key(v))

    def sound(self) -> bool:
        """The program itself runs."""
        return bool(self.box.runs())


@dataclass(frozen=True)
class FlatpakRecords:
    """What `active` points to, and what the repository of the remote has."""

    box: flatpakrepo.Endpoint

    def versions(self) -> dict[str, str]:
        return {flatpakrepo.APP: self._active()}

    def _active(self) -> str:
        return os.readlink(self.box.root / f"var/lib/flatpak/{flatpakrepo.REF}/active")

    def waiting(self) -> frozenset[str]:
        head = self.box.remote.directory / f"repo/refs/heads/{flatpakrepo.REF}"
        return frozenset() if head.read_text().strip() == self._active() else frozenset({flatpakrepo.APP})

    def sound(self) -> bool:
        """The runtime that the deployed application names is there: it starts."""
        home = self.box.root / "var/lib/flatpak"
        metadata = (home / flatpakrepo.REF / "active/metadata").read_text()
        named = re.search(r"^runtime=(\S+)$", metadata, re.MULTILINE)
        return named is not None and (home / "runtime" / named[1] / "active/files").exists()


@dataclass(frozen=True)
class Npm:
    name: str = "npm update"

    def _npm(self, root: Any, *words: str) -> tuple[int, str]:
        places = [f"--prefix={root.root / 'usr/local'}", f"--cache={root.root}/peer"]
        return _ran(*root.runner.machine.prefix, "npm", "--global", *places, *words)

    def refresh(self, root: Any) -> Said:
        """It keeps no lists: whoever asks what is newer asks the registry."""
        code, text = self._npm(root, "outdated", "--json")
        told = code in (0, 1) and "error" not in text  # 1 = there are newer ones
        return Said(Claim.DONE if told else Claim.FAILED, f"outdated ends with {code}")

    def waits(self, root: Any) -> Said:
        code, text = self._npm(root, "outdated", "--parseable")
        names = (line.split(":")[1].rpartition("@")[0] for line in text.splitlines() if line.count(":") >= 3)
        return Said(Claim.DONE, f"outdated ends with {code}", frozenset(names))

    def run(self, root: Any) -> Said:
        return claimed(*self._npm(root, "update"))


@dataclass(frozen=True)
class Flatpak:
    name: str = "flatpak update"

    def _flatpak(self, root: Any, *words: str) -> tuple[int, str]:
        return _ran("flatpak", *words, **root.runner.settings)

    def refresh(self, root: Any) -> Said:
        """It keeps no lists either: an update asks."""
        return claimed(*self._flatpak(root, "update", "--system", "-y", "--noninteractive", "--no-deploy"))

    def waits(self, root: Any) -> Said:
        code, text = self._flatpak(root, "remote-ls", "--system", "--updates", "--columns=application")
        return Said(Claim.DONE, f"remote-ls ends with {code}", frozenset(text.split()))

    def run(self, root: Any) -> Said:
        return claimed(*self._flatpak(root, "update", "--system", "-y", "--noninteractive"))
