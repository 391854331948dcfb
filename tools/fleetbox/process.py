"""Running other programs: argument lists, captured output, an error that says what failed and what it printed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tools.fleetbox.settings import FleetError

OUTPUT_TAIL = 1500


def run(
    command: Sequence[str],
    *,
    input_text: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Standard output of `command`; FleetError with the end of its output when it fails or is missing."""
    try:
        done = subprocess.run(command, input=input_text, capture_output=True, text=True, env=env, cwd=cwd, check=False)
    except FileNotFoundError:
        raise FleetError(f"{command[0]} is missing: install the packages of tools/debian-packages.txt.") from None
    if done.returncode:
        tail = (done.stdout + done.stderr)[-OUTPUT_TAIL:]
        raise FleetError(f"`{' '.join(command)}` ended with {done.returncode}:\n{tail}")
    return done.stdout


def quietly(command: Sequence[str]) -> bool:
    """Run `command` for its effect only; whether it succeeded."""
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def children(pid: int) -> tuple[int, ...]:
    """Direct children of `pid`; none when it is gone."""
    try:
        return tuple(int(part) for part in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    except OSError:
        return ()


def alive(pid: int) -> bool:
    """Whether `pid` is a process that is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def kill(pids: Iterable[int], number: int = signal.SIGKILL) -> None:
    """A signal to each; those already gone do not matter."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
