"""Pure: packages of a Mac by the titles of Apple's lists. A title without its version is one stream: `macOS Sequoia
15.4.1` is `macOS-Sequoia`. What softwareupdate has never installed here has no version that anybody told."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.macos.softwareupdate import Update

LABEL: Final = "macos"  # stands for the architecture
SYSTEM: Final = "macOS"


def stream(title: str, version: str) -> str:
    """The title without its version, as a package may be called."""
    bare = title.removesuffix(version).strip() if version else title
    return re.sub(r"[^0-9A-Za-z.+_]+", "-", bare).strip("-._+")[:100] or "unknown"


def named(update: Update) -> str:
    """The system's own updates are updates of the system, whatever the year's name is."""
    name = stream(update.title, update.version)
    return SYSTEM if name.startswith("macOS") and update.restarts else name


def numbers(version: str) -> tuple[int, ...]:
    """For what is newer of two of one name."""
    return tuple(int(n[:18]) for n in re.findall(r"[0-9]+", version))


def here(system: str, history: Iterable[tuple[str, str]]) -> tuple[Installed, ...]:
    """The system, and of each stream what was installed last."""
    last = {stream(title, version): version for title, version in history}
    rows = {name: version for name, version in last.items() if not name.startswith("macOS")}
    rows |= {SYSTEM: system} if system else {}
    return tuple(Installed(n, LABEL, v, n, v, "ii") for n, v in sorted(rows.items()))
