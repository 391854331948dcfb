"""The agent's side of the root helper: answers become events; silence is an event too, never an exception."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from brakeline.agent import helper_wire
from brakeline.agent.helper_wire import BadFrame, HelperAway
from brakeline.protocol import codec
from brakeline.protocol.messages import (
    RESTARTS_A_DAY_MAX,
    PeopleWait,
    Settings,
    SignedOrder,
    Transaction,
    TransactionResult,
)

if sys.platform == "win32":
    from brakeline.agent.windows_pipe import PipeConnection as Connection
    from brakeline.agent.windows_pipe import connect as _connected
else:
    from socket import AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM, socket

    Connection = socket

    def _connected(path: str, within_s: float) -> Connection:
        connection = Connection(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
        connection.settimeout(within_s)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            raise
        return connection


ANSWER_S_MAX = 10.0  # apply, status, forget, log answer at once; refresh is waited for by the loop
RUN_S_MAX = 2.0  # only a log
HARMS_S_MAX = 3.0  # being heard matters more than what was refused
LOOK_S_MAX = 60.0  # a simulation of apt, and the hashes of what is kept


@dataclass(frozen=True, slots=True)
class Declined:
    code: str
    reason: str
    people: PeopleWait | None = None  # a restart waits for them


@dataclass(frozen=True, slots=True)
class Going:
    """The transaction runs, or will be looked after by the helper until it has a result."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The helper never began this transaction."""


class HelperClient:
    """`socket_path` "" = this machine has no helper."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._refresh: Connection | None = None

    def apply(
        self, order: SignedOrder, transaction: Transaction, server_ms: int, bounds: Settings | None = None
    ) -> Going | Declined | None:
        """None = no answer: whether it began is not known. `bounds`: what this endpoint runs by."""
        words = {"order": codec.to_plain(order), "transaction": codec.to_plain(transaction), "server_ms": server_ms}
        return self._begun(self._ask({"verb": "apply", **words, "bounds": codec.to_plain(bounds)}))

    def rollback(self, order: SignedOrder, server_ms: int, bounds: Settings | None = None) -> Going | Declined | None:
        """The same for a way back, which the helper takes from its own store."""
        words = {"order": codec.to_plain(order), "server_ms": server_ms, "bounds": codec.to_plain(bounds)}
        return self._begun(self._ask({"verb": "rollback", **words}))

    def inverse(self, rollout_id: str) -> Transaction | Declined | None:
        """What is left to do of the way back from this rollout. None = no answer."""
        reply = self._ask({"verb": "inverse", "rollout_id": rollout_id}, LOOK_S_MAX)
        if reply is None:
            return None
        if not reply.get("ok"):
            return Declined(str(reply.get("code")), str(reply.get("reason")))
        transaction: Transaction = codec.from_plain(Transaction, reply.get("transaction"), "transaction")
        return transaction

    @staticmethod
    def _begun(reply: dict[str, Any] | None) -> Going | Declined | None:
        if reply is None:
            return None
        return Going() if reply.get("ok") else Declined(str(reply.get("code")), str(reply.get("reason")))

    def restart(self, order: SignedOrder, server_ms: int, a_day: int = RESTARTS_A_DAY_MAX) -> Going | Declined | None:
        """`Going` = the machine goes down; None = no answer. `a_day`: at most, by the settings of this endpoint."""
        words = {"order": codec.to_plain(order), "server_ms": server_ms, "a_day": a_day}
        reply = self._ask({"verb": "restart", **words})
        if reply is None:
            return None
        if reply.get("ok"):
            return Going()
        waits: PeopleWait | None = codec.from_plain(PeopleWait | None, reply.get("people"), "people")
        return Declined(str(reply.get("code")), str(reply.get("reason")), waits)

    def stand_down(self) -> None:
        """An order to restart was taken back: whoever was warned hears of it."""
        self._ask({"verb": "stand_down"})

    def status(self, transaction_id: str) -> TransactionResult | Going | Unknown | None:
        reply = self._ask({"verb": "status", "transaction_id": transaction_id})
        if reply is None or not reply.get("ok"):
            return None
        match reply.get("state"):
            case "ended":
                result: TransactionResult = codec.from_plain(TransactionResult, reply.get("result"), "result")
                return result
            case "unknown":
                return Unknown()
            case _:
                return Going()

    def run(self, transaction_id: str, begin: int) -> tuple[str, int] | None:
        """Lines of its run log from this byte on, and where the next begin. None = no answer, or none is kept."""
        reply = self._ask({"verb": "run", "transaction_id": transaction_id, "begin": begin}, RUN_S_MAX)
        if reply is None or not reply.get("ok"):
            return None
        return str(reply.get("text")), int(reply.get("next", begin))

    def harms(self) -> dict[str, Any] | None:
        """What the system's security modules refused, by the helper's own count. None = no answer."""
        reply = self._ask({"verb": "harms"}, HARMS_S_MAX)
        return reply if reply is not None and reply.get("ok") else None

    def forget(self, transaction_id: str) -> None:
        self._ask({"verb": "forget", "transaction_id": transaction_id})

    def begin_refresh(self) -> None:
        """Ask for fresh package lists; `refresh_socket` becomes readable when it is done. `HelperAway`."""
        connection = self._connect()
        try:
            helper_wire.send(connection, {"verb": "refresh"})
        except OSError as e:
            connection.close()
            raise HelperAway(str(e)) from e
        self._refresh = connection

    @property
    def refresh_socket(self) -> Connection | None:
        return self._refresh

    def end_refresh(self) -> str:
        """What went wrong, "" = nothing. To be called when the socket is readable, or to give up."""
        connection, self._refresh = self._refresh, None
        assert connection is not None
        with connection:
            try:
                connection.settimeout(ANSWER_S_MAX)
                reply = helper_wire.receive(connection)
            except (OSError, BadFrame) as e:
                return f"the helper gave no answer: {e}"
        return "" if reply.get("ok") else str(reply.get("reason"))

    def _ask(self, request: dict[str, Any], within_s: float = ANSWER_S_MAX) -> dict[str, Any] | None:
        try:
            with self._connect() as connection:
                connection.settimeout(within_s)
                helper_wire.send(connection, request)
                return helper_wire.receive(connection)
        except (OSError, BadFrame, HelperAway):
            return None

    def _connect(self) -> Connection:
        try:
            return _connected(self._path, ANSWER_S_MAX)
        except OSError as e:
            raise HelperAway(f"{self._path}: {e.strerror}") from e
