"""A program that uses spool, counter, memory and the helper's records, to be killed at every flush and rename.

`crashing.py DIRECTORY WHAT` prints a line after each step that it takes for acknowledged. Run under
`strace -e inject=…:signal=KILL:when=N`; then `check` reads what is left.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from brakeline.agent.identity import Counter
from brakeline.agent.limits import DiskReserve
from brakeline.agent.memory import Memory
from brakeline.agent.model import Durable
from brakeline.agent.providers.model import Order
from brakeline.agent.spool import Spool
from brakeline.agent.transactions import Transactions
from brakeline.core.ids import make_id
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import Outcome, Transaction, TransactionResult

FAR_MS = 1 << 45


def say(*words: object) -> None:
    """One line in one write, so that it is all there or not at all."""
    os.write(1, (" ".join(str(w) for w in words) + "\n").encode())


def tx(n: int) -> str:
    return make_id("tx", 1, n.to_bytes(10, "big"))


def result(n: int) -> TransactionResult:
    return TransactionResult(tx(n), "of" + tx(n)[2:], "ro_x", 1, Outcome.INSTALLED, "ok", "x" * 200)


class Recorder:
    """A starter that leaves a durable mark for each start instead of a process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def start(self, transaction_id: str) -> None:
        say("began", transaction_id)

    def alive(self, transaction_id: str) -> bool:
        return True


def spool(directory: Path) -> None:
    box = Spool(directory / "spool", DiskReserve(directory / "reserve"))
    for n in range(4):
        box.put(result(n))
        say("spooled", tx(n))
    box.forget((tx(1),))
    say("forgotten", tx(1))


def aside(directory: Path) -> None:
    box = Spool(directory / "spool", DiskReserve(directory / "reserve"))
    for n in range(2):
        box.put(result(n))
        say("spooled", tx(n))
    for n in range(2):
        box.set_aside(tx(n))
        say("aside", tx(n))


def counter(directory: Path) -> None:
    numbers = Counter(directory)
    for _ in range(600):
        say("used", numbers.next())


def memory(directory: Path) -> None:
    box = Memory(directory / "state.json")
    box.load()
    for n in range(1, 5):
        box.save(Durable(inventory_sequence=n))
        say("saved", n)


def helper(directory: Path) -> None:
    """Begin, end and forget three transactions, each asked for twice."""
    box = Transactions(directory, Recorder(directory))
    for n in range(3):
        order = Order(tx(n), "of" + tx(n)[2:], "ro_x", 1, Transaction((), transaction_digest(())))
        for _ in range(2):
            answer = box.begin(order, FAR_MS, 1)
            say("asked", tx(n), answer.get("ok"))
        if (directory / "tx" / tx(n)).exists():
            from brakeline.agent.files import write_durably
            from brakeline.protocol import codec

            write_durably(directory / "tx" / tx(n) / "result.json", codec.encode(result(n)))
            say("ended", tx(n))
            box.forget(tx(n))
            say("helper-forgot", tx(n))


if __name__ == "__main__":
    {"spool": spool, "aside": aside, "counter": counter, "memory": memory, "helper": helper}[sys.argv[2]](
        Path(sys.argv[1])
    )
