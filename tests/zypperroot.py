"""A root directory that the real zypper and rpm manage, and a repository of real .rpm files that a test builds.

*Real manager, synthetic distribution*: Debian's zypper and rpm on packages of ours; no SUSE is here. The root has a
shell, so that scripts of packages run in it as they would on an endpoint. The repository is served over http on
127.0.0.1, so "no network" is a closed port and a wrong checksum is a changed file; `sign()` gives it a key.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.aptroot import order
from tests.support import require

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.agent.providers.zypper import ZypperProvider
from brakeline.protocol.messages import Transaction, TransactionResult, UpdateRef

TOOLS = ("zypper", "rpm", "rpmbuild", "createrepo_c", "modifyrepo_c", "gpg")
SEVERAL = ("multiversion(kernel)",)  # such packages stand beside their older versions
RPM_KEY = "Test <test@example.invalid>"


@dataclass(frozen=True)
class Rpm:
    """One package. `scripts`: section (pre, post, preun …) -> shell script; `config`: path -> content (noreplace)."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    obsoletes: tuple[str, ...] = ()
    vendor: str = "Test"
    scripts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | int] = field(default_factory=dict)  # a number: so many bytes
    config: Mapping[str, str] = field(default_factory=dict)
    hard_config: Mapping[str, str] = field(default_factory=dict)  # %config without noreplace

    @property
    def evr(self) -> str:
        return f"{self.version}-1"


@dataclass(frozen=True)
class Advisory:
    """One patch of updateinfo.xml about one package."""

    id: str
    package: str
    version: str
    type: str = "security"
    reboot: bool = False


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """The test's output is for its own words."""


class RpmRepository:
    """`directory` holds packages and metadata."""

    def __init__(self, work: Path, alias: str = "test") -> None:
        self.alias, self.directory, self._work = alias, work / f"repo-{alias}", work / f"build-{alias}"
        self.directory.mkdir(parents=True)
        handler = functools.partial(_Quiet, directory=str(self.directory))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self._open, self._advisories, self.gpg_home = True, [], None
        self.index()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def publish(self, *packages: Rpm, advisories: tuple[Advisory, ...] = ()) -> None:
        for package in packages:
            build(package, self._work, self.directory)
        self._advisories += advisories
        self.index()

    def withdraw(self, name: str, version: str) -> None:
        for path in self.directory.glob(f"{name}-{version}-*.rpm"):
            path.unlink()
        self.index()

    def index(self) -> None:
        shutil.rmtree(self.directory / "repodata", ignore_errors=True)
        _run("createrepo_c", "-q", str(self.directory))
        if self._advisories:
            path = self._work / "updateinfo.xml"
            path.write_text(f"<updates>{''.join(map(_advisory, self._advisories))}</updates>")
            _run("modifyrepo_c", str(path), str(self.directory / "repodata"))
        if self.gpg_home is not None:
            self._sign_metadata()

    def sign(self, *, expired: bool = False) -> Path:
        """From now on metadata is signed; answers the file of the public key. `expired`: made in 2020, for a year."""
        self.gpg_home, expires = self._work / "gpg", "1y" if expired else "0"
        self._gpg_clock = ("--faked-system-time", "20200101T000000!") if expired else ()
        self.gpg_home.mkdir(parents=True, mode=0o700)
        self._gpg("--passphrase", "", "--quick-generate-key", RPM_KEY, "rsa2048", "sign", expires)
        key = self.directory / "key.asc"
        key.write_text(self._gpg("--armor", "--export"))
        self.index()
        return key

    def _sign_metadata(self) -> None:
        data = self.directory / "repodata"
        self._gpg("--armor", "--detach-sign", str(data / "repomd.xml"))
        shutil.copyfile(self.directory / "key.asc", data / "repomd.xml.key")

    def _gpg(self, *arguments: str) -> str:
        return _run(
            "gpg",
            *self._gpg_clock,
            "--homedir",
            str(self.gpg_home),
            "--batch",
            "--yes",
            "--pinentry-mode",
            "loopback",
            *arguments,
        )

    def file(self, name: str, version: str) -> Path:
        return next(self.directory.glob(f"{name}-{version}-*.rpm"))

    def stop(self) -> None:
        """No network: nothing listens any more."""
        if self.gpg_home is not None:
            _run("gpgconf", "--homedir", str(self.gpg_home), "--kill", "gpg-agent")
        if self._open:
            self._server.shutdown()
            self._server.server_close()
            self._open = False


