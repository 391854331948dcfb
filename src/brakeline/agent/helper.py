"""The root helper: a closed list of verbs, and its own judgement of every order.

It trusts nobody: not the unprivileged agent that talks to it (it checks who that is, and may have been taken over)
and not the cell beyond what its signature and the fixed bounds of `orders` and this endpoint's root-owned
configuration allow. It starts the package transaction in a unit of its own (`transaction_unit`). Who asks, the kernel
says: by a socket (`helper_socket`), on Windows by a named pipe (`helper_windows`).
Next: `transactions` (what it remembers), `helper_wire` (the frames), `transaction` (the runner).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from brakeline.agent import helper_wire, orders
from brakeline.agent.clock import SystemClock, zone_s
from brakeline.agent.config import Config
from brakeline.agent.journal import Errors
from brakeline.agent.providers.model import Bounds, Order, Provider, Refused
from brakeline.agent.reboots import A_DAY_MAX, Reboots
from brakeline.agent.refusals import Refusals
from brakeline.agent.scan import held_by
from brakeline.agent.transactions import Transactions
from brakeline.core import weekly
from brakeline.core.errors import Fault
from brakeline.core.ids import parse_id
from brakeline.protocol import codec
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import (
    NO_LIMITS,
    Conffiles,
    LocalLimits,
    Mode,
    Offer,
    RestartConsent,
    Settings,
    SignedOrder,
    Transaction,
)
from brakeline.protocol.settings import WIDEST, narrowest, within

REQUEST_S_MAX = 5.0  # a request is one small message from the same machine
CONNECTIONS_MAX = 8

Reply = dict[str, Any]
Peer = int | str  # whom the kernel says a process runs as: a user's number, on Windows a security identifier


@dataclass(frozen=True, slots=True)
class Helper:
    """The verbs. `provider` is made when it is needed: most requests need none."""

    config: Config
    transactions: Transactions
    provider: Callable[[], Provider]
    allowed_uids: frozenset[Peer]
    refreshing: threading.Lock
    beginning: threading.Lock
    rules: Rules = BUILT_IN  # from the launcher, never from the agent that asks
    reboots: Reboots | None = None
    refusals: Callable[[], Refusals] | None = None  # None = this helper counts none
    errors: Callable[[], Errors] | None = None  # the same of the journal's errors
    local: LocalLimits = NO_LIMITS  # root's own, whatever the agent and its cell say
    limits: Callable[[], LocalLimits] | None = None  # the same, read anew for each request: we may stay for months
    local_minute: Callable[[], int] = lambda: weekly.minute_of(SystemClock().now_ms() + zone_s() * 1000)
    system: str = ""  # the system's own package manager, "" = none that could be driven
    prepare: Callable[[Transaction], Refused | None] | None = None  # keeps what the transaction will need of content

    def answer(self, uid: Peer, request: dict[str, Any]) -> Reply:  # noqa: C901 - a table: one line a verb
        """One reply to one request of a process that runs as `uid`."""
        if uid not in self.allowed_uids:
            return refuse("forbidden", f"user {uid} may not use the helper")
        if self.limits is not None:
            return replace(self, local=self.limits(), limits=None).answer(uid, request)
        verb = request.get("verb")
        try:
            match verb:
                case "refresh":
                    return self._refresh()
                case "apply":
                    return self._apply(request)
                case "inverse":
                    return self._inverse(request)
                case "rollback":
                    return self._rollback(request)
                case "restart":
                    return self._restart(request)
                case "stand_down":
                    return self._stand_down()
                case "status":
                    return self.transactions.status(_transaction_id(request))
                case "forget":
                    return self.transactions.forget(_transaction_id(request))
                case "harms":
                    return self._harms()
                case "run":
                    return self._run(request)
                case "log":
                    return {"ok": True, "log": self.transactions.log(_transaction_id(request))}
                case _:
                    return refuse("unknown_verb", f"{str(verb)[:40]!r} is none of {', '.join(helper_wire.VERBS)}")
        except Fault as e:
            return refuse(e.code, str(e))
        except OSError as e:
            return refuse("system", f"{e.strerror}: {e.filename}")

    def _refresh(self) -> Reply:
        if not self.refreshing.acquire(blocking=False):
            return refuse("busy", "the package lists are being refreshed already")
        try:
            done = self.provider().refresh()
        finally:
            self.refreshing.release()
        if isinstance(done, Refused):
            return refuse(done.code, done.reason)
        return {"ok": True, "at_ms": done.at_ms}

    def _apply(self, request: dict[str, Any]) -> Reply:
        signed: SignedOrder = codec.from_plain(SignedOrder, request.get("order"), "order")
        transaction: Transaction = codec.from_plain(Transaction, request.get("transaction"), "transaction")
        offer = orders.read_order(signed, self.config.cell_key, self.config.endpoint_id)
        if isinstance(offer, orders.Disbelieved):
            return refuse(offer.code, offer.reason)
        if offer.release is not None:
            return refuse("refused", "a release of Brakeline is installed by the launcher, never by the helper")
        if offer.undoes:
            return refuse("refused", "a way back is taken by the verb rollback, from what this endpoint stored itself")
        if offer.settings is not None:
            return refuse("refused", "settings are the agent's own; the helper has no part in them")
        if offer.drill is not None:
            return refuse("refused", "a drill changes nothing; the helper has no part in it")
        unfit = orders.unfit(offer, transaction) or orders.unsafe(transaction, self.system)
        if unfit is not None:
            return refuse(unfit.code, unfit.reason)
        bounds = self._bounds(request)
        if bounds.conffiles is Conffiles.HOLD:
            held = held_by(self.provider().changed_conffiles(transaction))
            if held is not None:
                return refuse(held.code, held.reason)
        if unready := self._unready(offer, transaction):
            return unready
        return self._begin(self._order(offer, transaction, bounds), offer, request)

    def _unready(self, offer: Offer, transaction: Transaction) -> Reply | None:
        """Why what the transaction needs is not here; of one that was begun already nothing more is asked."""
        if self.prepare is None or self.transactions.knows(orders.transaction_id(offer.offer_id)):
            return None
        refused = self.prepare(transaction)
        return refuse(refused.code, refused.reason) if refused is not None else None

    def _bounds(self, request: dict[str, Any]) -> Settings:
        """What root allows, and less where the agent says that its settings do: it can narrow them, and no more."""
        said = request.get("bounds")
        return narrowest(within(self.local), codec.from_plain(Settings, said, "bounds") if said else WIDEST)

    def _limited(self, *, restart: bool = False) -> Reply | None:
        """Why root's own limits allow nothing now, by the clock of this machine."""
        root = within(self.local)
        forbidden = root.restart is RestartConsent.NEVER if restart else root.mode is not Mode.PATCH
        if forbidden:
            what = "restarts by order" if restart else "changes"
            return refuse("local_limits", self.local.problem or f"root allows no {what} here (limits.json)")
        now = self.local_minute()
        free = restart and root.restart is RestartConsent.ANY
        if free or weekly.is_open(root.windows, now):
            return None
        return refuse("window", f"outside of the windows that root allows: {weekly.next_opening(root.windows, now)}")

    def _begin(self, order: Order, offer: Offer, request: dict[str, Any]) -> Reply:
        if limited := self._limited():
            return limited
        now_ms = self._now_ms(request, offer.issued_ms, offer.expires_ms)
        with self.beginning:
            return self.transactions.begin(order, offer.expires_ms, now_ms)

    def _now_ms(self, request: dict[str, Any], issued_ms: int, expires_ms: int) -> int:
        """No earlier than the order says; the agent may say later, up to its end: what is kept outlives that agent."""
        claimed_ms = request.get("server_ms")
        claimed_ms = min(claimed_ms, expires_ms) if type(claimed_ms) is int else 0
        return self.transactions.time_floor(max(issued_ms, claimed_ms))

    def _inverse(self, request: dict[str, Any]) -> Reply:
        """What is left to do of a stored way back; changes nothing."""
        found = self.provider().undo(parse_id(str(request.get("rollout_id")), "ro"), look=True)
        if isinstance(found, Refused):
            return refuse(found.code, found.reason)
        return {"ok": True, "transaction": codec.to_plain(found.transaction)}

    def _rollback(self, request: dict[str, Any]) -> Reply:
        """The only way to an older version: signed by the cell, over exactly what is left of an inverse stored here."""
        signed: SignedOrder = codec.from_plain(SignedOrder, request.get("order"), "order")
        offer = orders.read_order(signed, self.config.cell_key, self.config.endpoint_id)
        if isinstance(offer, orders.Disbelieved):
            return refuse(offer.code, offer.reason)
        if offer.release is not None or offer.drill is not None or not offer.undoes:
            return refuse("refused", "this order takes nothing back")
        if self.transactions.knows(orders.transaction_id(offer.offer_id)):
            return {"ok": True, "transaction_id": orders.transaction_id(offer.offer_id)}
        found = self.provider().undo(parse_id(offer.undoes, "ro"), look=False)
        if isinstance(found, Refused):
            return refuse(found.code, found.reason)
        unfit = orders.unfit(offer, found.transaction) or orders.unsafe(found.transaction, self.system)
        if unfit is not None:
            return refuse(unfit.code, unfit.reason)
        order = self._order(offer, found.transaction, self._bounds(request))
        bounds = replace(order.bounds, allow_downgrades=True, allow_removals=True)
        taken_back = orders.taken_back(offer, found.transaction)
        return self._begin(replace(order, bounds=bounds, inverse=found, taken_back=taken_back), offer, request)

    def _restart(self, request: dict[str, Any]) -> Reply:
        if self.reboots is None:
            return refuse("not_allowed", "this helper restarts nothing")
        signed: SignedOrder = codec.from_plain(SignedOrder, request.get("order"), "order")
        order = orders.read_restart(signed, self.config.cell_key, self.config.endpoint_id)
        if isinstance(order, orders.Disbelieved):
            return refuse(order.code, order.reason)
        if limited := self._limited(restart=True):
            return limited
        said = request.get("a_day")
        a_day = said if type(said) is int else A_DAY_MAX
        a_day = max(0, min(a_day, within(self.local).restarts_a_day))
        now_ms = self._now_ms(request, order.issued_ms, order.expires_ms)
        with self.beginning:  # no transaction begins meanwhile
            refused = self.reboots.follow(order, now_ms, busy=bool(self.transactions.unfinished()), a_day=a_day)
        if refused is None:
            return {"ok": True}
        waits = {"people": codec.to_plain(refused.people)} if refused.people is not None else {}
        return {**refuse(refused.code, refused.reason), **waits}

    def _stand_down(self) -> Reply:
        """An order to restart was taken back: people who were told of it are told so. Can only keep a machine up."""
        if self.reboots is not None:
            self.reboots.stand_down()
        return {"ok": True}

    def _run(self, request: dict[str, Any]) -> Reply:
        """What the transaction's process has written down of its run; secrets were masked when it did."""
        begin = request.get("begin")
        text, following = self.transactions.run(_transaction_id(request), begin if type(begin) is int else 0)
        return {"ok": True, "text": text, "next": following}

    def _harms(self) -> Reply:
        """Counts of what the system refused and of its errors, and no record itself; changes nothing."""
        if self.refusals is None:
            return refuse("not_counted", "this helper counts no refusals")
        self._note_boot()
        found, journal = self.refusals(), self.errors() if self.errors is not None else Errors(None)
        return {"ok": True, **codec.to_plain(found), "errors": journal.errors, "loud": list(journal.named)}

    def _note_boot(self) -> None:
        """Asked for by every check-in or so: a boot that lasts is seen to last."""
        if self.reboots is not None:
            with suppress(OSError):
                self.reboots.note_boot()

    def _order(self, offer: Offer, transaction: Transaction, bounds: Settings = WIDEST) -> Order:
        replaces = offer.conffile_policy == "replace" and bounds.conffiles is Conffiles.REPLACE
        limits = Bounds(
            conffile_policy="replace" if replaces else "keep",
            allow_new_packages=offer.allow_new_packages,
            allow_removals=offer.allow_removals and self.config.allow_removals,
            allow_downgrades=False,
            restart_services=offer.restart_services,
            download_kib_s=bounds.download_kib_s,
            nice=bounds.nice,
        )
        transaction_id = orders.transaction_id(offer.offer_id)
        who = (transaction_id, offer.offer_id, offer.rollout_id, offer.generation)
        return Order(*who, transaction, limits, self.rules)


def refuse(code: str, reason: str) -> Reply:
    return {"ok": False, "code": code, "reason": reason}


def _transaction_id(request: dict[str, Any]) -> str:
    return parse_id(str(request.get("transaction_id")), "tx")
