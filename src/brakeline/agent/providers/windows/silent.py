"""How an own package's script would be started on Windows without a question, and what its number means. Pure.

Made after the documented command lines and *not run on the real system*: no provider uses it yet. What was really done,
detection would say; a restart that Windows Installer asks for is told and never begun (`/norestart` is a rule).
Next: `exits`, `protocol.software_rules`.
"""

from __future__ import annotations

import re
from typing import Final

from brakeline.agent.providers.model import Refused
from brakeline.agent.providers.windows.exits import RESTART, msi
from brakeline.protocol.software import Script

ARTIFACT: Final = "%BRAKELINE_ARTIFACT%"  # in the words of msiexec, which no shell reads
ENDING: Final = {"powershell": "ps1", "cmd": "cmd"}
_WORD: Final = re.compile(r'(?:[^\s"]|"[^"]*")+')


def command(script: Script, artifact: str, path: str) -> list[str]:
    """The program and its words. `path`: where the script's text was written; msiexec takes its text as words."""
    match script.interpreter:
        case "msiexec":
            words = (w.replace('"', "").replace(ARTIFACT, artifact) for w in _WORD.findall(script.text))
            return ["msiexec.exe", *words]
        case "powershell":
            return ["powershell.exe", "-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass",
                    "-File", path]  # fmt: skip
        case _:
            return ["cmd.exe", "/d", "/c", path]


def judged(script: Script, code: int) -> tuple[Refused | None, bool]:
    """Trouble or None, and whether a restart is due."""
    if script.interpreter == "msiexec":
        trouble, restart = msi(code)
        return (None, restart) if code in script.success else (trouble, restart)
    if code in script.success:
        return None, code in RESTART
    return Refused("maintainer_script_failed", f"It ended with {code}."), False