def _run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})}
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def build(package: Rpm, work: Path, target: Path) -> None:
    """The .rpm of a package, made by rpmbuild."""
    work.mkdir(parents=True, exist_ok=True)
    lines = [f"Name: {package.name}", f"Version: {package.version}", "Release: 1", "Summary: built by a test"]
    lines += ["License: MIT", "BuildArch: noarch", f"Vendor: {package.vendor}", "AutoReqProv: no"]
    for tag in ("requires", "provides", "conflicts", "obsoletes"):
        lines += [f"{tag.capitalize()}: {x}" for x in getattr(package, tag)]
    lines += ["%description", "built by a test", "%install"]
    own = f"-{package.version}" if package.provides == SEVERAL else ""
    contents = {
        f"/opt/{package.name}{own}/version": package.version,
        **package.files,
        **package.config,
        **package.hard_config,
    }
    for path, content in contents.items():
        lines.append(f"mkdir -p %{{buildroot}}{os.path.dirname(path)}")
        if isinstance(content, int):
            lines.append(f"head -c {content} /dev/urandom > %{{buildroot}}{path}")
        else:
            lines.append(f"printf '%s\\n' '{content}' > %{{buildroot}}{path}")
    for section, script in package.scripts.items():
        lines += [f"%{section}", script]
    lines.append("%files")
    for path in contents:
        kind = "%config(noreplace) " if path in package.config else "%config " if path in package.hard_config else ""
        lines.append(kind + path)
    spec = work / f"{package.name}.spec"
    spec.write_text("\n".join(lines) + "\n")
    defines = {
        "_topdir": work, "_rpmdir": target, "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
        "_binary_payload": "w0.gzdio", "__os_install_post": "%{nil}", "_build_id_links": "none",
    }  # fmt: skip
    words = [x for k, v in defines.items() for x in ("--define", f"{k} {v}")]
    _run("rpmbuild", "-bb", "--quiet", *words, str(spec))


def _advisory(a: Advisory) -> str:
    reboot = "<reboot_suggested>True</reboot_suggested>" if a.reboot else ""
    return (
        f'<update from="a@b" status="stable" type="{a.type}" version="1"><id>{a.id}</id><title>{a.id}</title>'
        '<issued date="2026-11-02 00:00:00"/><severity>important</severity><summary>s</summary>'
        "<description>d</description>"
        '<references><reference href="https://example.invalid" id="CVE-2026-123456" type="cve" title="x"/></references>'
        f'<pkglist><collection short="t"><name>t</name><package name="{a.package}" version="{a.version}" release="1" '
        f'epoch="0" arch="noarch" src="{a.package}-{a.version}-1.src.rpm"><filename>'
        f"{a.package}-{a.version}-1.noarch.rpm</filename>{reboot}</package></collection></pkglist></update>"
    )


