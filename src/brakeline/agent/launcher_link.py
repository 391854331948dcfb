"""The two ends that the launcher gives a release: a pipe for READY and HEALTHY, and its report to be read.

Invariants: nothing here raises for what a launcher, a file or a pipe may be; the pipe is inherited by no child of
ours; without a launcher (a checkout, an old installation) every call does nothing. Next: `releases`, `launcher.report`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from brakeline.protocol import codec
from brakeline.protocol.messages import LauncherReport

REPORT_BYTES_MAX = 64 * 1024


class LauncherLink:
    """`release_id` = what the launcher calls this very release; "" = none started us."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self.release_id = environment.get("BRAKELINE_RELEASE", "")
        report = environment.get("BRAKELINE_LAUNCHER_REPORT", "")
        self._report = Path(report) if report else None
        self._pipe = _pipe(environment)
        self._stamp = (-1, -1)

    @staticmethod
    def there() -> bool:
        """Whether a launcher has started this process."""
        return bool(os.environ.get("BRAKELINE_RELEASE"))

    def say(self, word: str) -> None:
        """READY or HEALTHY, a line each."""
        if self._pipe < 0:
            return
        try:
            os.write(self._pipe, f"{word}\n".encode())
        except OSError:  # the launcher is gone: it will start again and find us, or the next release
            self._pipe = -1

    def news(self) -> LauncherReport | None:
        """The launcher's report if it was written since the last call; None = nothing new, or not readable now."""
        if self._report is None:
            return None
        try:
            stat = self._report.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp == self._stamp or stat.st_size > REPORT_BYTES_MAX:
                return None
            report = codec.decode(LauncherReport, self._report.read_bytes())
        except (OSError, codec.Malformed, UnicodeDecodeError):
            return None
        self._stamp = stamp
        return report


def _pipe(environment: Mapping[str, str]) -> int:
    """The inherited end that we write to; -1 = there is none."""
    fd = environment.get("BRAKELINE_LAUNCHER_FD", "")
    handle = environment.get("BRAKELINE_LAUNCHER_HANDLE", "")
    try:
        if sys.platform == "win32" and handle.isdigit():
            import msvcrt

            os.set_handle_inheritable(int(handle), False)
            return msvcrt.open_osfhandle(int(handle), os.O_WRONLY)
        if fd.isdigit():
            os.set_inheritable(int(fd), False)
            return int(fd)
    except OSError:
        return -1
    return -1
