"""Tries people's own probes: asks an address of this machine, or starts a program that root allows. Says what failed.

As the user that runs the agent, in the agent's own sandbox and limits; a program never as root. Nothing waits for a
probe: a round runs in a thread of its own beside the check-ins, one probe after the other, each within its time. One
that fails once has failed when the next round says so too: a service that is being restarted fails nothing, and one
that starts with the machine has not failed because it was asked first. Until each is known nothing is told. What an
answer says beyond its code is not read, and what a program prints goes nowhere. Next: `harms` tells it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Invalid
from brakeline.protocol.probes import STATUS_FAILS, Probe, parse

EVERY_S: Final = 5.0  # at check-ins, which are a minute apart
LINE_BYTES_MAX: Final = 1024  # of an answer: its first line
Try = Callable[[Probe], str]


@dataclass(frozen=True, slots=True)
class Tried:
    """Names that pass, None = not every probe is known yet; and those that fail, with why."""

    passing: tuple[str, ...] | None = None
    failing: tuple[str, ...] = ()


class Prober:
    """Remembers the last two rounds of the probes that it was given last."""

    def __init__(self, attempt: Try | None = None) -> None:
        self._try = attempt or attempted
        self._texts: tuple[str, ...] = ()
        self._told: dict[str, str | None] = {}  # by name, why it fails; "" = it passes, None = not known yet
        self._once: frozenset[str] = frozenset()  # failed in the last round for the first time
        self._round: _Round | None = None
        self._begun_s = -1e9

    def sample(self, texts: tuple[str, ...], now_s: float) -> Tried:
        """What is known now; begins the next round. Never waits."""
        if texts != self._texts:
            self._texts, self._told, self._once, self._round, self._begun_s = texts, {}, frozenset(), None, -1e9
        if not texts:
            return Tried()
        if self._round is not None and not self._round.running:
            self._take(self._round.found)
            self._round = None
        if self._round is None and now_s >= self._begun_s + EVERY_S:
            self._round, self._begun_s = _Round(texts, self._try), now_s
        if not self._told or None in self._told.values():
            return Tried()
        failing = tuple(f"{name}: {why}" for name, why in self._told.items() if why)
        return Tried(tuple(name for name, why in self._told.items() if not why), failing)

    def _take(self, found: dict[str, str]) -> None:
        first = {n for n, why in found.items() if why and not self._told.get(n) and n not in self._once}
        self._told = {n: self._told.get(n) if n in first else why for n, why in found.items()}
        self._once = frozenset(first)

    def settle(self) -> None:
        """Wait for the round that runs; for those that end a process, and for tests."""
        if self._round is not None:
            self._round.thread.join()


class _Round:
    """One try of each probe, beside everything else."""

    def __init__(self, texts: tuple[str, ...], attempt: Try) -> None:
        self.found: dict[str, str] = {}
        self._texts, self._try = texts, attempt
        self.thread = threading.Thread(target=self._run, name="probes", daemon=True)
        self.thread.start()

    @property
    def running(self) -> bool:
        return self.thread.is_alive()

    def _run(self) -> None:
        for text in self._texts:
            name = text.partition(" ")[0]
            try:
                self.found[name] = self._try(parse(text))
            except (OSError, Invalid, ValueError, subprocess.SubprocessError) as e:
                self.found[name] = (str(e) or type(e).__name__)[:80]


def attempted(probe: Probe) -> str:
    """Why it fails, "" = it passes."""
    return _started(probe) if probe.argv else _asked(probe)


def _started(probe: Probe) -> str:
    if os.geteuid() == 0:
        return "not tried: no program is started as root"
    quiet = subprocess.DEVNULL
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    try:
        child = subprocess.Popen(probe.argv, stdin=quiet, stdout=quiet, stderr=quiet, cwd="/", env=environment,
                                 start_new_session=True)  # fmt: skip
    except OSError as e:
        return f"not started: {e.strerror}"
    try:
        code = child.wait(probe.within_s)
    except subprocess.TimeoutExpired:
        return f"no end within {probe.within_s} s"
    finally:
        _end(child)
    return "" if code == probe.expected else f"exit {code}" if code >= 0 else f"ended by signal {-code}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    with suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _asked(probe: Probe) -> str:
    host = "127.0.0.1" if probe.host == "localhost" else probe.host
    if not is_own(host):
        return f"not tried: {host} is no address of this machine"
    until_s = time.monotonic() + probe.within_s
    try:
        with socket.create_connection((host, probe.port), probe.within_s) as plain:
            if plain.getsockname()[0] != plain.getpeername()[0] and not host.startswith("127."):
                return f"not tried: {host} is no address of this machine"
            line = _first_line(plain, probe, host, until_s)
    except TimeoutError:
        return f"no answer within {probe.within_s} s"
    except OSError as e:
        return (e.strerror or "no answer").lower()
    words = line.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit() or len(words[1]) != 3:
        return "no HTTP answer"
    code = int(words[1])
    passes = code == probe.expected if probe.expected else code < STATUS_FAILS
    return "" if passes else f"HTTP {code}"


def is_own(address: str) -> bool:
    """Whether this machine has it: one can only listen where one is."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
            s.bind((address, 0))
    except OSError:
        return False
    return True


def _first_line(plain: socket.socket, probe: Probe, host: str, until_s: float) -> bytes:
    connection = _over_tls(plain) if probe.tls else plain
    with connection:
        name = f"[{host}]" if ":" in host else host
        head = f"GET {probe.path} HTTP/1.1\r\nHost: {name}:{probe.port}\r\nUser-Agent: brakeline-probe\r\n"
        connection.settimeout(max(0.01, until_s - time.monotonic()))
        connection.sendall(f"{head}Accept: */*\r\nConnection: close\r\n\r\n".encode())
        found = b""
        while b"\n" not in found and len(found) < LINE_BYTES_MAX:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            connection.settimeout(left_s)
            piece = connection.recv(LINE_BYTES_MAX)
            if not piece:
                break
            found += piece
    return found.partition(b"\r\n")[0].partition(b"\n")[0]


def _over_tls(plain: socket.socket) -> socket.socket:
    """Whose certificate it is does not matter: the other end is this machine, and nothing secret is told it."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)
