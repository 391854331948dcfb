"""Whether a signed order may be believed: pure, used by the agent and again, on its own, by the root helper.

A signature is the cell's over ORDER_CONTEXT + payload. Everything else is bounds that no order can change: it is
for this endpoint, its time has not run out, and the transaction is exactly the one that was planned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from brakeline.agent import naming
from brakeline.core.errors import Fault
from brakeline.core.ids import parse_id
from brakeline.protocol import codec
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.managers import inside, update_name
from brakeline.protocol.messages import (
    ORDER_CONTEXT,
    RESTART_CONTEXT,
    SETTINGS_CONTEXT,
    ActionKind,
    Offer,
    RestartOrder,
    SettingsGrant,
    SignedOrder,
    Transaction,
    UpdateRef,
)
from brakeline.trust import ed25519

ORDER_BYTES_MAX = 64 * 1024  # an offer of about 500 updates; larger ones are not believed to be sane
RESTART_BYTES_MAX = 2048  # five short fields
GRANT_BYTES_MAX = 8192  # settings with as many windows as an agent reads
_T = TypeVar("_T", RestartOrder, SettingsGrant)
ACTIONS_MAX = 2_000  # a distribution upgrade is larger, and is not what an offer is for


@dataclass(frozen=True, slots=True)
class Disbelieved:
    """Why the order is not followed. With `offer` set it is our cell's and for us, so that an answer makes sense."""

    code: str
    reason: str
    offer: Offer | None = None


def read_order(order: SignedOrder, cell_key: str, endpoint_id: str) -> Offer | Disbelieved:
    """The offer inside, if our cell signed it for this endpoint. Says nothing about time."""
    payload = order.payload.encode()
    if len(payload) > ORDER_BYTES_MAX:
        return Disbelieved("oversized", f"the order has {len(payload)} bytes; at most {ORDER_BYTES_MAX} are read")
    try:
        key, signature = bytes.fromhex(cell_key), bytes.fromhex(order.signature)
    except ValueError:
        return Disbelieved("bad_signature", "the order's signature is not hexadecimal")
    if not ed25519.verify(key, ORDER_CONTEXT + payload, signature):
        return Disbelieved("bad_signature", "the order is not signed by the cell that enrolled this endpoint")
    try:
        offer = codec.decode(Offer, payload)
        parse_id(offer.offer_id, "of")
    except Fault as e:
        return Disbelieved("malformed", f"the order cannot be read: {e}")
    if offer.endpoint_id != endpoint_id:
        return Disbelieved("wrong_endpoint", f"the order is for {offer.endpoint_id}")
    return offer


def read_restart(order: SignedOrder, cell_key: str, endpoint_id: str) -> RestartOrder | Disbelieved:
    """The order to restart inside, if our cell signed it for this endpoint. Says nothing about time or boot."""
    return _genuine(RestartOrder, RESTART_CONTEXT, RESTART_BYTES_MAX, order, cell_key, endpoint_id)


def read_grant(order: SignedOrder, cell_key: str, endpoint_id: str) -> SettingsGrant | Disbelieved:
    """The settings that this endpoint may run by at most, if our cell signed them for it. Says nothing about age."""
    return _genuine(SettingsGrant, SETTINGS_CONTEXT, GRANT_BYTES_MAX, order, cell_key, endpoint_id)


def _genuine(
    kind: type[_T], context: bytes, bytes_max: int, order: SignedOrder, cell_key: str, endpoint_id: str
) -> _T | Disbelieved:
    """What is inside, if the cell that enrolled this endpoint signed it, as such, for this endpoint."""
    payload = order.payload.encode()
    if len(payload) > bytes_max:
        return Disbelieved("oversized", f"the order has {len(payload)} bytes; at most {bytes_max} are read")
    try:
        genuine = ed25519.verify(bytes.fromhex(cell_key), context + payload, bytes.fromhex(order.signature))
        found = codec.decode(kind, payload) if genuine else None
    except (ValueError, Fault) as e:
        return Disbelieved("malformed", f"the order cannot be read: {e}")
    if found is None:
        return Disbelieved("bad_signature", "the order is not signed by the cell that enrolled this endpoint")
    if found.endpoint_id != endpoint_id:
        return Disbelieved("wrong_endpoint", f"the order is for {found.endpoint_id}")
    return found


def transaction_id(offer_id: str) -> str:
    """The id of the one transaction of an offer: same time and random bits, so it can never be a second one."""
    return "tx_" + offer_id.removeprefix("of_")


def unfit(offer: Offer, transaction: Transaction) -> Disbelieved | None:
    """Why this transaction must not be done under this offer; None = it fits."""
    if transaction_digest(transaction.actions) != offer.transaction_digest:
        return Disbelieved("changed", "the transaction is not the one that the offer names", offer)
    if not transaction.actions or len(transaction.actions) > ACTIONS_MAX:
        return Disbelieved("refused", f"{len(transaction.actions)} actions; 1 to {ACTIONS_MAX} are done at once", offer)
    if offer.undoes:
        return None  # which versions those are, the helper alone decides: by what it stored itself
    for action in transaction.actions:
        if inside(action.architecture):
            continue  # what an application of npm has below itself comes and goes with it, and is nobody else's
        if action.kind is ActionKind.DOWNGRADE:
            return Disbelieved("refused", f"{action.name}: an offer never downgrades", offer)
        if action.kind is ActionKind.REMOVE and not offer.allow_removals:
            return Disbelieved("refused", f"{action.name} would be removed, which this offer does not allow", offer)
        if action.kind is ActionKind.INSTALL and not offer.allow_new_packages:
            return Disbelieved("refused", f"{action.name} is new, which this offer does not allow", offer)
    return None


def taken_back(offer: Offer, back: Transaction) -> tuple[UpdateRef, ...]:
    """Of the updates that a way back undoes: those that it takes away from here, as their orders named them."""
    away = {(update_name(a.name, a.architecture), a.before) for a in back.actions}
    return tuple(u for u in offer.updates if (u.name, u.version) in away)


def unsafe(transaction: Transaction, system: str) -> Disbelieved | None:
    """Names and versions that are none for the managers of this endpoint: nothing else may reach a root command line.

    `system`: the system's own manager, "" = there is none, and nothing of it is believed.
    """
    for a in transaction.actions:
        if why := naming.illegal(system, a.name, a.architecture, [v for v in (a.before, a.after) if v]):
            return Disbelieved("refused", why)
    return None