@dataclass
class Root:
    """One root directory, its provider, and what the provider said."""

    path: Path
    said: list[str] = field(default_factory=list)

    @property
    def provider(self) -> ZypperProvider:
        return ZypperProvider(SystemClock(), Machine(stop_grace_s=3.0), root=str(self.path))

    def sh(self, *command: str) -> str:
        ran = Machine().query(*command, timeout_s=120)
        assert ran.rc == 0, f"{' '.join(command)} -> {ran.rc}\n{ran.text}"
        return ran.text

    def zypper(self, *arguments: str) -> tuple[int, str]:
        """zypper as a person would call it; nothing of ours between."""
        ran = Machine().query(
            "env",
            f"ZYPP_LOCKFILE_ROOT={self.path}",
            "zypper",
            "--root",
            str(self.path),
            "--non-interactive",
            *arguments,
            timeout_s=120,
        )
        return ran.rc, ran.text

    def rpm(self, *arguments: str) -> str:
        return Machine().query("rpm", "--root", str(self.path), *arguments, timeout_s=120).text

    def use(self, *repositories: RpmRepository, gpgcheck: bool = False) -> None:
        """Have exactly these repositories, with fresh metadata if it can be had."""
        place = self.path / "etc/zypp/repos.d"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for r in repositories:
            lines = (f"[{r.alias}]", f"name={r.alias}", "enabled=1", "autorefresh=1", f"baseurl={r.url}", "type=rpm-md")
            check = "1" if gpgcheck else "0"
            (place / f"{r.alias}.repo").write_text(
                "\n".join((*lines, f"gpgcheck={check}", f"repo_gpgcheck={check}", "pkg_gpgcheck=0")) + "\n"
            )

    def lock(self, name: str) -> None:
        code, text = self.zypper("addlock", name)
        assert code == 0, text

    def version(self, name: str) -> str:
        """Versions as rpm itself has them, several joined by a blank; "" = not installed."""
        text = self.rpm("-q", "--qf", "%{VERSION}-%{RELEASE} ", name)
        return "" if "not installed" in text else text.strip()

    def plan(self, *updates: tuple[str, str], bounds: Bounds | None = None) -> Transaction:
        planned = self.provider.plan(tuple(UpdateRef(*u) for u in updates), bounds or Bounds())
        assert isinstance(planned, Planned), planned
        return planned.transaction

    def refusal(self, *updates: tuple[str, str], bounds: Bounds | None = None) -> Refused:
        planned = self.provider.plan(tuple(UpdateRef(*u) for u in updates), bounds or Bounds())
        assert isinstance(planned, Refused), planned
        return planned

    def apply(self, transaction: Transaction, bounds: Bounds | None = None, number: int = 1) -> TransactionResult:
        return self.provider.apply(order(transaction, bounds, number), self.said.append)


def make_root(path: Path) -> Root:
    """An empty endpoint with a shell in it."""
    require(os.geteuid() == 0, "root: packages are installed into a root directory of their own")
    for tool in TOOLS:
        require(shutil.which(tool), f"{tool} (the Debian packages zypper, rpm, createrepo-c and gnupg)")
    for name in ("bin", "etc/zypp", "var/lib/zypp", "var/cache", "var/tmp", "run", "tmp", "dev", "proc"):
        (path / name).mkdir(parents=True, exist_ok=True)
    if not (path / "var/run").exists():
        (path / "var/run").symlink_to("../run")
    for program in ("/bin/sh", "/bin/sleep", "/bin/mkdir", "/bin/touch"):
        shutil.copy2(program, path / "bin")
        for library in re.findall(
            r"(/lib\S+)", subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        ):
            (path / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(library, path / library.lstrip("/"))
    if not (path / "dev/null").exists():
        os.mknod(path / "dev/null", 0o020666, os.makedev(1, 3))
    made = Root(path)
    made.rpm("--initdb")
    build(Rpm("base", "1", provides=("/bin/sh",)), path / "var/tmp/build", path / "var/tmp")
    made.sh("rpm", "--root", str(path), "-i", str(path / "var/tmp/base-1-1.noarch.rpm"))
    return made


@contextmanager
def sized(path: Path, mib: int) -> Iterator[Path]:
    """A file system of so many MiB: there a full disk is a real one."""
    require(os.geteuid() == 0, "root, to mount a file system of a known size")
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def outdated(
    root: Root, repository: RpmRepository, *newer: Rpm, first: tuple[Rpm, ...], advisories: tuple[Advisory, ...] = ()
) -> None:
    """`first` is installed; the repository also has `newer`, and the metadata knows it."""
    repository.publish(*first)
    root.use(repository)
    code, text = root.zypper("install", "--no-recommends", *(p.name for p in first))
    assert code == 0, text
    repository.publish(*newer, advisories=advisories)
    code, text = root.zypper("refresh")
    assert code == 0, text


__all__ = ["Advisory", "Root", "Rpm", "RpmRepository", "make_root", "outdated", "replace", "sized"]
