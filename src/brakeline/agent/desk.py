"""People at this machine, for the root helper: who is logged in, how they are told, and what they ask for.

They are told by `wall`, by a message at login (`/run/motd.d`), and on their desktop where they have one; a tool that
is missing is said and stops nothing. They ask by a file in a folder that everybody can write to: it counts if whoever
owns it is logged in, or root. Everything lies below /run: it ends with the boot that it is about.
Decided in `people`, worded in `people_words`; `reboots` asks.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from brakeline.agent.config import RUN_DIR, SHOWN
from brakeline.core.errors import Fault

MOTD_DIR: Final = Path("/run/motd.d")  # pam_motd reads it
ASKS: Final = "defer"
ODD: Final = "defer-odd"  # folders that somebody made where people ask; gone with the boot
ASKS_MAX: Final = 64  # looked at in one go
DESKTOPS_MAX: Final = 8
TOOL_S_MAX: Final = 4
GRAPHICAL: Final = frozenset({"x11", "wayland", "mir"})
LOGIN: Final = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
NOTIFY: Final = ("org.freedesktop.Notifications", "/org/freedesktop/Notifications", "org.freedesktop.Notifications",
                 "Notify", "susssasa{sv}i")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is logged in."""

    uid: int
    desktop: bool


class NoTool(Fault):
    """A tool of the system is missing or failed."""

    code = "no-tool"


Tool = Callable[..., str]


def tool(*command: str, said: str = "") -> str:
    """What a tool of the system prints; `NoTool`."""
    try:
        done = subprocess.run(command, input=said, capture_output=True, text=True, timeout=TOOL_S_MAX, check=False)
    except OSError as e:
        raise NoTool(f"{command[0]}: {e.strerror}") from None
    except subprocess.SubprocessError:
        raise NoTool(f"{command[0]} gave no answer within {TOOL_S_MAX} s") from None
    if done.returncode:
        raise NoTool(f"{command[0]}: {(done.stderr or done.stdout).strip()[:200] or f'ended with {done.returncode}'}")
    return done.stdout


