"""The Windows helper as a process in wine, and somebody of its machine who asks it over its pipe.

Orders are signed here with the key that the helper's configuration names as its cell's. The account is wine's only one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support_windows import Machine, dos

from brakeline.agent.config import Config
from brakeline.protocol import codec
from brakeline.protocol.messages import ORDER_CONTEXT, Offer, SignedOrder, Transaction
from brakeline.releases import zipapp

CELL = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
ENDPOINT = "ep_01JD0000000000000000000001"
ACCOUNT = "S-1-5-21-0-0-0-1000"  # whoever runs anything in wine
HOME = "C:\\ProgramData\\Brakeline"
PIPE = "\\\\.\\pipe\\brakeline-helper"
NOW_MS = 1_800_000_000_000
STEP_S = 120.0  # of something that takes a second or two on an idle machine
ASK = """
import json, sys
sys.path.insert(0, {program!r})
from brakeline.agent.helper_client import HelperClient
client = HelperClient({pipe!r})
for line in sys.stdin:
    print(json.dumps(client._ask(json.loads(line), 60.0)), flush=True)
"""


def number(n: int) -> str:
    return f"01JD{n:022d}"


def offer_of(transaction: Transaction, n: int, **more: Any) -> Offer:
    made = Offer(f"of_{number(n)}", ENDPOINT, f"ro_{number(n)}", 1, transaction.digest, (), NOW_MS, NOW_MS + 600_000)
    return replace(made, **more)


def signed(offer: Offer, key: Ed25519PrivateKey = CELL) -> SignedOrder:
    payload = codec.encode(offer)
    return SignedOrder(payload.decode(), key.sign(ORDER_CONTEXT + payload).hex())


def until(true: Callable[[], Any], what: str, seconds: float = STEP_S) -> Any:
    """Its first truthy answer."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


@dataclass
class Helper:
    """One helper, killed and started as often as the test likes, and a process that asks."""

    machine: Machine
    pipe: str = PIPE
    process: subprocess.Popen[bytes] | None = None
    asker: subprocess.Popen[bytes] | None = None
    user: str = ACCOUNT
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.machine.prefix / "drive_c/ProgramData/Brakeline"

    def prepare(self) -> None:
        """As an administrator who installs it."""
        (self.home / "etc").mkdir(parents=True, exist_ok=True)
        (self.home / "agent.pyz").write_bytes(zipapp.build(product="agent"))
        key = CELL.public_key().public_bytes_raw().hex()
        config = Config("https://h", "", ENDPOINT, key, helper_socket=self.pipe, agent_user=self.user)
        (self.home / "etc/agent.json").write_text(json.dumps(codec.to_plain(config)))

    def command(self, verb: str, *words: str) -> list[str]:
        return self.machine.python("-I", f"{HOME}\\agent.pyz", verb, "--config", f"{HOME}\\etc\\agent.json", *words)

    def verb(self, verb: str, *words: str, code: int = 0) -> str:
        """A verb for people; what it prints."""
        done = subprocess.run(
            self.command(verb, *words), env=self.machine.environment, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=120, check=False,
        )  # fmt: skip
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == code, said
        return said

    def start(self) -> None:
        """Until it answers."""
        self.process = self._spawn(self.command("helper", "--socket", self.pipe))
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert b"listens on" in line, line + self.process.stdout.read()

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        made = subprocess.Popen(
            command, env=self.machine.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.children.append(made)
        return made

    def kill(self) -> None:
        """As the task manager does it."""
        assert self.process is not None
        for pid in self.pids(" helper "):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(15)

    def kill_runner(self) -> None:
        for pid in self.pids(" transaction "):
            os.kill(pid, signal.SIGKILL)

    def pids(self, words: str) -> list[int]:
        """Of what runs on this machine with these words on its command line."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                mine = str(self.machine.prefix) in (entry / "environ").read_bytes().decode(errors="replace")
                if words in f"{line} " and "agent.pyz" in line and mine:
                    found.append(int(entry.name))
        return found

    def ask(self, **request: Any) -> dict[str, Any] | None:
        """One request over the pipe, from a process of that machine."""
        if self.asker is None:
            program = ASK.format(program=f"{HOME}\\agent.pyz", pipe=self.pipe)
            self.asker = self._spawn(self.machine.python("-I", "-c", program))
        assert self.asker.stdin is not None
        assert self.asker.stdout is not None
        self.asker.stdin.write(json.dumps(request).encode() + b"\n")
        self.asker.stdin.flush()
        line = self.asker.stdout.readline()
        answer: dict[str, Any] | None = json.loads(line)
        return answer

    def apply(self, order: SignedOrder, transaction: Transaction, **more: Any) -> dict[str, Any]:
        words = {"order": codec.to_plain(order), "transaction": codec.to_plain(transaction)}
        answer = self.ask(verb="apply", **words, **more)
        assert answer is not None
        return answer

    def result(self, n: int) -> dict[str, Any]:
        """Of this order's transaction, once there is one."""

        def look() -> dict[str, Any] | None:
            seen = self.ask(verb="status", transaction_id=f"tx_{number(n)}") or {}
            return dict(seen["result"]) if seen.get("state") == "ended" else None

        found: dict[str, Any] = until(look, f"a result of order {n}: {self.log(n)}")
        return found

    def log(self, n: int) -> str:
        place = self.home / "helper/tx" / f"tx_{number(n)}"
        return "".join(f.read_text(errors="replace") for f in (place / "log", place / "output") if f.exists())

    def list_programs(self, rows: list[dict[str, Any]]) -> None:
        """What the owner of this machine lets be installed."""
        listed = [row | {"from": dos(Path(row["from"]))} for row in rows]
        (self.home / "programs.json").write_text(json.dumps({"format": 1, "packages": listed}))

    def close(self) -> None:
        for child in self.children:
            child.kill()
            child.communicate(timeout=30)
        for words in (" helper ", " transaction "):
            for pid in self.pids(words):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def helper_on(machine: Machine) -> Iterator[Helper]:
    """Prepared, not started; gone afterwards, with what it kept."""
    made = Helper(machine)
    made.prepare()
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(made.home, ignore_errors=True)
