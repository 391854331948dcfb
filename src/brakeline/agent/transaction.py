"""The program that executes one order, in a unit of its own: `transaction ID --helper-state DIR`.

Directory DIR/tx/ID, owned by root: `order.json` (a `providers.model.Order`, written by the helper before this
starts), `started` (from then on nothing is ever applied a second time), `log`, `run` (see `run_record`), and at the
end `result.json` (a `TransactionResult`), put there in one step. Whoever wants to know re-reads that directory.
Started again after a power cut, it examines what is there instead of applying; started twice at once, the second ends
at once. SIGTERM keeps it from starting dpkg, but never interrupts it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brakeline.agent import limits, locks
from brakeline.agent.clock import SystemClock
from brakeline.agent.config import HELPER_STATE_DIR
from brakeline.agent.files import write_durably
from brakeline.agent.providers.detect import managers
from brakeline.agent.providers.model import Order, Provider
from brakeline.agent.run_entries import RUN
from brakeline.agent.run_lines import masked_text
from brakeline.agent.run_record import RunRecord
from brakeline.core.clock import Clock
from brakeline.protocol.codec import Malformed, decode, encode
from brakeline.protocol.messages import Outcome, TransactionResult

DONE, ALREADY_RUNNING, NO_ORDER = 0, 3, 4  # exit codes of the program


@dataclass(frozen=True, slots=True)
class Files:
    """The names in a transaction's directory; shared with the helper."""

    directory: Path

    @property
    def order(self) -> Path:
        return self.directory / "order.json"

    @property
    def started(self) -> Path:
        return self.directory / "started"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def result(self) -> Path:
        return self.directory / "result.json"

    @property
    def run(self) -> Path:
        return self.directory / RUN

    @property
    def lock(self) -> Path:
        return self.directory / "lock"


def files(state_dir: Path, transaction_id: str) -> Files:
    """Where a transaction's files are."""
    return Files(state_dir / "tx" / transaction_id)


def write_order(state_dir: Path, order: Order) -> Files:
    """What the helper does before it starts this program: the order is on disk, or there is no transaction."""
    place = files(state_dir, order.transaction_id)
    place.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_durably(place.order, encode(order))
    return place


def read_result(state_dir: Path, transaction_id: str) -> TransactionResult | None:
    """The result, once there is one."""
    try:
        return decode(TransactionResult, files(state_dir, transaction_id).result.read_bytes())
    except FileNotFoundError:
        return None


def execute(place: Files, provider: Provider, clock: Clock, record: RunRecord | None = None) -> int:
    """Apply the order once, or find out what became of it; the exit code of the program. `record`: of what it runs."""
    with open(place.lock, "w", encoding="utf-8") as lock:
        if not locks.lock(lock):
            return ALREADY_RUNNING
        if place.result.exists():
            return DONE
        try:
            order = decode(Order, place.order.read_bytes())
        except (OSError, Malformed) as e:
            print(f"no order to execute in {place.directory}: {e}", file=sys.stderr)
            return NO_ORDER
        log = logger(place.log, clock, record)
        limits.be_nice(order.bounds.nice)
        if place.started.exists():
            log("Started again: the earlier run was lost.")
            result = provider.recover(order, log)
        else:
            write_durably(place.started, str(clock.now_ms()).encode())
            result = provider.apply(order, log)
        log(f"{result.outcome.value} ({result.code}): {result.detail}")
        if record is not None:
            record.settle()
        result = replace(result, log_tail=masked_text(result.log_tail))
        write_durably(place.result, encode(result))
        return DONE


def logger(path: Path, clock: Clock, record: RunRecord | None = None) -> Callable[[str], None]:
    """Appends lines with the time to the transaction's log, and to the record of its run."""

    def log(line: str) -> None:
        if record is not None:
            record.said(line)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.now_ms() / 1000))
        with open(path, "a", encoding="utf-8") as f:
            f.write(f"{stamp} brakeline: {line}\n")

    return log


def main(arguments: Sequence[str]) -> int:
    """The program. Anything unexpected still leaves a result: the helper must never wait for ever."""
    parser = argparse.ArgumentParser("transaction", description="Carry out one package transaction.")
    parser.add_argument("transaction_id")
    parser.add_argument("--helper-state", default=str(HELPER_STATE_DIR), help="root's state directory")
    options = parser.parse_args(arguments)
    clock = SystemClock()
    state_dir = Path(options.helper_state).resolve()
    asked: list[int] = []
    # A handler, not SIG_IGN, which apt and every maintainer script would inherit. What dpkg has begun is finished.
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    place = files(state_dir, options.transaction_id)
    if sys.platform == "win32":
        from brakeline.agent import windows_unit

        windows_unit.enter(place.directory)
    record = RunRecord(place.run, clock)
    provider = managers(clock, state_dir=state_dir, stopping=lambda: bool(asked), record=record)
    try:
        return execute(place, provider, clock, record)
    except Exception as e:  # outermost: a defect of ours is reported as the result, with what dpkg's state is
        write_durably(place.result, encode(_defect(place, provider, clock, e)))
        raise


def _defect(place: Files, provider: Provider, clock: Clock, error: Exception) -> TransactionResult:
    order = decode(Order, place.order.read_bytes())
    return TransactionResult(
        transaction_id=order.transaction_id,
        offer_id=order.offer_id,
        rollout_id=order.rollout_id,
        generation=order.generation,
        outcome=Outcome.FAILED,
        code="agent_defect",
        detail=f"A defect of the agent ended the transaction: {type(error).__name__}: {str(error)[:200]}",
        health=provider.health(),
        ended_ms=clock.now_ms(),
    )
