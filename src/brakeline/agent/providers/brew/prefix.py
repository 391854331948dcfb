"""One Homebrew prefix, read from its directories: no brew is started, and nobody's Ruby is run.

A formula is what `opt/NAME` points to, a keg below `Cellar`; a cask is what the newest record in
`Caskroom/NAME/.metadata` says.
Pins are links in `var/homebrew/pinned`. Whose it is decides as whom brew is started: that is asked of directories that
its owner cannot make anybody else's, and never of where a link points. What no formula could be called is none.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.agent.providers.brew.answers import CASK, FORMULA, PLAIN

PREFIXES: Final = ("/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew")
SETPRIV: Final = "/usr/bin/setpriv"  # of Linux; macOS has sudo for it
QUIET: Final = (
    "HOMEBREW_NO_AUTO_UPDATE=1", "HOMEBREW_NO_INSTALL_CLEANUP=1", "HOMEBREW_NO_ENV_HINTS=1", "HOMEBREW_NO_ANALYTICS=1",
    "HOMEBREW_NO_COLOR=1", "HOMEBREW_NO_EMOJI=1", "HOMEBREW_NO_INSTALLED_DEPENDENTS_CHECK=1", "NONINTERACTIVE=1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prefix:
    """Paths as the endpoint names them."""

    runner: Runner
    place: str

    @property
    def brew(self) -> str:
        return f"{self.place}/bin/brew"

    def installed(self) -> tuple[Installed, ...]:
        pins = set(_listed(self, "var/homebrew/pinned"))
        return (*(self._formula(name, name in pins) for name in _listed(self, "Cellar")), *self._casks())

    def _formula(self, name: str, held: bool) -> Installed:
        linked = self.runner.path(f"{self.place}/opt/{name}")
        try:
            version = os.path.basename(os.readlink(linked))
        except OSError:
            version = ""
        version = version if PLAIN.fullmatch(version) else ""
        kegs = _listed(self, f"Cellar/{name}")
        receipt = self.runner.path(f"{self.place}/Cellar/{name}/{version}/INSTALL_RECEIPT.json")
        sound = version in kegs and receipt.is_file()
        shown = version or (kegs[-1] if kegs else "unknown")
        return Installed(name, FORMULA, shown, name, shown, ("h" if held else "i") + ("i" if sound else "HR"))

    def _casks(self) -> Iterator[Installed]:
        for name in _listed(self, "Caskroom"):
            if version := self._cask(f"Caskroom/{name}"):
                yield Installed(name, CASK, version, name, version, "ii")

    def _cask(self, room: str) -> str:
        """The version that brew has recorded last, as brew itself judges; where it has recorded none, the directory
        that was made last. How versions are spelled says nothing of which is newer.
        """
        records = f"{room}/.metadata"
        when = [(time, version) for version in _listed(self, records) for time in _listed(self, f"{records}/{version}")]
        made = [] if when else [(self._made(f"{room}/{v}"), v) for v in _listed(self, room)]
        return max(when)[1] if when else max(made)[1] if made else ""

    def _made(self, place: str) -> int:
        try:
            return self.runner.path(f"{self.place}/{place}").lstat().st_mtime_ns
        except OSError:
            return 0

    def owner(self) -> os.stat_result | str:
        """Whose prefix it is; a text = why no brew is started here."""
        try:
            cellar, brew, place = (self.runner.path(f"{self.place}/{name}") for name in ("Cellar", "bin/brew", ""))
            owner, program, itself, above = cellar.lstat(), brew.stat(), place.lstat(), place.parent.lstat()
        except OSError as e:
            return f"{self.brew} cannot be looked at: {e.strerror}"
        if 0 in (owner.st_uid, program.st_uid):
            return f"{self.brew} belongs to root, and Homebrew never runs as root"
        if program.st_mode & stat.S_IWOTH:
            return f"everybody may write {self.brew}"
        fixed = itself.st_uid == owner.st_uid or itself.st_uid == above.st_uid == 0
        if program.st_uid != owner.st_uid or not fixed or not all(stat.S_ISDIR(s.st_mode) for s in (owner, itself)):
            return f"{self.place} is not all of one owner"
        return owner

    def unfit(self) -> str:
        """Why no brew is started here; "" = it may be, as its owner."""
        owner = self.owner()
        return owner if isinstance(owner, str) else ""

    def run(self, *words: str, timeout_s: float) -> Ran:
        """brew, as the prefix's owner, with everything off that does more than it is told."""
        owner = self.owner()
        if isinstance(owner, str):  # looked at each time: between two looks its owner may have changed it
            return Ran(-1, f"Error: {owner}")
        home = self._home(owner.st_uid)
        linux = self.runner.path(SETPRIV).exists()
        as_owner = (
            ("setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", "--inh-caps=-all",
             "--no-new-privs")
            if linux else ("sudo", "-n", "-H", "-u", f"#{owner.st_uid}")
        )  # fmt: skip
        return self.runner.job(*as_owner, "env", f"HOME={home}", *QUIET, self.brew, *words, timeout_s=timeout_s)

    def _home(self, uid: int) -> str:
        try:
            rows = (line.split(":") for line in self.runner.path("/etc/passwd").read_text().splitlines())
            return next((row[5] for row in rows if len(row) > 5 and row[2] == str(uid)), self.place)
        except OSError:
            return self.place


def prefixes(runner: Runner) -> tuple[Prefix, ...]:
    """Those that are here: with a brew in them, and a Cellar."""
    found = (Prefix(runner, place) for place in PREFIXES)
    return tuple(p for p in found if runner.path(p.brew).exists() and runner.path(f"{p.place}/Cellar").is_dir())


def _listed(prefix: Prefix, place: str) -> list[str]:
    try:
        return sorted(filter(PLAIN.fullmatch, os.listdir(prefix.runner.path(f"{prefix.place}/{place}"))))
    except (FileNotFoundError, NotADirectoryError):
        return []
