"""Starts the launcher: the confirmed one, or a new one on trial. Frozen: this file never changes again (ADR 0016).

    stub.py [--root R] [--lib L] VERB ARGS      becomes the launcher with VERB ARGS

R/launcher/sel0 and sel1 hold the selector, each as SHA-256, newline, JSON, newline: the higher `generation` counts.
A trial runs only after its try was taken away durably; it must say READY, RUNNING and CONFIRMED on its standard output,
each in time, counted from the one before. Whatever goes wrong, the confirmed launcher runs; a damaged one gives way to
the other slot, to the newest slot that was ever confirmed, to L/launcher.pyz; so does one that keeps ending before it
works. Imports nothing of ours; needs nobody.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import Any

LIB = os.path.dirname(os.path.abspath(__file__))
ROOT = "/var/lib/brakeline-launcher"
if os.name == "nt":
    ROOT = os.path.join(os.environ.get("PROGRAMDATA", "C:/ProgramData"), "Brakeline", "launcher")
SELECTORS, SELECTOR_BYTES, SLOTS = ("launcher/sel0", "launcher/sel1"), 4096, ("a", "b")
STEPS = (("READY", 60.0), ("RUNNING", 600.0), ("CONFIRMED", 90_000.0))  # the selector's `seconds` may say otherwise
STOP_S = 30.0
STARTS, STARTS_MAX = "launcher/starts", 5  # in a row without one that works, until the next best launcher has its turn


class Disk:
    def __init__(self, root: str) -> None:
        self.root = root

    def _open(self, path: str, flags: int) -> int:
        return os.open(os.path.join(self.root, path), flags | getattr(os, "O_BINARY", 0))

    def read(self, path: str) -> bytes:
        with open(self._open(path, os.O_RDONLY), "rb") as file:
            return file.read()

    def overwrite(self, path: str, data: bytes) -> None:
        with open(self._open(path, os.O_WRONLY), "wb", buffering=0) as file:
            if file.write(data) != len(data):
                raise OSError("short write")

    def sync(self, path: str) -> None:
        with open(self._open(path, os.O_RDWR), "rb+") as file:
            getattr(os, "fdatasync", os.fsync)(file.fileno())


def load(disk: Any, path: str) -> dict[str, Any]:
    """One copy of the selector, {} if it was not written whole."""
    try:
        digest, body = disk.read(path).split(b"\n", 2)[:2]
        plain = json.loads(body) if hashlib.sha256(body).hexdigest().encode() == digest else {}
        return plain if isinstance(plain["slots"], dict) and isinstance(plain["generation"], int) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def newest(disk: Any) -> dict[str, Any]:
    return max((load(disk, path) for path in SELECTORS), key=lambda plain: plain.get("generation", -1))


def commit(disk: Any, selector: dict[str, Any]) -> None:
    """Durable when it returns: the older copy is overwritten in place. OSError: the newer one stands."""
    older = min(SELECTORS, key=lambda path: load(disk, path).get("generation", -1))
    body = json.dumps(selector, sort_keys=True).encode()
    data = hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n"
    if len(data) > SELECTOR_BYTES:
        raise OSError(27, "the selector is too long")
    disk.overwrite(older, data.ljust(SELECTOR_BYTES, b"\0"))
    disk.sync(older)


def whole(disk: Any, slot: str, about: Any) -> bool:
    try:
        return bool(hashlib.sha256(disk.read(f"launcher/{slot}/launcher.pyz")).hexdigest() == about["sha256"])
    except (OSError, KeyError, TypeError):
        return False


def begin(disk: Any, selector: dict[str, Any]) -> tuple[str, str]:
    """(slot to try now, why a trial is not run): its try is gone, durably, before it begins."""
    slot = selector.get("trial")
    if slot not in SLOTS or slot == selector.get("confirmed") or not selector.get("tries"):
        return "", ""
    if not whole(disk, slot, selector["slots"].get(slot)):
        return "", "damaged: the file of the trial is not what was written"
    try:
        commit(disk, {**selector, "tries": selector["tries"] - 1, "generation": selector["generation"] + 1})
    except OSError as e:
        return "", f"disk: the try could not be taken away: {e}"
    return slot, ""


def turn(disk: Any) -> int:
    """0 = the best launcher's; counts this start. A launcher that works writes 0 into the file."""
    try:
        started = max(0, int(disk.read(STARTS)))
        disk.overwrite(STARTS, b"%-8d" % (started + 1))
        return started // STARTS_MAX
    except (OSError, ValueError):
        return 0


