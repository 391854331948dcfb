"""Command lines of installers, exactly as they are started, and the reason in a log of Windows Installer. Pure.

msiexec and Inno Setup take a whole line apart by themselves and expect quotes around a value, not around a word: so a
line is made here and handed over as it is. No shell reads it. Nothing is in it that `listed` has not looked at.
"""

from __future__ import annotations

import re
from typing import Final

from brakeline.agent.providers.windows.listed import QUIET, Listed

QUIETLY: Final = "/qn /norestart"
LOG_TAIL_BYTES: Final = 256 * 1024
# "Action ended 10:33:21: InstallFiles. Return value 3." in any language: name, point, words, 3
_FAILED: Final = re.compile(r": ([A-Za-z_][\w.]{0,70})\. [^.:\d]{1,40} 3\.?\s*$")
_ERROR: Final = re.compile(r"\b(?:Error|Fehler|Erreur|Errore) (\d{4})[.:]")
_OUTERMOST: Final = ("INSTALL", "ExecuteAction")


def install(p: Listed, path: str, log: str) -> str:
    """What installs a package that lies at `path`."""
    if p.kind == "exe":
        return f'"{path}" {QUIET[p.made_by]}'
    values = "".join(f' {name}="{value}"' for name, value in sorted(p.properties.items()))
    return f'msiexec.exe /i "{path}" {QUIETLY} REBOOT=ReallySuppress{values} /l*v "{log}"'


def uninstall(product: str, log: str) -> str:
    """What takes an MSI product away."""
    return f'msiexec.exe /x {product} {QUIETLY} REBOOT=ReallySuppress /l*v "{log}"'


def text_of(data: bytes) -> str:
    """A log as Windows writes it: UTF-16 with a mark, or else whatever can be read of it; the end of it alone."""
    data = data[:2] + data[-LOG_TAIL_BYTES:] if len(data) > LOG_TAIL_BYTES and data[:2] == b"\xff\xfe" else data
    if data[:2] == b"\xff\xfe":
        return data[2:].decode("utf-16-le", "replace")
    return data[-LOG_TAIL_BYTES:].decode("utf-8", "replace")


def cause(log: str) -> str:
    """Which action of a package failed, and by which of Windows Installer's errors; "" = the log does not say."""
    said, error = "", ""
    for line in log.splitlines():
        found = _FAILED.search(line)
        if found and found[1] not in _OUTERMOST and not said:
            said = found[1]
        number = _ERROR.search(line)
        error = number[1] if number and not error else error
    parts = [f"its action {said} failed"] if said else []
    return ", ".join([*parts, *([f"error {error}"] if error else [])])
