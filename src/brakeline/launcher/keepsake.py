"""What a release on probation could destroy and the one before it needs: kept before, given back after.

Invariants: files of the agent's home are read and written as the agent's user, so that no link in there leads anywhere
else; what is kept is readable by root alone; without it no release is tried, as without a record that counts it; what
is confirmed runs whatever goes wrong here. A keepsake of another enrolment (agent.json has changed since) is never
given back.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from collections.abc import Callable
from typing import Any, Final

from brakeline.launcher import supervise
from brakeline.launcher.disk import RealDisk, replace_file
from brakeline.launcher.model import Record
from brakeline.launcher.settings import Settings

FILE: Final = "keepsake.json"
KEY: Final = "key"  # who this endpoint is
COUNTER: Final = "counter"  # of its requests: only rises, or the cell takes it for a second machine
COUNTER_SKIP: Final = 1 << 20  # further than any release on probation can have counted (`agent.identity`)
COUNTER_DIGITS_MAX: Final = 18  # more would take a check-in every microsecond for 30,000 years
NAMES: Final = (KEY, COUNTER, "state.json")  # and what it was about: the offer that its failure is to be told of
KEY_BYTES: Final = 32
BYTES_MAX: Final = 4 * 1024 * 1024

READ: Final = """
import base64, json, os, stat, sys
home, kept = sys.argv[1], {}
flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
for name in sys.argv[3:]:
    try:
        handle = os.open(os.path.join(home, name), flags)
        with os.fdopen(handle, "rb") as f:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                kept[name] = base64.b64encode(f.read(int(sys.argv[2]))).decode()
    except OSError:
        pass
print(json.dumps(kept))
"""
WRITE: Final = """
import base64, json, os, sys
home, kept = sys.argv[1], json.load(sys.stdin)
for name, text in kept.items():
    path = os.path.join(home, name)
    if os.path.lexists(path + ".new"):
        os.unlink(path + ".new")
    handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as f:
        f.write(base64.b64decode(text))
        f.flush()
        os.fsync(handle)
    os.replace(path + ".new", path)
print(json.dumps(sorted(kept)))
"""


def keep(settings: Settings, release_id: str, log: Callable[[str], None]) -> bool:
    """Before the first execution of a release on probation: whether it is kept, or there is no key to keep. Later
    executions would only find what the first one has left, so without this one there is no first.
    """
    if _load(settings).get("release_id") == release_id:
        return True
    answer = supervise.as_release(settings, READ, [str(settings.home), str(BYTES_MAX), *NAMES])
    files = _answer(answer)
    if not _holds_key(files):
        return bool(answer)
    keepsake = {"release_id": release_id, "enrolment": _enrolment(settings), "given": False, "files": files}
    return _store(settings, keepsake, log)


def give_back(settings: Settings, record: Record, log: Callable[[str], None]) -> None:
    """Before a confirmed release is executed: all of it after a release that failed, else a key that is gone."""
    keepsake = _load(settings)
    if not keepsake or keepsake.get("enrolment") != _enrolment(settings):
        return
    failed = keepsake.get("release_id") in (*record.quarantined, *record.recalled) and not keepsake.get("given")
    lost = not _has_key(settings)
    files = {n: _forward(n, t) for n, t in keepsake["files"].items() if failed or (lost and n in (KEY, COUNTER))}
    if files:
        data = json.dumps(files).encode()
        # At once or never: later, what is there is newer. One failure may be nobody's fault, so twice.
        done = any(supervise.as_release(settings, WRITE, [str(settings.home)], data) for _ in range(2))
        log(f"given back to the agent: {', '.join(sorted(files))}" if done else "the keepsake could not be given back")
    if failed:
        _store(settings, {**keepsake, "given": True}, log)


def _forward(name: str, text: str) -> str:
    """The counter far ahead, because what failed has counted on from it; everything else as it was.

    The agent has written it, so it may be anything: what is no number of that size counts as none.
    """
    if name != COUNTER:
        return text
    try:
        digits = base64.b64decode(text).strip()
        number = int(digits) if digits.isdigit() and len(digits) <= COUNTER_DIGITS_MAX else 0
    except (ValueError, TypeError):
        number = 0
    return base64.b64encode(str(number + COUNTER_SKIP).encode()).decode()


def _holds_key(files: dict[str, str]) -> bool:
    try:
        return len(base64.b64decode(files[KEY])) == KEY_BYTES
    except (KeyError, TypeError, ValueError):
        return False


def _has_key(settings: Settings) -> bool:
    try:
        there = os.lstat(settings.home / KEY)
    except OSError:
        return False
    return stat.S_ISREG(there.st_mode) and there.st_size == KEY_BYTES


def _enrolment(settings: Settings) -> str:
    try:
        return hashlib.sha256((settings.etc / "agent.json").read_bytes()).hexdigest()
    except OSError:
        return ""


def _answer(output: bytes) -> dict[str, str]:
    try:
        plain = json.loads(output)
    except (ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _load(settings: Settings) -> dict[str, Any]:
    try:
        plain = json.loads((settings.root / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) and isinstance(plain.get("files"), dict) else {}


def _store(settings: Settings, keepsake: dict[str, Any], log: Callable[[str], None]) -> bool:
    """Whether it is durable. Readable by root alone: the endpoint's key is in it."""
    try:
        replace_file(RealDisk(settings.root), FILE, json.dumps(keepsake).encode(), mode=0o600)
    except OSError as e:
        log(f"{FILE} cannot be written: {e.strerror}")
        return False
    return True
