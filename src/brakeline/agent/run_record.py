"""The run log of one transaction on disk: every command with its words, output lines, exit code and duration.

`tx/<id>/run`, one JSON `RunEntry` a line, only ever appended to, by the transaction's own process. Nothing here may
disturb what it tells about: no call raises, waits for anybody, or fsyncs; what cannot be written (a full disk, too
much, too fast) is counted, and the next entry that can be written says so. Output is not piped through us: the child
writes into its file, and `Following` reads behind it, so that a daemon that keeps the file open holds nobody up.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from brakeline.agent.files import APPENDING
from brakeline.agent.run_entries import entry_of
from brakeline.agent.run_lines import Meter, cut, lines_of, masked, masked_words, plain
from brakeline.core.clock import Clock
from brakeline.protocol import codec
from brakeline.protocol.messages import RunEntry, RunKind

LOOK_S = 0.25  # how late a line may be in the log
READ_BYTES_MAX = 64 * 1024  # of output in one look; whoever prints faster loses the middle, and it is said
FRAME_BYTES = 120  # of an entry beside its text, about
KEY_WORDS = "PRIVATE KEY"
DROPPED = "too much or too fast to be kept; the package manager's own log on the endpoint has it"
JOIN_S_MAX = 5.0  # a file system that hangs must not keep the transaction


class RunRecord:
    """Appends to `path`. Safe to use from the follower's thread and the transaction's own at once."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._lock = threading.Lock()
        self._meter = Meter(at_s=clock.monotonic_s())
        self._dropped, self._commands, self._n = 0, 0, 0
        self._inside_key = False
        self._resume()

    def _resume(self) -> None:
        """A process of before (a power cut, a kill) wrote here: go on behind it, with what it left of the size."""
        try:
            data = self._path.read_bytes()
        except OSError:
            return
        found = [e for line in data.splitlines() if (e := entry_of(line)) is not None]
        self._n = max((e.n for e in found), default=0)
        self._commands = max((e.command for e in found), default=0)
        self._meter = replace(self._meter, bytes_left=max(0, self._meter.bytes_left - len(data)))
        if data and not data.endswith(b"\n"):
            self._write(b"\n")

    # --- what happens ----------------------------------------------------------------------------------------------

    def began(self, argv: Sequence[str]) -> int:
        """A command starts; its number."""
        with self._lock:
            self._commands += 1
            self._put(RunEntry(0, 0, RunKind.COMMAND, self._commands, argv=masked_words(argv)), sure=True)
            return self._commands

    def ended(self, command: int, rc: int, took_s: float, *, timed_out: bool = False) -> None:
        """It is over; `rc` is negative for a signal."""
        text = "ended because it took too long" if timed_out else ""
        with self._lock:
            self._put(RunEntry(0, 0, RunKind.EXIT, command, text, rc=rc, took_ms=round(took_s * 1000)), sure=True)

    def printed(self, command: int, lines: Sequence[str]) -> None:
        with self._lock:
            for line in lines:
                if not self._has_room(len(line)) and not self._inside_key and KEY_WORDS not in line:
                    self._dropped += 1  # by far the most of a flood: nothing is done about it but counting
                    continue
                text, self._inside_key = masked(line, self._inside_key)
                self._put(RunEntry(0, 0, RunKind.OUTPUT, command, text))

    def said(self, line: str) -> None:
        """Brakeline's own words."""
        with self._lock:
            self._put(RunEntry(0, 0, RunKind.SAID, 0, masked(cut(plain(line)))[0]), sure=True)

    def left_out(self, lines: int) -> None:
        with self._lock:
            self._dropped += lines

    def following(self, command: int, out: IO[bytes], begin: int) -> Following:
        return Following(self, command, out, begin)

    def settle(self) -> None:
        """At the end: what was left out is said, if there is room for that."""
        with self._lock:
            self._say_dropped()

    # --- on disk ---------------------------------------------------------------------------------------------------

    def _has_room(self, size: int, *, sure: bool = False) -> bool:
        return self._meter.spend(size + FRAME_BYTES, self._clock.monotonic_s(), command=sure) is not None

    def _put(self, entry: RunEntry, *, sure: bool = False) -> None:
        """What was left out before it is said first, and only when something can be said again."""
        if self._dropped and self._has_room(len(entry.text) + sum(map(len, entry.argv)), sure=sure):
            self._say_dropped()
        if not self._append(entry, sure=sure):
            self._dropped += 1

    def _append(self, entry: RunEntry, *, sure: bool) -> bool:
        data = codec.encode_sparse(replace(entry, n=self._n + 1, at_ms=self._clock.now_ms())) + b"\n"
        meter = self._meter.spend(len(data), self._clock.monotonic_s(), command=sure)
        if meter is None or not self._write(data):
            return False
        self._meter, self._n = meter, self._n + 1
        return True

    def _say_dropped(self) -> None:
        if self._dropped and self._append(RunEntry(0, 0, RunKind.DROPPED, 0, DROPPED, lines=self._dropped), sure=True):
            self._dropped = 0

    def _write(self, data: bytes) -> bool:
        try:
            handle = os.open(self._path, APPENDING, 0o600)
        except OSError:
            return False
        try:
            return os.write(handle, data) == len(data)
        except OSError:
            return False
        finally:
            os.close(handle)


class Following:
    """Reads behind what a command writes into `out`, from `begin` on, until the end of the `with` block."""

    def __init__(self, record: RunRecord, command: int, out: IO[bytes], begin: int) -> None:
        self._record, self._command, self._out, self._at = record, command, out, begin
        self._rest, self._over = b"", threading.Event()
        self._thread = threading.Thread(target=self._run, name="run log", daemon=True)

    def __enter__(self) -> Following:
        with suppress(RuntimeError):  # no thread to be had: what is printed is in the package manager's log alone
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(JOIN_S_MAX)

    def _run(self) -> None:
        try:
            while not self._over.wait(LOOK_S):
                self._look()
            self._look()
            if self._rest:
                self._record.printed(self._command, lines_of(b"\n", self._rest)[0])
        except (OSError, ValueError):  # the file was closed or the disk is gone: the transaction goes on
            return

    def _look(self) -> None:
        size = os.fstat(self._out.fileno()).st_size
        if size - self._at > READ_BYTES_MAX:
            self._skip(size - READ_BYTES_MAX)
        while data := os.pread(self._out.fileno(), max(0, size - self._at), self._at):
            self._at += len(data)
            lines, self._rest = lines_of(data, self._rest)
            self._record.printed(self._command, lines)

    def _skip(self, to: int) -> None:
        """Far behind: the newest is worth more. What is passed over is counted, line by line."""
        passed = 0
        while self._at < to and (data := os.pread(self._out.fileno(), min(1 << 20, to - self._at), self._at)):
            self._at += len(data)
            passed += data.count(b"\n")
        self._rest = b""
        self._record.left_out(passed + 1)
