"""Signed grants: the widest settings that an endpoint may run by, as rollouts have proven them for it.

A reply's settings are not signed, so the agent follows them only downwards; what it may go up to is said here, by the
cell's order key, for one endpoint, with a serial that rises whenever that changes. A grant says nothing that a
completed rollout (or first settings) has not given: it is made from `endpoint_settings` and from nothing else. Signed
once for each change and kept, the same bytes each time, so that a reply stays the same. Next: `agent.ceiling`.
"""

from __future__ import annotations

from collections.abc import Callable

from brakeline.protocol.messages import SettingsGrant, SignedOrder
from brakeline.remediation.model import Had

Sign = Callable[[SettingsGrant], SignedOrder]
KEPT_MAX = 100_000  # a cell's endpoints; one that is dropped is signed anew, to the same bytes (RFC 8032 draws nothing)


class Grants:
    """Of all endpoints that have asked this process."""

    def __init__(self, sign: Sign, kept_max: int = KEPT_MAX) -> None:
        self._sign, self._kept_max = sign, kept_max
        self._made: dict[str, tuple[Had, SignedOrder]] = {}

    def of(self, endpoint_id: str, had: Had | None) -> SignedOrder | None:
        """The grant for what it has; None = it has nothing beyond what every agent may do by itself."""
        if had is None:
            return None
        known = self._made.get(endpoint_id)
        if known is None or known[0] != had:
            grant = SettingsGrant(endpoint_id, had.settings, had.since_ms)
            known = self._made[endpoint_id] = (had, self._sign(grant))
            while len(self._made) > self._kept_max:  # retired endpoints among them, oldest first
                del self._made[next(iter(self._made))]
        return known[1]
