"""Results that the cell has not acknowledged yet: one durable file each, removed only after the acknowledgement.

A result is named by its transaction id, so spooling it twice is one result. What cannot be read any more (a damaged
disk) is set aside and reported, and never blocks the others. The last reserve of disk space is given up for it.
"""

from __future__ import annotations

from pathlib import Path

from brakeline.agent.files import flush_directory, remove_durably, replace, write_durably
from brakeline.agent.limits import DiskReserve
from brakeline.core.ids import parse_id
from brakeline.protocol import codec
from brakeline.protocol.messages import Results, TransactionResult

SUFFIX = ".json"
UNREADABLE = "unreadable"
REFUSED = "refused"


class Spool:
    """The directory `state`/spool."""

    def __init__(self, directory: Path, reserve: DiskReserve) -> None:
        self._directory = directory
        self._reserve = reserve
        if not directory.is_dir():
            directory.mkdir(parents=True, mode=0o700)
            flush_directory(directory.parent)

    def pending(self) -> tuple[str, ...]:
        """Transaction ids that wait, oldest first."""
        return tuple(sorted(p.name.removesuffix(SUFFIX) for p in self._directory.glob(f"tx_*{SUFFIX}")))

    def put(self, result: TransactionResult) -> None:
        """Durable when it returns. OSError if even the reserve does not make room."""
        path = self._path(result.transaction_id)
        data = codec.encode(result)
        try:
            write_durably(path, data)
        except OSError:
            if not self._reserve.give_up():
                raise
            write_durably(path, data)

    def batch(self, transaction_ids: tuple[str, ...]) -> bytes:
        """The encoded `Results` of those that can be read."""
        found = []
        for transaction_id in transaction_ids:
            result = self._read(transaction_id)
            if result is not None:
                found.append(result)
        return codec.encode(Results(tuple(found)))

    def forget(self, transaction_ids: tuple[str, ...]) -> None:
        """The cell has committed them."""
        for transaction_id in transaction_ids:
            remove_durably(self._path(transaction_id))

    def set_aside(self, transaction_id: str) -> None:
        """The cell will not take it: kept in `refused`, sent no more. Durable when it returns."""
        path = self._path(transaction_id)
        if path.exists():
            self._move(path, REFUSED)

    def refused(self) -> int:
        """How many are set aside."""
        return sum(1 for _ in (self._directory / REFUSED).glob(f"tx_*{SUFFIX}"))

    def _read(self, transaction_id: str) -> TransactionResult | None:
        path = self._path(transaction_id)
        try:
            return codec.decode(TransactionResult, path.read_bytes())
        except FileNotFoundError:
            return None
        except (codec.Malformed, UnicodeDecodeError):
            self._move(path, UNREADABLE)
            return None

    def _move(self, path: Path, where: str) -> None:
        aside = self._directory / where
        if not aside.is_dir():
            aside.mkdir()
            flush_directory(self._directory)
        replace(path, aside / path.name)
        flush_directory(aside)
        flush_directory(self._directory)

    def _path(self, transaction_id: str) -> Path:
        return self._directory / (parse_id(transaction_id, "tx") + SUFFIX)
