"""A prefix of Homebrew with a stand-in for its program: *not run on the real system*.

The stand-in says what Homebrew's documentation, its own source and published output say that `brew` says: the JSON of
`outdated` and `info`, its errors on standard error, its exit codes. What it was told to have stands in `.standin`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.support import require

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine, Ran
from brakeline.agent.providers.brew import BrewProvider

PLACE = "/home/linuxbrew/.linuxbrew"
OWNER = 61234  # nobody's number here
STANDIN = r"""#!/usr/bin/python3 -IS
import json, os, pathlib, shutil, sys, time
prefix = pathlib.Path(sys.argv[0]).parents[1]
state = prefix / ".standin"
words = sys.argv[1:]
names = [w for w in words[1:] if not w.startswith("-")]
if os.geteuid() == 0:
    sys.exit("Error: Running Homebrew as root is extremely dangerous and no longer supported.")
(state / "log").open("a").write(" ".join(words) + "\n")
def load(which):
    return json.loads((state / which).read_text())
def opt(name):
    link = prefix / "opt" / name
    return os.readlink(link).rpartition("/")[2] if link.is_symlink() else ""
def fail(text):
    print(text, file=sys.stderr)
    sys.exit(1)
offline, pins = (state / "offline").exists(), prefix / "var/homebrew/pinned"
if words[0] == "update":
    if offline:
        fail("fatal: unable to access 'https://github.example/brew/': Could not resolve host: github.example")
    shutil.copy(state / "remote.json", state / "local.json")
    sys.exit(0)
known = load("local.json")
def casks():
    rooms = ((p.name, list(p.glob(".metadata/*/*"))) for p in (prefix / "Caskroom").iterdir())
    return {name: max(found, key=lambda q: q.name).parent.name for name, found in rooms if found}
def old(name):
    here = casks().get(name, "") if known[name].get("cask") else opt(name)
    return here and here != known[name]["version"]
if words[0] == "outdated":
    made = {"formulae": [], "casks": []}
    for name in known:
        if old(name):
            cask = known[name].get("cask")
            here = [casks()[name]] if cask else [opt(name)]
            pinned = (pins / name).exists()
            made["casks" if cask else "formulae"].append({
                "name": name, "installed_versions": here, "current_version": known[name]["version"],
                "pinned": pinned, "pinned_version": here[0] if pinned else None})
    print(json.dumps(made, indent=2))
elif words[0] == "info":
    asked = names or [n for n in known if opt(n) or n in casks()]
    made = {"formulae": [], "casks": []}
    for name in asked:
        if name not in known:
            fail(f'Error: No available formula with the name "{name}".')
        row = known[name]
        version, _, revision = row["version"].partition("_")
        if row.get("cask"):
            made["casks"].append({"token": name, "version": row["version"], "tap": "homebrew/cask", "depends_on": {}})
        else:
            made["formulae"].append({"name": name, "full_name": name, "tap": "homebrew/core",
                "revision": int(revision or 0), "versions": {"stable": version, "head": None, "bottle": True},
                "dependencies": row.get("needs", [])})
    print(json.dumps(made))
elif words[0] in ("fetch", "upgrade"):
    if (state / "lock").exists():
        fail(f"Error: A `brew upgrade {names[0]}` process has already locked {prefix}/Cellar/{names[0]}.\n"
             "Please wait for it to finish or terminate it to continue.")
    if words[0] == "fetch":
        for name in names:
            if offline:
                fail(f"curl: (6) Could not resolve host: ghcr.example\nError: Failed to download resource \"{name}\"")
            if known[name].get("tampered"):
                fail(f"Error: {name}: SHA256 mismatch\nExpected: 00\n  Actual: 11")
        sys.exit(0)
    for name in names:
        if (pins / name).exists():
            fail(f"Error: Not upgrading 1 pinned package:\n{name}")
        if known[name].get("breaks"):
            fail(f"Error: {name} could not be poured")
        chain = [n for n in known[name].get("needs", []) if not opt(n) or old(n)] + [name]
        for one in chain + known[name].get("also", []):
            version = known[one]["version"]
            if known[one].get("cask"):
                room = prefix / "Caskroom" / one  # which stays: the new version comes into it, the former goes
                former = [p for place in (room, room / ".metadata") for p in place.iterdir()
                          if p.name not in (version, ".metadata")]
                (room / version).mkdir(exist_ok=True)
                (room / ".metadata" / version / str(time.time_ns())).mkdir(parents=True)
                for path in former:
                    shutil.rmtree(path)
                continue
            keg = prefix / "Cellar" / one / version
            keg.mkdir(parents=True, exist_ok=True)
            (keg / "INSTALL_RECEIPT.json").write_text("{}")
            link = prefix / "opt" / one
            link.unlink(missing_ok=True)
            link.symlink_to(f"../Cellar/{one}/{version}")
