"""Which system package owns a file, by the package manager's own lists of files. Reads them once for many paths.

A language's metadata in a system package is that package's: Debian's python3-django is patched without a new version
of Django, so PyPI's advisories would be wrong about it. dpkg, pacman and apk have lists that are text; rpm is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from brakeline.agent.providers.apt.runner import AnswerLost, Attentive, Machine
from brakeline.agent.software.model import Unreadable

RPM: Final = "usr/bin/rpm"
RPM_S_MAX: Final = 60.0
FORMAT: Final = "[%{=NAME}\\t%{FILENAMES}\\n]"  # rpm understands the two-character escapes itself
_MERGED: Final = ("/lib/", "/bin/", "/sbin/", "/lib64/")  # directories that are links below /usr on a merged system


def owners(paths: frozenset[str], root: str = "") -> dict[str, str]:
    """Path -> name of the package that has it; paths of none are missing. Raises `Unreadable`: it is not known."""
    wanted = {_canonical(path): path for path in paths}
    found: dict[str, str] = {}
    if wanted:
        for package, path in _files(Path(root or "/")):
            mine = wanted.get(_canonical(path))
            if mine is not None:
                found[mine] = package
    return found


def mark(root: str = "") -> str:
    """Changes when a package manager's records do."""
    parts = []
    for name in ("var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/rpmdb.sqlite",
                 "var/lib/rpm/Packages", "var/lib/pacman/local", "lib/apk/db/installed"):  # fmt: skip
        try:
            status = (Path(root or "/") / name).stat()
        except OSError:
            continue
        parts.append(f"{status.st_ino}.{status.st_size}.{status.st_mtime_ns}")
    return " ".join(parts)


def _files(root: Path) -> Iterator[tuple[str, str]]:
    """(package, path) of every file of every package."""
    yield from _dpkg(root / "var/lib/dpkg/info")
    yield from _pacman(root / "var/lib/pacman/local")
    yield from _apk(root / "lib/apk/db/installed")
    if (root / RPM).exists() and any((root / p).is_dir() for p in ("var/lib/rpm", "usr/lib/sysimage/rpm")):
        yield from _rpm(root)


def _dpkg(info: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(info.glob("*.list")) if info.is_dir() else ():
        name = path.name.removesuffix(".list").partition(":")[0]
        for line in _lines(path):
            yield name, line


def _pacman(local: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(local.glob("*/files")) if local.is_dir() else ():
        name = path.parent.name.rsplit("-", 2)[0]
        for line in _lines(path):
            if line and not line.startswith("%"):
                yield name, f"/{line}"


def _apk(installed: Path) -> Iterator[tuple[str, str]]:
    name = directory = ""
    for line in _lines(installed):
        if line.startswith("P:"):
            name = line[2:]
        elif line.startswith("F:"):
            directory = line[2:]
        elif line.startswith("R:"):
            yield name, f"/{directory}/{line[2:]}"


def _rpm(root: Path) -> Iterator[tuple[str, str]]:
    """rpm is asked for everything at once: a question for each path would start it as often."""
    where = ("--root", str(root)) if str(root) != "/" else ()
    try:
        ran = Attentive(Machine()).query(str(root / RPM), *where, "-qa", "--qf", FORMAT, timeout_s=RPM_S_MAX)
    except (AnswerLost, OSError) as e:
        raise Unreadable(f"which packages own these files could not be asked: {e}") from None
    for line in ran.text.splitlines():
        name, _, path = line.partition("\t")
        yield name, path


def _lines(path: Path) -> Iterator[str]:
    try:
        yield from path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return


def _canonical(path: str) -> str:
    return f"/usr{path}" if path.startswith(_MERGED) else path
