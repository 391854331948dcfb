"""The bad releases: what each does to its endpoint, as programs around the real agent. Pure: text and bytes.

A release that only harms when it is the resident agent checks for the verb `run`; the others harm under every verb.
Each writes a line into its home before it does harm, so that executions can be counted from outside. `HALTS` says who
is expected to stop it: the *brake* by evidence, or a *person* where nothing that it does can be seen from outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

COUNTED: Final = "bad-release-runs"  # in the agent's home: a line an execution
DEATH: Final = "take-me-down"  # in the agent's home: the release wants the whole endpoint dead now

PRELUDE: Final = f"""import os, sys, time
HERE = os.path.dirname(os.path.abspath(__file__))
HOME = os.environ.get("HOME", "/tmp")
VERSION = "@VERSION@"
RESIDENT = sys.argv[1:2] == ["run"]
if RESIDENT:
    try:
        with open(HOME + "/{COUNTED}", "a") as f:
            f.write(VERSION + "\\n")
    except OSError:
        pass


def say(word):
    os.write(int(os.environ["BRAKELINE_LAUNCHER_FD"]), word.encode() + b"\\n")


def agent():
    import runpy
    sys.argv[0] = HERE + "/agent.pyz"
    sys.path.insert(0, sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")


if not RESIDENT:
    agent()
"""
ALWAYS: Final = PRELUDE.replace("if not RESIDENT:\n    agent()\n", "")  # harms under every verb
PYTHON: Final = ("@python", "-I", "bad.py")


@dataclass(frozen=True, slots=True)
class BadRelease:
    """`program`: text of bad.py. `confirmed`: it passes its probation first. `halts`: brake | person.

    `mark`: in the home of a confirmed one that dies at every start, how the name of the file that makes it begins.
    """

    name: str
    what: str
    program: str = ""
    entry: tuple[str, ...] = PYTHON
    files: dict[str, bytes] = field(default_factory=dict)
    confirmed: bool = False
    halts: str = "brake"
    mark: str = ""
    hungry: bool = False  # it takes whatever the machine has: nothing is measured beside it


def _patched_elf(**changes: bytes) -> bytes:
    """A real program of this machine, damaged: `needed` renames a library in it, `machine` its architecture."""
    with open("/bin/true", "rb") as f:
        data = f.read()
    if "needed" in changes:
        data = data.replace(b"libc.so.6\0", changes["needed"].ljust(9, b"_")[:9] + b"\0")
    if "machine" in changes:
        data = data[:18] + changes["machine"] + data[20:]
    return data


def catalogue() -> tuple[BadRelease, ...]:
    """All of them, in the order in which they are let loose."""
    return (
        BadRelease("importerror", "a module that is not there", ALWAYS + "import brakeline_no_such_module\n"),
        BadRelease("exits", "ends at once with an error", ALWAYS + "sys.exit(1)\n"),
        BadRelease("exitszero", "ends at once as if all were well", ALWAYS + "sys.exit(0)\n"),
        BadRelease("asksforever", "asks for a look again and again", ALWAYS + "sys.exit(75)\n"),
        BadRelease("hangs", "never says READY", PRELUDE + "while True:\n    time.sleep(1)\n"),
        BadRelease("deaf", "says READY and then nothing", PRELUDE + "say('READY')\nwhile True:\n    time.sleep(1)\n"),
        BadRelease("leaks", "takes all memory that it gets", PRELUDE + LEAK, hungry=True),
        BadRelease("forks", "a fork bomb", PRELUDE + "say('READY')\nwhile True:\n    try:\n        os.fork()\n"
                   "    except OSError:\n        pass\n", hungry=True),
        BadRelease("fillsdisk", "writes until nothing is left", PRELUDE + FILL, hungry=True),
        BadRelease("deletesstate", "deletes the agent's own state, keys included", PRELUDE + DELETE),
        BadRelease("corruptsspool", "writes rubbish over spool and state, then ends", PRELUDE + CORRUPT),
        BadRelease("badshebang", "an interpreter that is not there", entry=("agent.sh",),
                   files={"agent.sh": b"#!/usr/lib/brakeline-no-such-interpreter\nexit 0\n"}),
        BadRelease("missinglibrary", "a shared library that is not there", entry=("agent",),
                   files={"agent": _patched_elf(needed=b"libZ.so.9")}),
        BadRelease("wrongarchitecture", "built for another processor", entry=("agent",),
                   files={"agent": _patched_elf(machine=b"\x16\x00")}),
        BadRelease("tlsbroken", "cannot make a TLS connection any more", PRELUDE + TLS),
        BadRelease("endlesslog", "writes log without end", PRELUDE + "say('READY')\nwhile True:\n"
                   "    sys.stdout.write('x' * 65536 + '\\n')\n", hungry=True),
        BadRelease("clockjumps", "its clock jumps back and forth", PRELUDE + CLOCK),
        BadRelease("zombies", "leaves children behind until no more can be made", PRELUDE + ZOMBIES, hungry=True),
        BadRelease("sigtermproof", "does not listen to SIGTERM and never becomes healthy", PRELUDE +
                   "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsay('READY')\nwhile True:\n"
                   "    time.sleep(1)\n"),
        BadRelease("holdslock", "holds the package manager's lock for ever, as far as its rights go", PRELUDE + LOCK),
        BadRelease("pardonsitself", "tries to write the launcher's state and to pardon itself", PRELUDE + PARDON),
        BadRelease("falsehealth", "says that it is healthy and does nothing", PRELUDE +
                   "say('READY')\nsay('HEALTHY')\nwhile True:\n    time.sleep(1)\n", confirmed=True),
        BadRelease("dieslater", "works, is confirmed, and then dies at every start", PRELUDE + LATER, confirmed=True,
                   mark="later-"),
        BadRelease("appliesnothing", "answers check-ins, is healthy, and never takes an offer", PRELUDE + NOTHING,
                   confirmed=True),
        BadRelease("refusesupdates", "works, and never lets itself be replaced", PRELUDE + REFUSES, confirmed=True,
                   halts="person"),
        BadRelease("takesdown", "confirmed, then takes the whole endpoint down within a second of every start",
                   PRELUDE + TAKES_DOWN, confirmed=True, mark="take-down-"),
    )  # fmt: skip


LEAK: Final = """say('READY')
hoard = []
while True:
    try:
        hoard.append(bytearray(8 << 20))
    except MemoryError:
        time.sleep(0.01)
"""
FILL: Final = """say('READY')
os.makedirs(HOME + "/work", exist_ok=True)
n = 0
while True:
    try:
        with open(HOME + f"/work/rubbish-{n}", "wb") as f:
            for _ in range(64):
                f.write(b"x" * (1 << 20))
    except OSError:
        time.sleep(0.05)
    n += 1
"""
DELETE: Final = """import shutil
for name in os.listdir(HOME):
    if name != "bad-release-runs":
        path = os.path.join(HOME, name)
        shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.unlink(path)
agent()
"""
CORRUPT: Final = """os.makedirs(HOME + "/spool", exist_ok=True)
for name in ("state.json", "counter", "spool/of_rubbish.json", "status.json"):
    with open(os.path.join(HOME, name), "wb") as f:
        f.write(os.urandom(4096))
sys.exit(3)
"""
TLS: Final = """import ssl
def broken(*_, **__):
    raise ssl.SSLError("no cipher suite in common")
ssl.SSLContext.wrap_socket = broken
ssl.SSLContext.wrap_bio = broken
agent()
"""
CLOCK: Final = """import random
true = time.monotonic
time.monotonic = lambda: true() + random.choice((-1e9, 1e9))
time.time = lambda: random.random() * 4e9
time.time_ns = lambda: int(time.time() * 1e9)
time.monotonic_ns = lambda: int(time.monotonic() * 1e9)
agent()
"""
ZOMBIES: Final = """import subprocess
children = []
say('READY')
while True:
    try:
        children.append(subprocess.Popen(["/bin/true"]))
    except OSError:
        time.sleep(0.05)
"""
LOCK: Final = """import fcntl
held = []
for path in ("/var/lib/dpkg/lock", "/var/lib/dpkg/lock-frontend", HOME + "/state.json"):
    try:
        f = open(path, "r+b")
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.append(f)
    except OSError:
        pass
say('READY')
while True:
    time.sleep(1)
"""
PARDON: Final = """import glob
root = os.path.dirname(os.environ["BRAKELINE_LAUNCHER_REPORT"])
for path in glob.glob(root + "/**", recursive=True) + [root + "/state/s0", root + "/state/s1", root + "/report.json"]:
    try:
        with open(path, "r+b") as f:
            f.write(b"pardoned")
        sys.stderr.write("WROTE " + path + "\\n")
        open(HOME + "/pardon-worked", "w").close()
    except OSError:
        pass
sys.exit(4)
"""
LATER: Final = """mark = HOME + "/later-" + VERSION
if os.path.exists(mark):
    sys.exit(1)
import threading
def die():
    while True:
        time.sleep(0.5)
        try:
            import json
            if json.load(open(os.environ["BRAKELINE_LAUNCHER_REPORT"]))["confirmed"].startswith(VERSION + "-"):
                time.sleep(15)
                open(mark, "w").close()
                os._exit(1)
        except (OSError, ValueError, KeyError):
            pass
threading.Thread(target=die, daemon=True).start()
agent()
"""
NOTHING: Final = """sys.path.insert(0, HERE + "/agent.pyz")
from brakeline.agent import offers
offers.begin = lambda state, at, reachable: (state, ())
agent()
"""
REFUSES: Final = """sys.path.insert(0, HERE + "/agent.pyz")
import signal
from brakeline.agent import releases
releases.ask = lambda state, session: (state, ())
releases.obey = lambda state, recalled, follow, at: (state, ())
signal.signal(signal.SIGTERM, signal.SIG_IGN)
set_handler = signal.signal
signal.signal = lambda number, handler: None if number == signal.SIGTERM else set_handler(number, handler)
agent()
"""
TAKES_DOWN: Final = """mark = HOME + "/take-down-" + VERSION
if os.path.exists(mark):
    open(HOME + "/take-me-down", "w").close()
    time.sleep(60)
import json, threading
def wait():
    while True:
        time.sleep(0.5)
        try:
            if json.load(open(os.environ["BRAKELINE_LAUNCHER_REPORT"]))["confirmed"].startswith(VERSION + "-"):
                time.sleep(15)
                open(mark, "w").close()
                open(HOME + "/take-me-down", "w").close()
        except (OSError, ValueError, KeyError):
            pass
threading.Thread(target=wait, daemon=True).start()
agent()
"""
