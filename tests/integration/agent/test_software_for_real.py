"""The search for software over real files: pip's venv, `npm -g`, Debian's ruby, Java, Go and Rust packages, an image.

The packages of the virtual environment and of npm are the test's own, installed by the real pip and npm without a
network; the programs and jars are Debian's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.rpmrepo import Rpm, RpmRepository
from tests.support import require
from tests.unit.agent.software.test_images import ALPINE, APK, Layout, tar

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.fake import FakeProvider
from brakeline.agent.rescan import Stamp
from brakeline.agent.scan import BODY, Task, acknowledged, adopt, scan
from brakeline.agent.software import golang
from brakeline.agent.software.look import look
from brakeline.protocol import codec
from brakeline.protocol.messages import KEPT_FIELDS, Inventory, Package

DEBS = ("age", "fd-find", "rake", "libslf4j-java")
ROOTS = ("/opt", "/usr", "/srv")


def ran(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def wheel(directory: Path) -> Path:
    path = directory / "demo_lib-1.2.3-py3-none-any.whl"
    head = "demo_lib-1.2.3.dist-info"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("demo_lib.py", "")
        made.writestr(f"{head}/METADATA", "Metadata-Version: 2.1\nName: demo-lib\nVersion: 1.2.3\n")
        made.writestr(f"{head}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{head}/RECORD", "")
    return path


@dataclass
class System:
    """A root directory with real software in it; `work` is the agent's."""

    root: Path
    work: Path

    def look(self) -> tuple[dict[str, Package], tuple[str, ...]]:
        found, told = look(self.work, roots=ROOTS, root=str(self.root))
        assert told.complete
        assert told.found == len(found)
        return {p.name: p for p in found}, told.gaps


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    top = tmp_path_factory.mktemp("software")
    root, work, aside = top / "root", top / "work", top / "aside"
    for directory in (root / "opt", work, aside):
        directory.mkdir(parents=True)
    ran(sys.executable, "-m", "venv", "--without-pip", root / "opt/app", cwd=aside)
    pip = (sys.executable, "-m", "pip", "--python", root / "opt/app/bin/python", "install", "-q", "--no-index")
    ran(*pip, "--no-deps", "--disable-pip-version-check", wheel(aside), cwd=aside)
    _npm(root, aside)
    _debs(root, aside)
    layout = Layout(root / "srv/images")
    layout.image("cache:2", tar({"etc/os-release": ALPINE, "lib/apk/db/installed": APK}))
    return System(root, work)


def _npm(root: Path, aside: Path) -> None:
    require(shutil.which("npm"), "npm")
    package = aside / "demo-tool"
    package.mkdir()
    (package / "package.json").write_text(json.dumps({"name": "@demo/tool", "version": "4.5.6", "license": "MIT"}))
    ran("npm", "pack", "--silent", "--offline", package, cwd=aside)
    ran("npm", "install", "-g", "--offline", "--silent", "--prefix", root / "opt/node", aside / "demo-tool-4.5.6.tgz",
        cwd=aside)  # fmt: skip


def _debs(root: Path, aside: Path) -> None:
    """Unpacked as dpkg would, with the lists of files that it keeps."""
    done = subprocess.run(["apt-get", "-q", "download", *DEBS], cwd=aside, capture_output=True, check=False)
    require(done.returncode == 0, "Debian's archive, for packages with programs of Go, Rust and Ruby")
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    for path in aside.glob("*.deb"):
        name = path.name.partition("_")[0]
        ran("dpkg-deb", "-x", path, root, cwd=aside)
        listed = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], capture_output=True, check=True).stdout
        names = subprocess.run(["tar", "-t"], input=listed, capture_output=True, check=True).stdout.decode()
        (info / f"{name}.list").write_text("".join(f"{n.removeprefix('.').rstrip('/')}\n" for n in names.splitlines()))
    jar = root / "usr/share/java/slf4j-api.jar"
    (root / "opt/billing").mkdir()
    shutil.copy(jar, root / "opt/billing/slf4j-api.jar")
    with zipfile.ZipFile(root / "opt/billing/app.war", "w") as war:
        war.write(jar, "WEB-INF/lib/slf4j-api.jar")
    shutil.copy(root / "usr/bin/age", root / "opt/billing/age")  # the same program, and nobody's


