"""The files of one transaction on the endpoint: apt's configuration for it, the hook, what it must equal, the log.

Everything that apt is told stands in one file that people can read afterwards. Names here are the interface to
`hook`, which is copied, and to `agent.transaction`, which owns the same directory.
"""

from __future__ import annotations

import json
import os
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.runner import Runner
from brakeline.protocol.messages import Transaction

# keep: as it is on the endpoint, new ones where nobody touched them; replace: as the package has them.
CONFFILE_OPTIONS = {
    "keep": ("--no-force-confnew", "--force-confdef", "--force-confold"),
    "replace": ("--no-force-confdef", "--no-force-confold", "--no-force-confask", "--force-confnew"),
}
CONFFILE_ENVIRONMENT = {"keep": {"UCF_FORCE_CONFFOLD": "1"}, "replace": {"UCF_FORCE_CONFFNEW": "1"}}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the hook found. `asked` False = apt never came to the point of starting dpkg."""

    asked: bool = False
    same: bool = False
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Staging:
    """The directory of one transaction; `directory` as the endpoint names it."""

    runner: Runner
    directory: str

    def prepare(self, transaction: Transaction, conffiles: str, lock_wait_s: int, download_kib_s: int = 0) -> None:
        """Write hook, expectation and configuration; an old verdict is removed."""
        self._path("").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path("verdict.json").unlink(missing_ok=True)
        lines = ["\t".join((a.name, a.architecture, a.before, a.after)) for a in transaction.actions]
        self._write("expected", "\n".join(lines) + "\n", 0o600)
        source = (pkgutil.get_data("brakeline.agent.providers.apt", "hook.py") or b"").decode()
        self._write("hook", source, 0o700)
        self._write("apt.conf", configuration(self.directory, conffiles, lock_wait_s, download_kib_s), 0o600)

    @property
    def configuration(self) -> str:
        return f"{self.directory}/apt.conf"

    @property
    def log(self) -> Path:
        return self._path("log")

    def verdict(self) -> Verdict:
        """What the hook wrote, if it ran."""
        try:
            v = json.loads(self._path("verdict.json").read_text())
        except (OSError, ValueError):
            return Verdict()
        extra = [f"not ordered: {_readable(line)}" for line in v["extra"]]
        missing = [f"ordered, but not to happen: {_readable(line)}" for line in v["missing"]]
        parts = [*extra, *missing, *([v["error"]] if v["error"] else [])]
        return Verdict(True, bool(v["same"]), "; ".join(parts[:6]))

    def remember_before(self, installed: Iterable[Installed]) -> None:
        """Put on disk what is installed, before dpkg may start: after a power cut this tells what has changed."""
        lines = "\n".join("\t".join((p.name, p.architecture, p.version, p.state)) for p in installed)
        self._write("before.new", lines + "\n", 0o600)
        scratch = self._path("before.new")
        os.replace(scratch, self._path("before"))
        directory = os.open(scratch.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    def before(self) -> tuple[Installed, ...] | None:
        """What `remember_before` kept; None = dpkg was never started for this transaction."""
        try:
            lines = self._path("before").read_text().splitlines()
        except OSError:
            return None
        cells = [line.split("\t") for line in lines]
        return tuple(Installed(c[0], c[1], c[2], "", "", c[3]) for c in cells if len(c) == 4)

    def _path(self, name: str) -> Path:
        return self.runner.path(f"{self.directory}/{name}" if name else self.directory)

    def _write(self, name: str, text: str, mode: int) -> None:
        path = self._path(name)
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())


def _readable(line: str) -> str:
    """One of the hook's lines for people."""
    name, _, before, after = line.split("\t")
    if not after:
        return f"remove {name} {before}"
    return f"{name} from {before} to {after}" if before else f"install {name} {after}"


def configuration(directory: str, conffiles: str, lock_wait_s: int, download_kib_s: int = 0) -> str:
    """apt's configuration for one transaction. Options of dpkg are set afresh: a force that some file of the endpoint
    adds would be one that nobody ordered."""
    hook = f"{directory}/hook"
    options = "".join(f'DPkg::Options:: "{o}";\n' for o in CONFFILE_OPTIONS[conffiles])
    slow = (f'Acquire::{m}::Dl-Limit "{download_kib_s}";\n' for m in ("http", "https", "ftp") if download_kib_s)
    return (
        f'DPkg::Pre-Install-Pkgs:: "{hook} {directory}/expected {directory}/verdict.json";\n'
        f'DPkg::Tools::Options::{hook}::Version "3";\n'
        "#clear DPkg::Options;\n"
        f"{options}"
        f'DPkg::Lock::Timeout "{lock_wait_s}";\n'
        'DPkg::Use-Pty "false";\n'
        'APT::Get::Assume-Yes "true";\n'
        'APT::Get::Force-Yes "false";\n'
        'APT::Get::AllowUnauthenticated "false";\n'
        'APT::Get::Allow-Remove-Essential "false";\n'
        'APT::Get::Allow-Change-Held-Packages "false";\n'
        'APT::Get::AutomaticRemove "false";\n'
        'APT::Get::Fix-Broken "false";\n'
        'APT::Get::Show-User-Simulation-Note "false";\n'
        'APT::Keep-Downloaded-Packages "true";\n'
        f"{''.join(slow)}"
    )
