"""Stores the way back before a transaction begins: its inverse, and the former packages as repositories have them.

The places, bounds and hashes are those of `apt.keep`; what differs is who fetches: the child, which checks each file
against the repository's checksum and signature. What no repository has any more has no way back, and that is said.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from brakeline.agent.files import flush_directory, write_durably
from brakeline.agent.providers.apt.keep import Keeper
from brakeline.agent.providers.apt.plan import named
from brakeline.agent.providers.dnf.plan import inverse_of
from brakeline.agent.providers.model import Archive, Inverse, Order
from brakeline.protocol import codec
from brakeline.protocol.messages import WayBack


@dataclass(frozen=True, slots=True)
class RpmKeeper(Keeper):
    """The store on one endpoint."""

    @property
    def aside(self) -> str:
        return f"{self.directory}/new"

    def begin(self) -> None:
        """An empty directory for the child to put former packages into."""
        shutil.rmtree(self._path("new"), ignore_errors=True)
        self._path("new").mkdir(parents=True, mode=0o700)

    def finish(self, order: Order, kept: Mapping[str, list[str]], gone: list[str], now_ms: int) -> WayBack:
        """What the child fetched becomes the stored way back, complete or not at all."""
        try:
            if gone:
                return WayBack(
                    False, code="gone", reason=f"{named(gone)} cannot be had from this endpoint's repositories."
                )
            return self._complete(order, kept, now_ms)
        except OSError as e:
            return WayBack(False, code="no_space", reason=f"The way back could not be stored: {e.strerror}.")
        finally:
            shutil.rmtree(self._path("new"), ignore_errors=True)

    def _complete(self, order: Order, kept: Mapping[str, list[str]], now_ms: int) -> WayBack:
        place, archives = f"{self.directory}/{order.transaction_id}", []
        for key, (file, sha256) in kept.items():
            name, architecture, version = key.split("\t")
            archives.append(Archive(name, architecture, version, f"{place}/{file}", sha256))
        needed = sum(p.stat().st_size for p in self._path("new").iterdir())
        if needed > self.bytes_max:
            return WayBack(False, code="too_large", reason=f"The former packages have {needed // 2**20} MiB.")
        self._make_room(needed)
        inverse = Inverse(order.transaction_id, order.rollout_id, inverse_of(order.transaction), tuple(archives),
                          made_ms=now_ms)  # fmt: skip
        inverse = self._with_earlier(inverse, self._path("new"))
        write_durably(self._path("new/inverse.json"), codec.encode(inverse))
        self.drop(order.transaction_id)
        os.rename(self._path("new"), self._path(order.transaction_id))
        flush_directory(self._path(""))
        return WayBack(True, len(inverse.transaction.actions))