def standing(disk: Any, selector: dict[str, Any], turn: int = 0) -> tuple[str, dict[str, Any]]:
    """(slot to run, what is known of it): the best that is whole and not on trial, or the `turn`-th best; last, and
    again and again, comes the factory's: ("", {})."""
    slots, first = selector.get("slots", {}), selector.get("confirmed", "")
    known = [(slot, slots.get(slot)) for slot in (first, *SLOTS) if slot in slots and first]
    good = []  # what each slot itself says that was once confirmed in it
    for slot in SLOTS if first or not selector else ():
        try:
            about = json.loads(disk.read(f"launcher/{slot}/good.json"))
            good.append((int(about["sequence"]), slot, about))
        except (OSError, ValueError, KeyError, TypeError):
            pass
    known += [(slot, about) for _, slot, about in sorted(good, key=lambda g: g[:2], reverse=True)]
    usable = {s: about for s, about in reversed(known) if s != selector.get("trial") and whole(disk, s, about)}
    best = [s for s in dict.fromkeys(s for s, _ in known) if s in usable]
    choices = [*((s, usable[s]) for s in best), ("", {})]
    return choices[turn % len(choices)]


def attempt(command: list[str], environment: dict[str, str], seconds: dict[str, float]) -> tuple[str, int, bool]:
    """Run the trial: (why it ended, its exit code, whether we were told to stop)."""
    told: list[int] = []
    words: queue.Queue[bytes] = queue.Queue()
    steps = [(word, float(seconds.get(word, most))) for word, most in STEPS]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.append(number))
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)

    def hear() -> None:
        for line in child.stdout or ():
            words.put(line)

    threading.Thread(target=hear, daemon=True).start()
    why, until = "", time.monotonic() + steps[0][1]
    while child.poll() is None:
        try:
            word = words.get(timeout=0.2 if steps else 1.0).decode(errors="replace").strip()
        except queue.Empty:
            word = ""
        if steps and word == steps[0][0]:
            del steps[0]
            until = time.monotonic() + (steps[0][1] if steps else float("inf"))
        if (told or time.monotonic() > until) and not why:
            why = f"late: it did not say {steps[0][0]} in time" if not told else "told"
            child.terminate()
            until = time.monotonic() + STOP_S
        elif why and time.monotonic() > until:
            child.kill()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    return why or f"ended: with code {child.returncode}", child.returncode, bool(told)


def main(arguments: list[str]) -> int:
    places = {"--root": ROOT, "--lib": LIB}
    while len(arguments) >= 2 and arguments[0] in places:
        places[arguments[0]], arguments = arguments[1], arguments[2:]
    disk, slot, ended = Disk(places["--root"]), "", ""
    about: dict[str, Any] = {}

    def parts(trial: bool) -> tuple[list[str], dict[str, str]]:
        where = os.path.join(disk.root, "launcher", slot) if slot else places["--lib"]
        said = {"slot": slot, "release_id": about.get("release_id", ""), "trial": trial, "ended": ended}
        said["lib"] = places["--lib"]
        command = [sys.executable, "-I", os.path.join(where, "launcher.pyz"), *arguments]
        return command, {**os.environ, "BRAKELINE_STUB": json.dumps(said)}

    try:
        selector = newest(disk)
        if arguments[:1] == ["run"]:
            slot, ended = begin(disk, selector)
        if slot:
            about = selector["slots"][slot]
            ended, code, told = attempt(*parts(True), selector.get("seconds", {}))
            if told or newest(disk).get("confirmed") == slot:
                return code if code >= 0 else 128 - code
    except Exception as e:  # noqa: BLE001 - whatever a selector holds, something runs
        ended = f"stub: {e!r}"
    try:
        slot, about = standing(disk, newest(disk), turn(disk) if arguments[:1] == ["run"] else 0)
        if not slot and not os.path.exists(os.path.join(places["--lib"], "launcher.pyz")):
            slot, about = standing(disk, {})
    except Exception as e:  # noqa: BLE001 - as above
        slot, about, ended = "", {}, f"stub: {e!r}"
    command, environment = parts(False)
    if os.name != "nt":
        os.execve(command[0], command, environment)
    return subprocess.call(command, env=environment)  # there a program cannot become another one


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
