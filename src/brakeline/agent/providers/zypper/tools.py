"""The commands of zypper and rpm on one root directory, and where its files are. Nothing here judges an answer.

`Rooted` makes every path one below the root, so that the rest speaks of `/var/lib/...` as the endpoint itself does. The
lock of libzypp is kept inside the root as well (`ZYPP_LOCKFILE_ROOT`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from brakeline.agent.providers.apt.runner import QUERY_S_MAX, Ran, Runner

CACHE: Final = "/var/cache/zypp/packages"
SOLVE_S_MAX: Final = 180.0  # one resolver run over the metadata of a whole distribution, on a slow disk
ANSWER_ONLY: Final = ("--non-interactive", "--xmlout")


@dataclass(frozen=True, slots=True)
class Rooted:
    """A runner whose endpoint lies in the directory `root` of another's file system."""

    inner: Runner
    root: str = "/"

    def inside(self, absolute: str) -> str:
        """A path of the endpoint, as commands that run outside of its root must be told it."""
        return self.root.rstrip("/") + absolute

    def path(self, absolute: str) -> Path:
        return self.inner.path(self.inside(absolute))

    def query(self, *command: str, timeout_s: float = QUERY_S_MAX) -> Ran:
        return self.inner.query(*command, timeout_s=timeout_s)

    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        return self.inner.job(*command, timeout_s=timeout_s, log=log, environment=environment)


@dataclass(frozen=True, slots=True)
class Tools:
    """zypper and rpm of one endpoint."""

    at: Rooted
    conf: str = ""  # another zypp.conf than the endpoint's, where one of its settings must be different

    def zypper(self, *arguments: str, refresh: bool = False) -> tuple[str, ...]:
        """A command line of zypper that can neither prompt nor, unless told, fetch metadata."""
        # It lets nobody but root resolve anything, not even in a dry run, unless it is told of a root.
        root = () if self.at.root == "/" and os.geteuid() == 0 else ("--root", self.at.root)
        fresh = () if refresh else ("--no-refresh",)
        conf = (f"ZYPP_CONF={self.conf}",) if self.conf else ()
        return ("env", f"ZYPP_LOCKFILE_ROOT={self.at.root}", *conf, "zypper", *root, *ANSWER_ONLY, *fresh, *arguments)

    def rpm(self, *arguments: str, program: str = "rpm") -> tuple[str, ...]:
        root = () if self.at.root == "/" else ("--root", self.at.root)
        return (program, *root, *arguments)

    def ask_zypper(self, *arguments: str) -> Ran:
        return self.at.query(*self.zypper(*arguments), timeout_s=SOLVE_S_MAX)

    def ask_rpm(self, *arguments: str) -> Ran:
        return self.at.query(*self.rpm(*arguments))

    @property
    def records(self) -> str:
        """The directory of rpm's records, as the endpoint names it: rpm's own word, distributions differ."""
        return self.at.query("rpm", "--eval", "%{_dbpath}").text.strip() or "/usr/lib/sysimage/rpm"
