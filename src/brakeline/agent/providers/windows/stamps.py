"""What a scan of a Windows depends on: when keys and files that hold it were written. Imported on Windows alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

assert sys.platform == "win32"
from brakeline.agent.providers.windows import registry  # noqa: E402 - Windows alone

SLOW: Final = (
    r"ProgramData\Brakeline\programs.json", r"ProgramData\Brakeline\programs.hold",
    r"ProgramData\Brakeline\state\wua-lists.json", r"ProgramData\Brakeline\state\winget-lists.json",
    r"Windows\SoftwareDistribution\DataStore\DataStore.edb",
)  # fmt: skip
QUICK: Final = (r"ProgramData\Brakeline\state\programs-lists.json",)


def parts() -> tuple[list[str], list[str]]:
    """Of packages and updates (slow), of health and restarts (quick)."""
    drive = Path(f"{os.environ.get('SYSTEMROOT', 'C:')[:2]}\\")
    slow = [*registry.stamp(), *(_file(drive / name) for name in SLOW)]
    return slow, [*map(str, sorted(registry.restarts().items())), *(_file(drive / name) for name in QUICK)]


def _file(path: Path) -> str:
    try:
        s = path.stat()
    except OSError as e:
        return f"{path.name} {e.errno}"
    return f"{path.name} {s.st_size} {s.st_mtime_ns}"
