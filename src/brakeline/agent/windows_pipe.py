"""The named pipe between agent and helper on Windows: what `helper_wire` needs of a connection. Imported nowhere else.

A pipe and not a port of the machine with a secret: its access list keeps every other account out before a byte is read,
the system says who has written, nothing secret lies on a disk, and no other machine reaches it. Every read and write is
bounded in time. The client believes only a pipe that SYSTEM or administrators own, and lends its name at most.
"""

from __future__ import annotations

import ctypes
import sys
import time
from types import TracebackType
from typing import Final

from brakeline.agent import access

assert sys.platform == "win32"
import _winapi  # noqa: E402 - must come after the assertion, which tells type checkers what this file is for

from brakeline.agent import windows_accounts  # noqa: E402

DUPLEX, OVERLAPPED, FIRST, LOCAL_ONLY = 0x3, 0x40000000, 0x00080000, 0x8
IDENTIFICATION: Final = (
    0x00110000  # SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION: who we are, and nothing in our name
)
BUFFER: Final = 65_536
BUSY, NO_DATA, BROKEN, PENDING = 231, 232, 109, 997
WAIT_MS: Final = 200


class PipeConnection:
    """One instance of the pipe, either end; the few methods of a socket that `helper_wire` uses."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._timeout_s: float | None = None

    def __enter__(self) -> PipeConnection:
        return self

    def __exit__(self, _1: type[BaseException] | None, _2: BaseException | None, _3: TracebackType | None) -> None:
        self.close()

    def settimeout(self, seconds: float | None, /) -> None:
        self._timeout_s = seconds

    def close(self) -> None:
        if self.handle:
            _winapi.CloseHandle(self.handle)
            self.handle = 0

    def sendall(self, data: bytes, /) -> None:
        view = memoryview(data)
        while view:
            written, _ = _winapi.WriteFile(self.handle, bytes(view[:BUFFER]), overlapped=True)
            view = view[self._done(written) :]

    def recv(self, count: int, /) -> bytes:
        """b"" = the other side has gone."""
        try:
            read, _ = _winapi.ReadFile(self.handle, count, overlapped=True)
            self._done(read)
        except BrokenPipeError:
            return b""
        return bytes(read.getbuffer() or b"")

    def over(self) -> bool:
        """Whether something can be read, an end too. Never waits."""
        try:
            return bool(_winapi.PeekNamedPipe(self.handle)[0])
        except OSError:
            return True

    def _done(self, work: _winapi.Overlapped) -> int:
        """How many bytes; TimeoutError if not all of it was done in time."""
        wait_ms = 0xFFFFFFFF if self._timeout_s is None else max(0, int(self._timeout_s * 1000))
        if _winapi.WaitForMultipleObjects([work.event], False, wait_ms) != 0:
            work.cancel()
            work.GetOverlappedResult(True)
            raise TimeoutError("the other side of the pipe does not go on")
        done, error = work.GetOverlappedResult(True)
        if error in (BROKEN, NO_DATA):
            raise BrokenPipeError(error, "the other side of the pipe has gone")
        return done


class Listener:
    """The helper's end: another instance is there before the last one is served, so nobody finds no pipe."""

    def __init__(self, name: str, agent: str, instances: int) -> None:
        self._name, self._sddl, self._instances = name, access.pipe(agent), instances
        self._next = self._make(FIRST)  # somebody else's pipe of this name is an error

    def _make(self, first: int = 0) -> int:
        with windows_accounts.attributes(self._sddl) as made:
            mode = DUPLEX | OVERLAPPED | first
            places = ctypes.addressof(made)
            return _winapi.CreateNamedPipe(self._name, mode, LOCAL_ONLY, self._instances, BUFFER, BUFFER, 0, places)

    def accept(self, within_s: float) -> PipeConnection | None:
        """Whoever comes within that time."""
        waiting = self._next
        try:
            coming = _winapi.ConnectNamedPipe(waiting, overlapped=True)
        except OSError as e:
            if e.winerror != NO_DATA:
                raise
            self._next = self._make()
            _winapi.CloseHandle(waiting)
            return None  # came and went
        if _winapi.WaitForMultipleObjects([coming.event], False, int(within_s * 1000)) != 0:
            coming.cancel()
            if coming.GetOverlappedResult(True)[1]:
                return None
        self._next = self._make()
        return PipeConnection(waiting)

    def close(self) -> None:
        _winapi.CloseHandle(self._next)


def connect(name: str, within_s: float) -> PipeConnection:
    """OSError: nobody listens, all are busy for that long, or it is not the system's helper that does."""
    connection = PipeConnection(_opened(name, time.monotonic() + within_s))
    connection.settimeout(within_s)
    owner = ""
    try:
        owner = windows_accounts.owner_of(connection.handle)
    finally:
        if owner not in access.OURS:
            connection.close()
    if owner not in access.OURS:
        raise PermissionError(0, f"this pipe belongs to {owner}, not to the system")
    return connection


def _opened(name: str, until_s: float) -> int:
    while True:
        try:
            return _winapi.CreateFile(name, access.TALKS, 0, 0, _winapi.OPEN_EXISTING, OVERLAPPED | IDENTIFICATION, 0)
        except OSError as e:
            if e.winerror != BUSY or time.monotonic() >= until_s:
                raise
        try:
            _winapi.WaitNamedPipe(name, WAIT_MS)
        except OSError:  # still busy
            continue