class Desk:
    """See the module. `said`: where a missing tool is told."""

    def __init__(self, said: Callable[[str], None], run_dir: Path = RUN_DIR, motd_dir: Path = MOTD_DIR,
                 tool: Tool = tool) -> None:  # fmt: skip
        self._said, self._tool = said, tool
        self._shown, self._asks, self._motd = run_dir / SHOWN, run_dir / ASKS, motd_dir / "brakeline"
        self._aside = run_dir / ODD

    # --- who is there ----------------------------------------------------------------------------------------------

    def there(self) -> tuple[Person, ...] | None:
        """Who is logged in; None = nobody can tell."""
        try:
            listed = self._tool("loginctl", "list-sessions", "--no-legend")
            ids = [words[0] for line in listed.splitlines() if (words := line.split())]
            if not ids:
                return ()
            ask = ("User", "Class", "State", "Type")
            return people_of(self._tool("loginctl", "show-session", *ids, *(f"--property={p}" for p in ask)))
        except (NoTool, ValueError) as e:
            self._said(f"who is logged in cannot be found out: {e}")
            return None

    def asked(self, people: Iterable[Person]) -> bool:
        """Whether somebody who may puts it off. What was asked is taken, from whomever.

        Each of them is looked for by name first: whoever else is here may fill the folder, and hides nobody.
        """
        may = {0, *(p.uid for p in people)}
        found = False
        for uid in sorted(may):
            found |= self._took(self._asks / str(uid), may)
        with suppress(OSError), os.scandir(self._asks) as entries:
            for _, entry in zip(range(ASKS_MAX), entries, strict=False):
                found |= self._took(Path(entry.path), may)
        return found

    def _took(self, path: Path, may: set[int]) -> bool:
        """Take one entry away, whatever it is; whether it is the word of one of these."""
        with suppress(OSError):
            about = path.lstat()
            if not stat.S_ISDIR(about.st_mode):
                path.unlink()
                return stat.S_ISREG(about.st_mode) and about.st_nlink == 1 and about.st_uid in may
            self._aside.mkdir(mode=0o700, exist_ok=True)  # only here could root meet what others put below it
            os.rename(path, self._aside / f"{path.name}.{about.st_ino}")
        return False

    # --- what they are told ----------------------------------------------------------------------------------------

    def show(self, standing: str, left: int, boot_id: str) -> None:
        """The message at login, and what `defer` reads. Opens the folder for asking."""
        try:
            self._asks.mkdir(parents=True, exist_ok=True)
            os.chmod(self._asks, 0o1733)  # noqa: S103 - everybody may ask; whose word counts, its owner says
            _write(self._shown, json.dumps({"text": standing, "left": left, "boot_id": boot_id}))
            self._motd.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            _write(self._motd, f"\n*** {standing}\n")
        except OSError as e:
            self._said(f"the message at login cannot be written: {e.strerror}: {e.filename}")

    def call(self, news: str, people: Iterable[Person]) -> None:
        """Tell everybody who is there now."""
        try:
            self._tool("wall", said=news + "\n")
        except NoTool as e:
            self._said(f"people at the terminals are not told: {e.detail}")
        for uid in sorted({p.uid for p in people if p.desktop})[:DESKTOPS_MAX]:
            try:
                self._tool(*desktop_call(uid, news))
            except NoTool as e:
                self._said(f"the desktop of user {uid} is not told: {e.detail}")

    def clear(self) -> None:
        """Nothing waits any more."""
        for path in (self._shown, self._motd):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def people_of(blocks: str) -> tuple[Person, ...]:
    """Who is logged in, by the properties of sessions as `loginctl` prints them."""
    found: list[Person] = []
    for block in blocks.split("\n\n"):
        about = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if about.get("Class", "").startswith("user") and about.get("State") != "closing":
            found.append(Person(int(about["User"]), about.get("Type") in GRAPHICAL))
    return tuple(found)


def desktop_call(uid: int, text: str) -> list[str]:
    """A notification on the session bus of a user, by a unit of theirs: the helper itself sees no home and no bus."""
    words = ["brakeline", "0", "", "Restart", text, "0", "1", "urgency", "y", "2", "-1"]
    return [
        "systemd-run", "--quiet", "--no-block", "--collect", f"--property=User={uid}", "--property=RuntimeMaxSec=10",
        f"--setenv=DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{uid}/bus", "busctl", "--user", "--", "call", *NOTIFY,
        *words,
    ]  # fmt: skip


def blocked(tool: Tool = tool) -> str:
    """Why no restart may begin whoever is logged in: an inhibitor (a backup), or nobody can tell; "" = it may."""
    try:
        said = tool("busctl", "get-property", *LOGIN, "BlockInhibited")
    except NoTool as e:
        return f"whether something inhibits a restart cannot be found out: {e}"
    what = said.strip().removeprefix("s ").strip('"').split(":")
    return "something inhibits a restart (systemd-inhibit --list)" if "shutdown" in what else ""


# --- the other side: a person who asks -----------------------------------------------------------------------------


def shown(run_dir: Path, boot_id: str) -> dict[str, Any] | None:
    """What people are told at present; None = nothing waits."""
    try:
        plain = json.loads((run_dir / SHOWN).read_bytes())
    except (OSError, ValueError):
        return None
    return plain if isinstance(plain, dict) and plain.get("boot_id") == boot_id else None


def ask(run_dir: Path) -> None:
    """Ask for a deferral, as whoever runs this. OSError."""
    handle = os.open(run_dir / ASKS / str(os.getuid()), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.close(handle)


def _write(path: Path, text: str) -> None:
    """Readable by everybody, whole or not at all; it need not survive the boot."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text, encoding="utf-8")
    os.chmod(aside, 0o644)
    os.replace(aside, path)
