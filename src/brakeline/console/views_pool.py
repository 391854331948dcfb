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
class PartnerRow:
    """An organisation of another installation."""

    name: str
    key: str
    taken: str


@dataclass(frozen=True, slots=True)
class PoolPage:
    """Whether this organisation shares its evidence. `since` "" = it does not; `key`: what partners elsewhere pin."""

    since: str
    rows: tuple[PooledRow, ...] = ()
    partners: tuple[PartnerRow, ...] = ()
    key: str = ""
    may_write: bool = False