@pytest.mark.long
def test_everything_is_found_where_it_lies_and_told_whose_it_is(system: System) -> None:
    found, gaps = system.look()
    assert (found["demo-lib"].version, found["demo-lib"].ecosystem) == ("1.2.3", "pypi")
    assert found["demo-lib"].where.startswith("/opt/app/lib/python3")
    assert (found["@demo/tool"].version, found["@demo/tool"].owner) == ("4.5.6", "")
    assert (found["rake"].ecosystem, found["rake"].owner) == ("rubygems", "rake")
    assert found["org.slf4j:slf4j-api"].ecosystem == "maven"
    assert (found["libcrypto3"].ecosystem, found["libcrypto3"].source) == ("alpine:3.19.1", "openssl")
    assert gaps == (f"/opt/billing/age: {golang.UNTOLD}",)


def test_a_go_program_of_debian_is_debians_and_its_copy_is_not(system: System) -> None:
    rows, _ = look(system.work, roots=ROOTS, root=str(system.root))
    found = {p.where: p for p in rows if p.name == "stdlib"}
    assert {where: p.owner for where, p in found.items()} == {
        "/usr/bin/age": "age", "/usr/bin/age-keygen": "age", "/opt/billing/age": ""
    }  # fmt: skip
    assert {p.version.split(".")[0] for p in found.values()} == {"1"}
    assert sorted((p.owner, p.where) for p in rows if p.name == "org.slf4j:slf4j-api") == [
        ("", "/opt/billing/app.war!/WEB-INF/lib/slf4j-api.jar"), ("", "/opt/billing/slf4j-api.jar"),
        ("libslf4j-java", "/usr/share/java/slf4j-api.jar"),
    ]  # fmt: skip


def test_what_an_rpm_has_is_the_rpms(tmp_path: Path) -> None:
    """A real package in a real database of rpm, asked by the real rpm."""
    require(os.geteuid() == 0 and shutil.which("rpmbuild"), "root and rpmbuild (see tools/debian-packages.txt)")
    site, root = "/usr/lib/python3/site-packages", tmp_path / "root"
    metadata = {f"{site}/six-1.dist-info/METADATA": "Name: six\nVersion: 1\n"}
    repository = RpmRepository(tmp_path)
    try:
        repository._build(Rpm("python3-six", "1", files=metadata))
    finally:
        repository.stop()
    (root / "usr/bin").mkdir(parents=True)
    (root / "var/lib/rpm").mkdir(parents=True)
    rpm = ("rpm", "--root", str(root), "--define", "_dbpath /var/lib/rpm")
    ran(*rpm, "-i", "--nodeps", *repository.directory.glob("*.rpm"), cwd=tmp_path)
    (root / "usr/bin/rpm").write_text('#!/bin/sh\nexec /usr/bin/rpm --define "_dbpath /var/lib/rpm" "$@"\n')
    (root / "usr/bin/rpm").chmod(0o755)
    mine = root / "opt/app/site-packages/six-1.dist-info"
    mine.mkdir(parents=True)
    (mine / "METADATA").write_text("Name: six\nVersion: 1\n")
    found, told = look(tmp_path, roots=("/usr", "/opt"), root=str(root))
    assert {p.where: p.owner for p in found} == {site: "python3-six", "/opt/app/site-packages": ""}
    assert told.gaps == ()


