"""Which version of its package manager a system has: what the program itself says. Only a full look asks."""

from __future__ import annotations

import re
from typing import Final

from brakeline.agent.providers.apt.runner import Machine, Runner

COMMANDS: Final = {
    "apt": ("apt-get", "--version"), "dnf": ("dnf", "--version"), "zypper": ("zypper", "--version"),
    "pacman": ("pacman", "--version"),
}  # fmt: skip
_VERSION: Final = re.compile(r"\d+(?:\.\d+)+")


def version_of(manager: str, runner: Runner | None = None) -> str:
    """The first number with a dot in the answer; "" where there is none."""
    command = COMMANDS.get(manager)
    if command is None:
        return ""
    try:
        text = (runner or Machine()).query(*command, timeout_s=20.0).text
    except OSError:
        return ""
    return found[0] if (found := _VERSION.search(text)) else ""
