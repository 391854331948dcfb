"""What the root helper remembers: one directory a transaction, and for ever which offers were begun. All durable.

`tx/<id>/order.json` appears complete or not at all, and *is* the record that the offer was begun; `forget` writes
the id into the ledger before the directory goes. So whatever moment the power fails, no offer is begun twice.
`result.json` is written by the runner (`transaction`), which also takes up an order that an earlier run left open.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any, Protocol

from brakeline.agent.files import APPENDING, flush_directory, move_folder, remove_folder, write_durably
from brakeline.agent.providers.model import Order
from brakeline.agent.run_entries import RUN
from brakeline.agent.run_lines import masked_text
from brakeline.protocol import codec
from brakeline.protocol.messages import Outcome, TransactionResult

STARTS_MAX = 3  # a runner that dies this often is not started again; people are told instead
LOG_TAIL_BYTES = 16 * 1024
RUN_ANSWER_BYTES = 256 * 1024  # of a run log in one answer; as JSON in JSON it may grow to twice that


class Starter(Protocol):
    """Begins a runner outside the helper's own unit, and tells whether it lives."""

    def start(self, transaction_id: str) -> None: ...
    def alive(self, transaction_id: str) -> bool: ...


class Transactions:
    """The helper's state directory (0700, root)."""

    def __init__(self, state_dir: Path, starter: Starter) -> None:
        self._ledger = state_dir / "ledger"
        self._floor = state_dir / "time-floor"
        self._tx = state_dir / "tx"
        self._starter = starter
        if not self._tx.is_dir():
            self._tx.mkdir(parents=True, mode=0o700)
            flush_directory(state_dir)

    def begin(self, order: Order, expires_ms: int, now_ms: int) -> dict[str, Any]:
        """Record and start, once. The same order again is answered as before, not begun again."""
        directory = self._tx / order.transaction_id
        if directory.exists():
            return {"ok": True, "transaction_id": order.transaction_id}
        if order.offer_id in self._spent():
            return _no("replayed", "this offer was carried out before")
        if now_ms >= expires_ms:
            return _no("offer_expired", "the offer's time has run out")
        if self.unfinished():
            return _no("busy", "another package transaction is going on here")
        self._record(directory, order, expires_ms)
        self._start(order.transaction_id)
        return {"ok": True, "transaction_id": order.transaction_id}

    def knows(self, transaction_id: str) -> bool:
        """Whether it was begun, and is not forgotten yet."""
        return (self._tx / transaction_id).exists()

    def status(self, transaction_id: str) -> dict[str, Any]:
        """unknown | running | ended (with the result). A runner that died is started again, a few times."""
        if not (self._tx / transaction_id).exists():
            return {"ok": True, "state": "unknown"}
        result = self._result(transaction_id)
        if result is not None:
            return {"ok": True, "state": "ended", "result": codec.to_plain(result)}
        if not self._starter.alive(transaction_id):
            self._take_up(transaction_id)
        return {"ok": True, "state": "running"}

    def forget(self, transaction_id: str) -> dict[str, Any]:
        """The cell has the result: drop the directory, keep the offer's id. Refused while there is no result."""
        directory = self._tx / transaction_id
        if not directory.exists():
            return {"ok": True}
        if self._result(transaction_id) is None:
            return _no("busy", "this transaction has no result yet")
        self._spend(self._order(transaction_id).offer_id, int((directory / "expires").read_text(encoding="ascii")))
        remove_folder(directory)
        return {"ok": True}

    def log(self, transaction_id: str) -> str:
        """The end of the runner's log."""
        try:
            with (self._tx / transaction_id / "log").open("rb") as f:
                f.seek(max(0, f.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
                return f.read(LOG_TAIL_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def run(self, transaction_id: str, begin: int) -> tuple[str, int]:
        """Whole lines of the run log from this byte on, as many as go into one answer, and where the next begin."""
        begin = max(0, begin)  # of a caller, whatever it is
        try:
            with (self._tx / transaction_id / RUN).open("rb") as f:
                f.seek(min(begin, f.seek(0, os.SEEK_END)))
                data = f.read(RUN_ANSWER_BYTES)
        except FileNotFoundError:
            return "", begin
        whole = data[: data.rfind(b"\n") + 1]
        return whole.decode(errors="replace"), begin + len(whole)

    def unfinished(self) -> tuple[str, ...]:
        """Ids without a result: running, or to be taken up."""
        names = sorted(p.name for p in self._tx.glob("tx_*"))
        return tuple(name for name in names if not (self._tx / name / "result.json").exists())

    def resume(self) -> None:
        """After a start of the helper: take up what a power cut has left open."""
        for rest in self._tx.glob("gone.*"):
            shutil.rmtree(rest, ignore_errors=True)
        for transaction_id in self.unfinished():
            if not self._starter.alive(transaction_id):
                self._take_up(transaction_id)

    def time_floor(self, at_least_ms: int) -> int:
        """The latest time that is known to have passed; rises with every genuine order and never falls.

        `at_least_ms` comes from a signed order or from the agent, whose word counts up to the end of the order that it
        brings. An agent that was taken over can at worst let that one expire: it can stop patching, which it can
        anyway, and neither make a spent order valid nor keep those that come after it from its successor.
        """
        try:
            known = int(self._floor.read_text(encoding="ascii"))
        except (OSError, ValueError):
            known = 0
        if at_least_ms > known:
            write_durably(self._floor, str(at_least_ms).encode())
        return max(known, at_least_ms)

    # --- on disk -----------------------------------------------------------------------------------------------

    def _record(self, directory: Path, order: Order, expires_ms: int) -> None:
        aside = directory.with_name("new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        write_durably(aside / "expires", str(expires_ms).encode())
        write_durably(aside / "order.json", codec.encode(order))
        move_folder(aside, directory)
        flush_directory(self._tx)

    def _take_up(self, transaction_id: str) -> None:
        if self._starts(transaction_id) < STARTS_MAX:
            self._start(transaction_id)
            return
        order = self._order(transaction_id)
        detail = f"the transaction's process ended {STARTS_MAX} times without a result; look at the package manager"
        result = TransactionResult(
            transaction_id, order.offer_id, order.rollout_id, order.generation, Outcome.INTERRUPTED, "runner_died",
            detail, log_tail=masked_text(self.log(transaction_id)),
        )  # fmt: skip
        write_durably(self._tx / transaction_id / "result.json", codec.encode(result))

    def _start(self, transaction_id: str) -> None:
        """Count first: a runner that takes the machine down with it must not be started for ever."""
        path = self._tx / transaction_id / "starts"
        write_durably(path, str(self._starts(transaction_id) + 1).encode())
        self._starter.start(transaction_id)

    def _starts(self, transaction_id: str) -> int:
        try:
            return int((self._tx / transaction_id / "starts").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def _order(self, transaction_id: str) -> Order:
        return codec.decode(Order, (self._tx / transaction_id / "order.json").read_bytes())

    def _result(self, transaction_id: str) -> TransactionResult | None:
        try:
            return codec.decode(TransactionResult, (self._tx / transaction_id / "result.json").read_bytes())
        except FileNotFoundError:
            return None

    def _spent(self) -> set[str]:
        """Offer ids in the ledger; a torn last line is no id."""
        try:
            text = self._ledger.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return set()
        return {line.split(" ")[0] for line in text.splitlines() if line}

    def _spend(self, offer_id: str, expires_ms: int) -> None:
        """Remember for ever: 45 bytes an offer; a machine that is patched daily fills 16 KiB a year."""
        if offer_id in self._spent():
            return
        handle = os.open(self._ledger, APPENDING, 0o600)
        try:
            line = f"\n{offer_id} {expires_ms}\n".encode()  # the first newline ends a torn line
            if os.write(handle, line) != len(line):  # a disk that is all but full takes a part and says nothing
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._ledger))
            os.fsync(handle)
        finally:
            os.close(handle)
        flush_directory(self._ledger.parent)


def _no(code: str, reason: str) -> dict[str, Any]:
    return {"ok": False, "code": code, "reason": reason}
