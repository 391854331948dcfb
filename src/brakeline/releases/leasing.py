"""Offer leases: signed when somebody asks, for ten minutes, kept for one.

Invariants: only what a rollout wishes in this second is leased; a wish that is gone is leased to nobody from then on;
what is withdrawn, recalled or unsigned is never leased, whoever wishes it. A grant of a conductor elsewhere is embedded
word for word where the root names that conductor's key, which this cell has not; else this cell grants the same by
its own, and its conductor's bound is kept by the cell alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from securesystemslib.signer import Signer

from brakeline.core.draw import U_END
from brakeline.core.errors import Bug
from brakeline.releases import signing
from brakeline.releases.model import LeaseWish
from brakeline.trust.metadata import Target
from brakeline.trust.statements import SALT_BYTES
from brakeline.trust.wire import LEASES_MAX

LEAST_MS: Final = 1000  # instants in documents are whole seconds
KEPT_MS: Final = 60_000  # so whoever asks has nine minutes at least


class Leases:
    """What is leased by one cell."""

    def __init__(self, cell: str) -> None:
        self._cell = cell
        self._wishes: tuple[LeaseWish, ...] = ()
        self._made: dict[LeaseWish, tuple[int, str]] = {}

    def set(self, wishes: tuple[LeaseWish, ...]) -> None:
        """All that is wished from now on. `Bug` for a wish that no endpoint would understand."""
        for wish in wishes:
            if len(wish.salt) != SALT_BYTES or not 0 <= wish.draw_below <= U_END:
                raise Bug("a lease needs a salt of 32 bytes and a share of the draw", rollout_id=wish.rollout_id)
        self._wishes = wishes
        self._made = {w: made for w in wishes if (made := self._made.get(w))}

    def forget(self) -> None:
        """Sign all anew: keys have changed."""
        self._made = {}

    def texts(self, channel: str, region: str, leasable: Mapping[str, Target], now_ms: int,
              cell: Sequence[Signer], conductor: Sequence[Signer]) -> tuple[str, ...]:  # fmt: skip
        """The leases for one channel and region. `leasable`: signed targets by path that nothing forbids.

        Without the key of `conductor` only what a conductor elsewhere has granted is leased: the root names its key.
        """
        if not cell:
            return ()
        found = []
        for wish in self._wishes:
            if not conductor and not (wish.grant and wish.until_ms > now_ms + LEAST_MS):
                continue
            target = leasable.get(wish.release.path)
            fits = target is not None and (target.sha256, target.length) == (wish.release.sha256, wish.release.length)
            if fits and wish.channel == channel and wish.region in ("", region):
                found.append(self._text(wish, now_ms, cell, conductor))
        return tuple(found[:LEASES_MAX])

    def _text(self, wish: LeaseWish, now_ms: int, cell: Sequence[Signer], conductor: Sequence[Signer]) -> str:
        made_ms, text = self._made.get(wish, (0, ""))
        if not text or not 0 <= now_ms - made_ms < KEPT_MS:
            text = signing.lease_text(self._cell, wish, now_ms, cell, conductor)
            self._made[wish] = (now_ms, text)
        return text
