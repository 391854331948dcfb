"""softwareupdate and sw_vers of one Mac, asked. A tool that gives no answer is a fault, never a Mac without updates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.apt.runner import Attentive, Runner
from brakeline.agent.providers.macos.softwareupdate import Update, history, updates
from brakeline.core.errors import Fault

TOOL: Final = "/usr/sbin/softwareupdate"
SW_VERS: Final = "/usr/bin/sw_vers"


class NoAnswer(Fault):
    """A tool of the Mac gave no answer that can be read."""

    code = "macos-no-answer"


@dataclass(frozen=True, slots=True)
class Tool:
    """What can be asked without a privilege and without the network."""

    runner: Runner

    def system_version(self) -> str:
        text = Attentive(self.runner).query(SW_VERS, "-productVersion").text.strip()
        if not re.fullmatch(r"[0-9]+(\.[0-9]+){0,3}", text):
            raise NoAnswer(f"sw_vers: {text[:80]}")
        return text

    def history(self) -> tuple[tuple[str, str], ...]:
        return history(Attentive(self.runner).query(TOOL, "--history", "--all").text)

    def listed(self) -> tuple[Update, ...] | None:
        """What the last scan found, by whoever made it; None = that is no answer."""
        return updates(Attentive(self.runner).query(TOOL, "--list", "--no-scan").text)
