"""View-models of the pool; see `views` for what holds of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge


@dataclass(frozen=True, slots=True)
class PooledRow:
    """One live rollout. `says`: with how many it is compared, or why with nobody."""

    id: str
    title: str
    state: Badge
    says: str


@dataclass(frozen=True, slots=True)
class PoolPage:
    """Whether this organisation shares its evidence. `since` "" = it does not."""

    since: str
    rows: tuple[PooledRow, ...] = ()
    may_write: bool = False
