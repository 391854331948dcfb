"""Repositories of rpm and pacman packages built here, that endpoints with such a manager have as their own source.

`rpm/` and `alpm/` beside the apt repository, under the same address. Unsigned, and the endpoints of a fleet ask for no
signature: what providers do about those, their own tests provoke. For tests and for people who look at a mixed fleet.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.fleetbox import alpm
from tools.fleetbox.endpoint import execute
from tools.fleetbox.process import run
from tools.fleetbox.repository import Built
from tools.fleetbox.settings import FleetError, Place

BASE: Final = "synthetic-base"  # provides what scripts of packages are run by
RPM_DEFINES: Final = (
    "debug_package %{nil}", "__os_install_post %{nil}", "_build_id_links none", "_binary_payload w0.gzdio",
    "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
)  # fmt: skip
INSTALL: Final = {
    "dnf": "dnf -qy --refresh install {}",
    "zypper": "zypper -nq refresh && zypper -nq install {}",
    "pacman": "pacman -Sy --noconfirm --noprogressbar {}",
}
# whoever holds a lock at this moment, as an agent that refreshes, is waited for
AGAIN: Final = "n=0; until {{ {}; }}; do n=$((n + 1)); [ $n -lt 5 ] || exit 1; sleep 2; done"
REFRESH: Final = {
    "dnf": "dnf -q makecache --refresh", "zypper": "zypper -nq refresh", "pacman": "pacman -Sy --noprogressbar",
}  # fmt: skip
HAS: Final = {
    "apt": "dpkg-query -W -f '${{Version}}' {}",
    "dnf": "rpm -q --qf '%{{EVR}}' {}", "zypper": "rpm -q --qf '%{{EVR}}' {}",
    "pacman": "pacman -Q {} | cut -d' ' -f2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Beside:
    """`Place.repository` is served; `work` holds what packages are built from."""

    place: Place
    work: Path

    @property
    def rpms(self) -> Path:
        return self.place.repository / "rpm"

    @property
    def alpm(self) -> Path:
        return self.place.repository / "alpm"

    def publish_rpm(self, *packages: Built) -> None:
        """Add these, in release 1 of their version, and write the metadata anew."""
        self.rpms.mkdir(parents=True, exist_ok=True)
        if not list(self.rpms.glob(f"{BASE}-*")):
            self._build(Built(BASE, "1"), "Provides: /bin/sh")
        for package in packages:
            self._build(package)
        run(["createrepo_c", "-q", str(self.rpms)])

    def publish_alpm(self, *packages: Built) -> None:
        """Add these, in release 1 of their version; a newer version of a name takes the place of the former one."""
        self.alpm.mkdir(parents=True, exist_ok=True)
        for p in packages:
            script = f"post_install() {{\n{p.postinst or ':'}\n}}\npost_upgrade() {{\npost_install\n}}\n"
            files = {name.lstrip("/"): text.encode() for name, text in p.files}
            made = alpm.Built(p.name, f"{p.version}-1", files=files, script=script if p.postinst else "")
            for older in self.alpm.glob(f"{p.name}-*.pkg.tar.gz"):
                older.unlink()
            (self.alpm / made.file).write_bytes(alpm.package_bytes(made))
        found = (path.name.removesuffix("-any.pkg.tar.gz").rsplit("-", 2) for path in self.alpm.glob("*.pkg.tar.gz"))
        there = sorted((name, f"{version}-{release}") for name, version, release in found)
        (self.alpm / "fleet.db").write_bytes(alpm.database((alpm.Built(*row) for row in there), self.alpm))

    def install(self, name: str, manager: str, *packages: str) -> None:
        """By the endpoint's own manager, as an administrator would."""
        self._inside(name, manager, INSTALL[manager].format(" ".join(packages)))

    def refresh(self, name: str, manager: str) -> None:
        """Have the endpoint's manager ask its repository again, so that it knows what was published since."""
        self._inside(name, manager, REFRESH[manager])

    def _inside(self, name: str, manager: str, line: str) -> None:
        done = execute(self.place, name, ["bash", "-c", AGAIN.format(line)])
        if done.returncode:
            raise FleetError(f"{name}: {manager} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-800:]}")

    def _build(self, package: Built, *head: str) -> None:
        top = self.work / f"{package.name}-{package.version}.rpm"
        top.mkdir(parents=True)
        files = dict(package.files) or {f"/usr/share/{package.name}/version": package.version}
        lines = [f"Name: {package.name}", f"Version: {package.version}", "Release: 1", "Summary: built for a fleet",
                 "License: MIT", "BuildArch: noarch", "AutoReqProv: no", "Vendor: Fleet", *head, "%description",
                 "built for a fleet in a box", "%install"]  # fmt: skip
        for number, (path, text) in enumerate(files.items()):
            (top / str(number)).write_text(text)
            lines.append(f"install -D -m 644 {top / str(number)} %{{buildroot}}/{path.lstrip('/')}")
        lines += ["%post", package.postinst] if package.postinst else []
        lines += ["%files", *(f"/{path.lstrip('/')}" for path in files)]
        (top / "package.spec").write_text("\n".join(lines) + "\n")
        defines = [w for d in (*RPM_DEFINES, f"_topdir {top}", f"_rpmdir {self.rpms}") for w in ("--define", d)]
        run(["rpmbuild", "-bb", "--quiet", *defines, str(top / "package.spec")], env={**os.environ, "HOME": "/root"})
        shutil.rmtree(top)


def version(place: Place, name: str, manager: str, package: str) -> str:
    """Version of one package as the endpoint's manager has it recorded, "" = none."""
    done = execute(place, name, ["bash", "-c", HAS[manager].format(package)])
    return done.stdout.strip() if done.returncode == 0 else ""