else:
    fail(f"Error: Unknown command: {words[0]}")
"""


@dataclass(frozen=True)
class Under:
    """This machine, with the prefix and the helper's directories below `root`."""

    root: Path

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def _words(self, command: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(self.path(w)) if w.startswith(PLACE) else w for w in command)

    def query(self, *command: str, timeout_s: float = 60.0) -> Ran:
        return Machine().query(*self._words(command), timeout_s=timeout_s)

    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        return Machine().job(*self._words(command), timeout_s=timeout_s, log=log, environment=environment)


@dataclass(frozen=True)
class Endpoint:
    """One endpoint with an empty prefix of its owner's."""

    root: Path

    @property
    def prefix(self) -> Path:
        return self.root / PLACE.lstrip("/")

    @property
    def provider(self) -> BrewProvider:
        return BrewProvider(SystemClock(), Under(self.root))

    def publish(self, name: str, version: str, **more: Any) -> None:
        """What Homebrew has from now on; an endpoint learns of it with `brew update`."""
        path = self.prefix / ".standin/remote.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {name: {"version": version, **more}}))

    def install(self, *names: str) -> None:
        """As its owner did."""
        known = json.loads((self.prefix / ".standin/remote.json").read_text())
        for name in names:
            version = known[name]["version"]
            if known[name].get("cask"):
                room = self.prefix / "Caskroom" / name
                (room / version).mkdir(parents=True)
                (room / ".metadata" / version / str(time.time_ns())).mkdir(parents=True)
                continue
            keg = self.prefix / "Cellar" / name / version
            keg.mkdir(parents=True)
            (keg / "INSTALL_RECEIPT.json").write_text("{}")
            (self.prefix / "opt" / name).symlink_to(f"../Cellar/{name}/{version}")
        self.owned()

    def owned(self) -> None:
        for path in (self.prefix, *self.prefix.rglob("*")):
            os.chown(path, OWNER, OWNER, follow_symlinks=False)

    def pin(self, name: str) -> None:
        (self.prefix / "var/homebrew/pinned" / name).symlink_to(f"../../../Cellar/{name}")

    def flag(self, name: str, *, on: bool = True) -> None:
        """`offline`: no source can be reached; `lock`: another brew is at work."""
        path = self.prefix / ".standin" / name
        path.touch() if on else path.unlink()

    def has(self, name: str) -> str:
        """The version of a formula that is linked, or of a cask that is there."""
        link, cask = self.prefix / "opt" / name, self.prefix / "Caskroom" / name
        if link.is_symlink():
            return os.readlink(link).rpartition("/")[2]
        return next((p.name for p in cask.iterdir() if p.name != ".metadata"), "") if cask.is_dir() else ""

    def said_to_brew(self) -> list[str]:
        return (self.prefix / ".standin/log").read_text().splitlines()


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    require(os.geteuid() == 0, "root, who alone starts brew as its owner")
    require(shutil.which("setpriv") and shutil.which("python3"), "util-linux and Python")
    root = Path(tempfile.mkdtemp(prefix="brakeline-brew-"))
    try:
        root.chmod(0o755)  # its owner is not root
        made = Endpoint(root)
        for place in ("bin", "Cellar", "Caskroom", "opt", "var/homebrew/pinned", ".standin"):
            (made.prefix / place).mkdir(parents=True)
        for path in (root / "usr/bin/setpriv", root / "etc/passwd"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"owner:x:{OWNER}:{OWNER}::{PLACE}:/bin/sh\n")
        for name in ("remote.json", "local.json"):
            (made.prefix / ".standin" / name).write_text("{}")
        (made.prefix / "bin/brew").write_text(STANDIN)
        (made.prefix / "bin/brew").chmod(0o755)
        made.owned()
        yield made
    finally:
        shutil.rmtree(root)
