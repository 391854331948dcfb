"""Has rpmbuild write the .rpm, told everything that it would else take from the machine or the clock.

Invariants: two builds by the same rpm are bit-identical: time and host are named, modification times are clamped,
nothing is compiled, stripped or searched for dependencies, the payload's compressor is fixed. Root is not needed.
The header names the version of rpm that built it, so another rpm gives other bytes (same contents).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from brakeline.core.errors import Fault, Invalid
from brakeline.releases.build import PYTHON_NEEDED
from brakeline.releases.packages import (
    DESCRIPTION,
    FIXED_S,
    LIB,
    MAINTAINER,
    NAME,
    SUMMARY,
    File,
    Package,
)

RELEASE: Final = "1"
ARCHITECTURES: Final = {"": "noarch", "x86_64": "x86_64", "aarch64": "aarch64"}
BUILD_S_MAX: Final = 300
MACROS: Final = {
    "_buildhost": "reproducible", "use_source_date_epoch_as_buildtime": "1", "source_date_epoch_from_changelog": "0",
    "clamp_mtime_to_source_date_epoch": "1", "_build_id_links": "none", "debug_package": "%{nil}",
    "__os_install_post": "%{nil}", "__brp_mangle_shebangs": "%{nil}", "_binary_payload": "w6.xzdio",
    "_source_filedigest_algorithm": "8", "_binary_filedigest_algorithm": "8", "optflags": "-O2", "vendor": "Brakeline",
    "_rpmfilename": "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
}  # fmt: skip


class NoRpmbuild(Fault):
    """rpmbuild is not there, or it failed."""

    code, status = "no-rpmbuild", 422
    hint = "Install it (Debian: apt-get install rpm; Fedora: dnf install rpm-build) and run the same again."


def file_name(package: Package) -> str:
    """As rpm repositories call it."""
    return f"{NAME}-{package.version}-{RELEASE}.{architecture(package)}.rpm"


def architecture(package: Package) -> str:
    """rpm's name of the machine. `Invalid` for one that we do not know."""
    if package.machine not in ARCHITECTURES:
        raise Invalid(f"no .rpm is built for {package.machine!r}; for {', '.join(a for a in ARCHITECTURES if a)}")
    return ARCHITECTURES[package.machine]


def build(package: Package) -> bytes:
    """The whole file. `NoRpmbuild` where that program is missing or fails."""
    if shutil.which("rpmbuild") is None:
        raise NoRpmbuild("rpmbuild is not on this machine")
    with tempfile.TemporaryDirectory(prefix="brakeline-rpm-") as name:
        top = Path(name)
        _lay_out(top / "tree", package)
        (top / "agent.spec").write_text(spec(package), encoding="utf-8")
        _rpmbuild(top, package)
        return (top / "RPMS" / file_name(package)).read_bytes()


def _lay_out(tree: Path, package: Package) -> None:
    for name, file in package.files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode)
        os.utime(path, (FIXED_S, FIXED_S))
    for folder in sorted((p for p in tree.rglob("*") if p.is_dir()), reverse=True):
        folder.chmod(0o755)
        os.utime(folder, (FIXED_S, FIXED_S))


def _rpmbuild(top: Path, package: Package) -> None:
    macros = MACROS | {"_topdir": str(top), "_tmppath": str(top), "tree": str(top / "tree")}
    defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    command = [
        "rpmbuild",
        "-bb",
        "--quiet",
        "--target",
        f"{architecture(package)}-linux",
        *defines,
        str(top / "agent.spec"),
    ]
    # A home of its own: no macros of whoever builds. The rest of the environment only where programs are found.
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(top), "LC_ALL": "C", "TZ": "UTC",
                   "SOURCE_DATE_EPOCH": str(FIXED_S)}  # fmt: skip
    done = subprocess.run(
        command, cwd=top, env=environment, umask=0o022, capture_output=True, text=True, timeout=BUILD_S_MAX, check=False
    )
    if done.returncode:
        raise NoRpmbuild(f"rpmbuild ended with {done.returncode}: {done.stderr.strip()[-400:]}")


def spec(package: Package) -> str:
    """The recipe: no sources and nothing to build, the tree is there already."""
    needs = f"libc.so.6(GLIBC_{package.glibc})(64bit)" if package.machine else f"python3 >= {PYTHON_NEEDED}"
    scripts = package.scripts
    when = datetime.fromtimestamp(FIXED_S, UTC).strftime("%a %b %d %Y")
    head = [
        f"Name: {NAME}", f"Version: {package.version}", f"Release: {RELEASE}", f"Summary: {SUMMARY}",
        "License: Apache-2.0", f"Packager: {MAINTAINER}", "AutoReqProv: no",
        *([] if package.machine else ["BuildArch: noarch"]), f"Requires: {needs}", "Requires: systemd",
        "Requires(post): systemd", "Requires(preun): systemd",
    ]  # fmt: skip
    sections = {
        "description": "\n".join(DESCRIPTION),
        "install": 'mkdir -p "%{buildroot}"\ncp -a "%{tree}/." "%{buildroot}/"',
        "pre": scripts.before_install,
        "post": scripts.after_install,
        # $1 = how many of it are left afterwards: 0 = it is removed, 1 = another version takes its place
        "preun": f'if [ "$1" = 0 ]; then\n{scripts.before_remove.rstrip()}\nfi',
        "postun": f'if [ "$1" = 0 ]; then\n{scripts.after_remove.rstrip()}\nfi',
        "files": "\n".join(_listed(package)),
        "changelog": f"* {when} {MAINTAINER} - {package.version}-{RELEASE}\n- See CHANGELOG.md of the source.",
    }
    body = "\n\n".join(f"%{name}\n{_literal(name, text)}" for name, text in sections.items())
    return "\n".join(head) + "\n\n" + body + "\n"


def _literal(section: str, text: str) -> str:
    """Scripts fail at the first failure, as Debian's do; no `%` of theirs is a macro."""
    if section not in ("pre", "post", "preun", "postun"):
        return text.rstrip()
    return "set -e\n" + text.replace("%", "%%").rstrip()


def _listed(package: Package) -> Iterator[str]:
    """Every file with its mode, and the directories that are ours alone."""
    yield "%defattr(-,root,root,0755)"
    ours = {LIB, f"usr/share/doc/{NAME}"}
    parents = {str(p) for name in package.files for p in PurePosixPath(name).parents}
    for folder in sorted(p for p in parents if any(p == own or p.startswith(own + "/") for own in ours)):
        yield f"%dir /{folder}"
    for name, file in package.files.items():
        yield f"%attr({file.mode:04o},root,root) {_kind(name, file)}/{name}"


def _kind(name: str, file: File) -> str:
    return "%doc " if name.startswith(("usr/share/doc/", "usr/share/man/")) and file.mode == 0o644 else ""
