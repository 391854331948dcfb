"""Run logs on their way to the cell: `state`/runs, one file a transaction, copied from root's while it grows.

A copy because the helper forgets a transaction as soon as its result is acknowledged, and the result never waits for
its log. Nothing here is needed for a result: what the disk refuses or the bound pushes out is a gap in the numbers of
the entries, which the cell sees. After a start the files that are found are sent from where the cell says it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from brakeline.agent.run_entries import entry_of
from brakeline.core.errors import Fault
from brakeline.core.ids import parse_id
from brakeline.core.limits import RUN_PART_BYTES_MAX
from brakeline.protocol import codec
from brakeline.protocol.messages import RunEntry, RunPart

SPOOL_BYTES_MAX = 8 * 1024 * 1024  # of all logs together: a week of patching without a cell
TAKES_MAX = 8  # answers of the helper in one look: a whole log of 1 MiB, so that the end is not left behind
TAIL_BYTES = 64 * 1024  # the longest line is about 10 KiB
ROOM = RUN_PART_BYTES_MAX - 2048  # for entries in one upload
OFFER = ".offer"

Ask = Callable[[str, int], tuple[str, int] | None]  # transaction id, byte -> lines and the next byte


class RunSpool:
    """The directory `state`/runs. No method raises for what a disk can do."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._places: dict[str, tuple[int, int]] = {}  # transaction -> number of an entry, and the byte it begins at
        with suppress(OSError):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def pending(self) -> tuple[tuple[str, str], ...]:
        """Transaction and offer ids of what lies here, oldest first."""
        found = []
        for path in sorted(self._directory.glob(f"tx_*{OFFER}")):
            with suppress(OSError, ValueError, Fault):  # what is no name or no text is not ours
                name = parse_id(path.name.removesuffix(OFFER), "tx")
                found.append((name, path.read_text(encoding="ascii")))
        return tuple(found)

    def take(self, transaction_id: str, offer_id: str, ask: Ask, *, ended: bool) -> None:
        """Copy what is new since the last look; at the end of the transaction, all of it."""
        path = self._file(transaction_id)
        try:
            if not path.exists():
                self._file(transaction_id, OFFER).write_text(offer_id, encoding="ascii")
                path.touch(mode=0o600)
            for _ in range(TAKES_MAX if ended else 1):
                if not self._copy(transaction_id, path, ask):
                    break
        except OSError:
            return
        self._make_room(transaction_id)

    def _copy(self, transaction_id: str, path: Path, ask: Ask) -> bool:
        """The file is a prefix of root's, so its size is where to go on; a torn end is asked for again."""
        with open(path, "r+b") as f:
            end = f.seek(0, os.SEEK_END)
            begin = max(0, end - TAIL_BYTES)
            f.seek(begin)
            size = begin + f.read().rfind(b"\n") + 1
            answer = ask(transaction_id, size)
            if answer is None or not answer[0]:
                return False
            f.truncate(size)
            f.seek(size)
            f.write(answer[0].encode())
        return True

    def part(
        self, transaction_id: str, offer_id: str, following: int, now_ms: int, *, running: bool
    ) -> tuple[bytes, bool]:
        """The encoded upload from this entry on (0 = only ask where the cell is), and whether it holds all that lies
        here."""
        if not following:
            return codec.encode_sparse(RunPart(transaction_id, offer_id, sent_ms=now_ms)), False
        number, at = self._places.get(transaction_id, (0, 0))
        at = at if number == following else 0
        entries, size, all_of_it = list[RunEntry](), 0, True
        for line in self._lines(transaction_id, at):
            entry = entry_of(line)
            known = entry is None or entry.n < following
            size += 0 if known else len(line)
            if size > ROOM:
                all_of_it = False
                break
            at += len(line)
            entries += [] if known or entry is None else [entry]
        if entries:
            self._places[transaction_id] = entries[-1].n + 1, at
        part = RunPart(transaction_id, offer_id, tuple(entries), all_of_it and not running, now_ms)
        return codec.encode_sparse(part), all_of_it

    def forget(self, transaction_id: str) -> None:
        """The cell has it, or will never take it."""
        self._places.pop(transaction_id, None)
        for suffix in ("", OFFER):
            with suppress(OSError):
                self._file(transaction_id, suffix).unlink(missing_ok=True)

    def _lines(self, transaction_id: str, at: int) -> list[bytes]:
        """Whole lines from this byte on, each with its end."""
        try:
            with open(self._file(transaction_id), "rb") as f:
                f.seek(at)
                lines = f.read().splitlines(keepends=True)
        except OSError:
            return []
        return [line for line in lines if line.endswith(b"\n")]

    def _make_room(self, but: str) -> None:
        """The oldest logs go first, whole; never the one that is being written."""
        with suppress(OSError):
            files = sorted(p for p in self._directory.glob("tx_*") if p.suffix != OFFER)
            total = sum(p.stat().st_size for p in files)
            for path in files:
                if total <= SPOOL_BYTES_MAX:
                    return
                if path.name != but:
                    total -= path.stat().st_size
                    os.truncate(path, 0)  # its name stays: the cell is told that it has ended

    def _file(self, transaction_id: str, suffix: str = "") -> Path:
        return self._directory / (parse_id(transaction_id, "tx") + suffix)
