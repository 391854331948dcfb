"""A repository of rpm packages that a test builds and serves, and a root that the real dnf manages with it.

*Real manager, synthetic distribution*: dnf 4.14 and rpm 4.18 as Debian 12 has them, on a root of packages built here.
Served over http on 127.0.0.1, so "no network" is a closed port and a wrong checksum is a changed file.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import require

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.dnf import DnfProvider
from brakeline.agent.providers.model import Bounds, Order, Planned, Refused
from brakeline.protocol.messages import Transaction, TransactionResult, UpdateRef

ENVIRONMENT = {**os.environ, "HOME": "/root"}  # Debian's rpm has its database there
SHELL = ("/bin/sh", "/bin/sleep", "/bin/touch")  # what scriptlets of tests need in their root
QUIET = ("--define", "debug_package %{nil}", "--define", "__os_install_post %{nil}",
         "--define", "_binaries_in_noarch_packages_terminate_build 0", "--define", "_build_id_links none",
         "--define", "_binary_payload w0.gzdio")  # fmt: skip


@dataclass(frozen=True)
class Rpm:
    """One binary package. `scripts`: "pre", "post" … -> body; `head`: more lines of the preamble."""

    name: str
    version: str
    release: str = "1"
    head: tuple[str, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)  # path -> "" or "(noreplace)"

    @property
    def evr(self) -> str:
        return f"{self.version}-{self.release}"


def needed() -> None:
    """dnf, rpm and createrepo as Debian has them, and root."""
    require(os.geteuid() == 0, "root, for chroot and rpm's database")
    for tool in ("dnf", "rpmbuild", "createrepo_c", "modifyrepo_c"):
        require(shutil.which(tool), f"{tool} (see tools/debian-packages.txt)")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """The test's output is for its own words."""


class RpmRepository:
    """`directory` holds packages and their metadata."""

    def __init__(self, work: Path) -> None:
        self.directory, self._work = work / "rpms", work / "rpmbuild"
        self.directory.mkdir(parents=True)
        handler = functools.partial(_Quiet, directory=str(self.directory))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self._open = True

    def publish(self, *packages: Rpm, advisories: str = "", modules: str = "") -> None:
        """Build these, add them to what is there, and write the metadata anew."""
        for p in packages:
            self._build(p)
        self.index(advisories, modules)

    def index(self, advisories: str = "", modules: str = "") -> None:
        run("createrepo_c", "-q", str(self.directory))
        for text, name in ((advisories, "updateinfo.xml"), (modules, "modules.yaml")):
            if text:
                (self._work / name).write_text(text)
                run("modifyrepo_c", str(self._work / name), str(self.directory / "repodata"))

    def stop(self) -> None:
        """No network: nothing listens any more."""
        if self._open:
            self._server.shutdown()
            self._server.server_close()
            self._open = False

    def shell(self) -> Rpm:
        """A package with a shell for the root, so that scriptlets run."""
        paths = set(SHELL)
        for program in SHELL:
            for line in run("ldd", program).splitlines():
                paths |= {w for w in line.split() if w.startswith("/")}
        return Rpm("shell", "1", files={p: "@" + os.path.realpath(p) for p in sorted(paths)})

    def _build(self, p: Rpm) -> None:
        top = self._work / f"{p.name}-{p.evr}"
        top.mkdir(parents=True)
        files = dict(p.files) or {f"/opt/{p.name}/version": p.version}
        install = []
        for number, (path, text) in enumerate(files.items()):
            source = Path(text[1:]) if text.startswith("@") else top / f"file{number}"
            if not text.startswith("@"):
                source.write_text(text)
            mode = "755" if text.startswith("@") else "644"
            install.append(f"install -D -m {mode} {source} %{{buildroot}}{path}")
        listed = [f"%config{p.config[f]} {f}" if f in p.config else f for f in files]
        spec = [f"Name: {p.name}", f"Version: {p.version}", f"Release: {p.release}", "Summary: built by a test",
                "License: MIT", "BuildArch: noarch", "AutoReqProv: no", *p.head, "%description", "built by a test",
                "%install", *install, *(f"%{k}\n{v}" for k, v in p.scripts.items()), "%files", *listed]  # fmt: skip
        (top / "p.spec").write_text("\n".join(spec) + "\n")
        run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}", "--define", f"_rpmdir {self.directory}",
            "--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", *QUIET,
            str(top / "p.spec"))  # fmt: skip
        shutil.rmtree(top)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, f"{' '.join(command[:3])}: {done.stdout}{done.stderr}"
    return done.stdout


class Root:
    """One synthetic endpoint below `path`."""

    def __init__(self, work: Path, repository: RpmRepository, options: str = "", main: str = "") -> None:
        self.path, self.work, self.repository, self.said = work / "root", work / "helper", repository, list[str]()
        for directory in ("etc/dnf", "etc/yum.repos.d", "var/log", "var/lib/dnf", "var/lib/rpm", "var/cache", "tmp"):
            (self.path / directory).mkdir(parents=True, exist_ok=True)
        (self.path / "etc/dnf/dnf.conf").write_text(f"[main]\ngpgcheck=0\n{main}\n")
        source = f"[ex]\nname=ex\nbaseurl=http://127.0.0.1:{repository.port}/\nenabled=1\n{options}\n"
        (self.path / "etc/yum.repos.d/ex.repo").write_text(source)
        run("rpm", "--root", str(self.path), "--initdb")

    @property
    def provider(self) -> DnfProvider:
        machine = Machine(stop_grace_s=5.0)
        return DnfProvider(SystemClock(), machine, str(self.work / "tx"), back_dir=str(self.work / "back"),
                           installroot=str(self.path))  # fmt: skip

    @property
    def lock(self) -> Path:
        """rpm's own lock in this root."""
        return self.path / run("rpm", "-E", "%{_dbpath}").strip().lstrip("/") / ".rpm.lock"

    def install(self, *packages: Rpm) -> None:
        """By rpm itself, as an administrator would."""
        files = [str(self.repository.directory / f"{p.name}-{p.evr}.noarch.rpm") for p in packages]
        run("rpm", "--root", str(self.path), "-U", "--nosignature", *files)

    def has(self, name: str) -> list[str]:
        """Versions that rpm itself has recorded."""
        ran = subprocess.run(["rpm", "--root", str(self.path), "-q", "--qf", "%{EVR}\n", name], capture_output=True,
                             text=True, check=False, env=ENVIRONMENT)  # fmt: skip
        return sorted(ran.stdout.split()) if ran.returncode == 0 else []

    def plan(self, *updates: tuple[str, str], bounds: Bounds | None = None) -> Transaction:
        found = self.provider.plan(tuple(UpdateRef(*u) for u in updates), bounds or Bounds(disk_reserve_bytes=0))
        assert isinstance(found, Planned), found
        return found.transaction

    def refusal(self, *updates: tuple[str, str], bounds: Bounds | None = None) -> Refused:
        found = self.provider.plan(tuple(UpdateRef(*u) for u in updates), bounds or Bounds(disk_reserve_bytes=0))
        assert isinstance(found, Refused), found
        return found

    def apply(self, transaction: Transaction, bounds: Bounds | None = None, number: int = 1) -> TransactionResult:
        return self.provider.apply(order(transaction, bounds, number), self.said.append)


def order(transaction: Transaction, bounds: Bounds | None = None, number: int = 1) -> Order:
    allowed = bounds or Bounds(disk_reserve_bytes=0)
    return Order(f"tx_{number}", f"of_{number}", "ro_1", 1, transaction, allowed)
