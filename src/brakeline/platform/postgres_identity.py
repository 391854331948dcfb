"""As whom PostgreSQL runs: it refuses root, so root drops its rights in one of three ways.

1. *drop*: as user `brakeline-db` if the package made it, else `nobody`, when programs and data are reachable for it;
2. *unshare*: inside a user namespace in which root is called `nobody`: works below directories that only root may
   enter, changes no owner, needs no new user;
3. *copy*: like drop, with the programs (41 MB) copied below the data directory.
A plain user runs it as it is. The decision is made by trying, not by guessing from permissions.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brakeline.core.errors import Fault
from brakeline.platform.postgres_providers import Provider

DROP_USERS = ("brakeline-db", "nobody")
UNSHARE = ("--user", "--map-user=65534", "--map-group=65534", "--")
PROBE_S = 20.0  # starting a small program takes milliseconds; this bounds a machine that hangs


class CannotDropRoot(Fault):
    """PostgreSQL refuses to run as root, and no way was found to drop root's rights."""

    code = "cannot-drop-root"
    hint = "Start as a plain user, or choose a data directory that user nobody may enter (--data /var/lib/brakeline)."


@dataclass(frozen=True, slots=True)
class Identity:
    """How to start PostgreSQL's programs, who owns their files, and who the database sees at the socket."""

    way: str  # "self" | "drop" | "unshare"
    uid: int  # owner of data and socket directory
    gid: int
    peers: tuple[str, ...]  # operating-system names under which our own connections arrive
    prefix: tuple[str, ...] = ()

    def popen_arguments(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess` that make the child run as this identity."""
        if self.way != "drop":
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def choose_identity(provider: Provider, data_dir: Path, unshare: str | None = None) -> tuple[Identity, Provider]:
    """The identity for this process, and the provider to use with it (a copy, if it had to be copied).

    `data_dir` exists. `unshare` is the program's path; None = look it up, "" = pretend that there is none.
    """
    if os.geteuid() != 0:
        return _plain_user(), provider
    drop = _drop_user()
    data_reachable = _runs(drop, ["/usr/bin/test", "-x", str(data_dir)])
    if data_reachable and _runs(drop, [provider.program("postgres"), "--version"]):
        return drop, provider
    program = shutil.which("unshare") if unshare is None else unshare
    if program:
        inside = Identity("unshare", 0, 0, ("root", "nobody"), (program, *UNSHARE))
        if _runs(inside, [provider.program("postgres"), "--version"]):
            return inside, provider
    if data_reachable:
        return drop, _copied(provider, data_dir)
    raise CannotDropRoot(f"user namespaces do not work here, and {data_dir} cannot be entered by others than root")


def _plain_user() -> Identity:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        raise Fault(
            f"user id {uid} has no entry in /etc/passwd, and PostgreSQL refuses to run without one; "
            "in a container image add a line for it"
        ) from None
    return Identity("self", uid, os.getegid(), (name,))


def _drop_user() -> Identity:
    for name in DROP_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity("drop", entry.pw_uid, entry.pw_gid, ("root", name))
    raise CannotDropRoot(f"none of the users {', '.join(DROP_USERS)} exists")


def _runs(identity: Identity, command: list[str]) -> bool:
    try:
        done = subprocess.run(
            [*identity.prefix, *command], check=False, capture_output=True, cwd="/", timeout=PROBE_S,
            **identity.popen_arguments(),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _copied(provider: Provider, data_dir: Path) -> Provider:
    """`provider` with its programs copied below `data_dir` (once per version), for the user that was dropped to."""
    target = data_dir / f"postgres-programs-{provider.major}"
    install = provider.bindir.parent
    inner = target / install.parent.name / install.name
    if not (inner / "bin" / "postgres").exists():
        part = target.with_suffix(".part")  # renamed when whole: a copy cut short is never taken for a good one
        for leftover in (part, target):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.copytree(install, part / install.parent.name / install.name, symlinks=True)
        libraries = install.parent.parent / f"{install.parent.name}.libs"  # the wheel's own shared libraries
        if libraries.is_dir():
            shutil.copytree(libraries, part / libraries.name, symlinks=True)
        for directory in (part, part / install.parent.name):
            directory.chmod(0o755)
        part.rename(target)
    return replace(provider, bindir=inner / "bin")
