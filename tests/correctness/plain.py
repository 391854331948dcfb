"""The managers' own commands as peers, judged by their exit code: what a script or a simple tool around them believes.

Exit code 0 = "done", anything else = "failed". What waits is read from the manager's own listing, by its text. Beside
them the records of each root, which no peer and no provider of ours has a hand in.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.correctness.standin import Claim, Said
from tests.rpmrepo import ENVIRONMENT

LIMIT_S = 120
RPM_FILE = re.compile(r"(.+)-([^-]+)-([^-]+)\.noarch\.(?:rpm|away)")
ARCH_FILE = re.compile(r"(.+)-([^-]+)-([^-]+)-any\.pkg\.tar\.(?:gz|away)")


def newest(directory: Path, pattern: re.Pattern[str]) -> dict[str, str]:
    """By the names of the files that the repository has, `.away` where its index alone still names it."""
    found: dict[str, str] = {}
    for path in directory.iterdir():
        if m := pattern.fullmatch(path.name):
            name, version = m[1], f"{m[2]}-{m[3]}"
            found[name] = max(found.get(name, ""), version, key=_order)
    return found


def _order(version: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", version)]


def waiting(installed: dict[str, str], directory: Path, pattern: re.Pattern[str]) -> frozenset[str]:
    there = newest(directory, pattern)
    return frozenset(n for n, v in installed.items() if n in there and _order(there[n]) > _order(v))


@dataclass(frozen=True)
class RpmRecords:
    """rpm's own."""

    path: Path
    directory: Path

    def _all(self) -> list[tuple[str, str]]:
        command = ("rpm", "--root", str(self.path), "-qa", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\\n")
        text = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT).stdout
        return [(n, v) for n, _, v in (line.partition(" ") for line in text.splitlines()) if n != "gpg-pubkey"]

    def versions(self) -> dict[str, str]:
        """The newest where several stand beside each other, as kernels do."""
        found: dict[str, str] = {}
        for name, version in self._all():
            found[name] = max(found.get(name, ""), version, key=_order)
        return found

    def waiting(self) -> frozenset[str]:
        return waiting(self.versions(), self.directory, RPM_FILE)

    def sound(self) -> bool:
        names = [n for n, _ in self._all() if n not in ("k", "kernel")]
        return len(names) == len(set(names))


@dataclass(frozen=True)
class PacmanRecords:
    """pacman's local database, read as the directories it is made of."""

    root: Path
    directory: Path

    def versions(self) -> dict[str, str]:
        entries = (self.root / "var/lib/pacman/local").glob("*-*-*")
        return {n: f"{v}-{r}" for n, v, r in (e.name.rsplit("-", 2) for e in entries)}

    def waiting(self) -> frozenset[str]:
        return waiting(self.versions(), self.directory, ARCH_FILE)

    def sound(self) -> bool:
        entries = list((self.root / "var/lib/pacman/local").glob("*-*-*"))
        whole = all((e / "desc").exists() and (e / "files").exists() for e in entries)
        return whole and not (self.root / "var/lib/pacman/db.lck").exists()


def claimed(code: int, text: str) -> Said:
    words = f"ends with {code}"
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
    return Said(Claim.DONE if code == 0 else Claim.FAILED, f"{words}; {last[:80]}" if last else words)


def listing(text: str, words: str) -> Said:
    return Said(Claim.DONE, words, frozenset(re.findall(r"[a-z][a-z0-9-]*", text)))


@dataclass(frozen=True)
class Dnf:
    name: str = "dnf upgrade"

    def _dnf(self, root: Any, *words: str) -> tuple[int, str]:
        command = ("dnf", "-y", f"--installroot={root.path}", "--releasever=1", *words)
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=ENVIRONMENT)
        return ran.returncode, ran.stdout + ran.stderr

    def refresh(self, root: Any) -> Said:
        return claimed(*self._dnf(root, "--refresh", "makecache"))

    def waits(self, root: Any) -> Said:
        code, text = self._dnf(root, "-q", "check-update")
        listed = "\n".join(line.split(".")[0] for line in text.splitlines() if ".noarch" in line)
        return listing(listed, f"check-update ends with {code}")

    def run(self, root: Any) -> Said:
        return claimed(*self._dnf(root, "--refresh", "upgrade"))


@dataclass(frozen=True)
class Zypper:
    name: str = "zypper update"

    def refresh(self, root: Any) -> Said:
        return claimed(*root.zypper("refresh"))

    def waits(self, root: Any) -> Said:
        code, text = root.zypper("list-updates", "--all")
        rows = [line.split("|") for line in text.splitlines() if line.count("|") >= 4]
        return listing("\n".join(cells[2].strip() for cells in rows), f"list-updates ends with {code}")

    def run(self, root: Any) -> Said:
        return claimed(*root.zypper("update"))


@dataclass(frozen=True)
class ZypperPatch(Zypper):
    """Claims to bring what advisories name, and nothing else: asked only where there is one."""

    name: str = "zypper patch"

    def waits(self, root: Any) -> Said | None:
        if not root.zypper("list-patches", "--all")[1].count("EX-"):
            return None
        code, text = root.zypper("list-patches", "--all")
        return listing("p" if "EX-" in text else "", f"list-patches ends with {code}")

    def run(self, root: Any) -> Said | None:
        if "EX-" not in root.zypper("list-patches", "--all")[1]:
            return None
        return claimed(*root.zypper("patch"))


@dataclass(frozen=True)
class Pacman:
    name: str = "pacman -Syu"

    def _pacman(self, root: Any, *words: str) -> tuple[int, str]:
        ran = root.machine.query("pacman", "--noconfirm", *words, timeout_s=LIMIT_S)
        return ran.rc, ran.text

    def refresh(self, root: Any) -> Said:
        return claimed(*self._pacman(root, "-Syy"))

    def waits(self, root: Any) -> Said:
        """As `checkupdates` does: into a database of its own."""
        place = "/root/checked"
        root.sh(f"mkdir -p {place}; ln -sfn /var/lib/pacman/local {place}/local")
        self._pacman(root, "-Sy", "--dbpath", place)
        code, text = self._pacman(root, "-Qu", "--dbpath", place)
        return listing("\n".join(line.split(" ")[0] for line in text.splitlines()), f"-Qu ends with {code}")

    def run(self, root: Any) -> Said:
        return claimed(*self._pacman(root, "-Syu"))