def test_an_inventory_tells_it_and_then_only_what_changed(system: System, tmp_path: Path) -> None:
    """Through the scan, as the agent does: full, nothing new, a new version, gone; and to a cell that keeps less."""
    (tmp_path / "work").mkdir()
    provider, sequence = FakeProvider(SystemClock()), 0
    provider.have("bash", "5.2")

    def scanned(stamp: str, keeps: tuple[str, ...] = KEPT_FIELDS) -> Inventory | None:
        nonlocal sequence
        task = Task(sequence, sequence + 1, "1", Stamp(stamp, "q"), 1.0)
        told = scan(provider, tmp_path, task, lambda known: look(system.work, known, ROOTS, root=str(system.root)))
        assert told.removed == 0  # what was found and is gone is no package that was removed from the system
        if not told.sequence:
            return None
        sequence = told.sequence
        adopt(tmp_path, keeps)
        return codec.decode(Inventory, (tmp_path / "work" / BODY).read_bytes())

    full = scanned("a")
    assert full is not None
    assert {"bash", "demo-lib", "@demo/tool", "rake"} <= {p.name for p in full.changed}
    assert full.status is not None
    assert full.status.software is not None
    assert full.status.software.found == len(full.changed) - 1
    assert scanned("b") is None
    ran(
        "npm",
        "uninstall",
        "-g",
        "--silent",
        "--offline",
        "--prefix",
        system.root / "opt/node",
        "@demo/tool",
        cwd=tmp_path,
    )
    site = next((system.root / "opt/app").glob("lib/python3*/site-packages/demo_lib-1.2.3.dist-info/METADATA"))
    site.write_text(site.read_text().replace("1.2.3", "1.2.4"))
    delta = scanned("c", keeps=("owner", "where"))
    assert delta is not None
    assert [(p.name, p.version) for p in delta.changed] == [("demo-lib", "1.2.4")]
    assert [key.partition(":")[0] for key in delta.removed] == ["@demo/tool"]
    assert scanned("d", keeps=()) is None  # no rpm here, so nothing that the cell forgot differs
    (tmp_path / "work" / "software.json").unlink(missing_ok=True)
    site.write_text(site.read_text().replace("1.2.4", "1.2.5"))
    assert scanned("e", keeps=()) is not None
    again = scanned("f")
    assert again is not None  # an older cell has kept neither place nor owner: they are told again
    assert {p.name for p in again.changed} >= {"rake", "demo-lib"}
    assert all(p.where for p in acknowledged(tmp_path) if p.name != "bash")


@pytest.mark.long
def test_a_program_built_with_modules_names_them(tmp_path: Path) -> None:
    """esbuild of npm's registry: a package of node with a program of Go in it, as its makers built it."""
    require(shutil.which("npm"), "npm")
    words = ("npm", "install", "-g", "--silent", "--prefix", str(tmp_path / "root/opt/node"), "esbuild@0.21.5")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=False)
    require(done.returncode == 0, "npm's registry")
    found, told = look(tmp_path, roots=("/opt",), root=str(tmp_path / "root"))
    assert {(p.ecosystem, p.name, p.version) for p in found} >= {
        ("npm", "esbuild", "0.21.5"), ("golang", "stdlib", "1.20.12"),
        ("golang", "golang.org/x/sys", "v0.0.0-20220715151400-c0bba94af5f8"),
    }  # fmt: skip
    assert told.gaps == ()


@pytest.mark.long
def test_a_list_of_crates_is_read_from_a_real_program(system: System, tmp_path: Path) -> None:
    """Debian's fd, with a list added by binutils as `cargo auditable` would have put it there."""
    require(shutil.which("objcopy"), "objcopy (binutils)")
    listed = {"packages": [{"name": "regex", "version": "1.6.0", "source": "crates.io"}]}
    (tmp_path / "list").write_bytes(zlib.compress(json.dumps(listed).encode()))
    (tmp_path / "root/opt/bin").mkdir(parents=True)
    ran("objcopy", "--add-section", f".dep-v0={tmp_path}/list", system.root / "usr/lib/cargo/bin/fd",
        tmp_path / "root/opt/bin/fd", cwd=tmp_path)  # fmt: skip
    found, _ = look(tmp_path, roots=("/opt",), root=str(tmp_path / "root"))
    assert [(p.ecosystem, p.name, p.version, p.where) for p in found] == [
        ("crates.io", "regex", "1.6.0", "/opt/bin/fd")
    ]
