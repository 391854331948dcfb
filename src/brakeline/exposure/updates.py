"""Use cases of updates: what is pending across the fleet, what each one closes, where it is held back and why.

Invariants: an update is what endpoints say that their own repositories have; what it closes is judged as everywhere
else (`gains`), with priority, due day and acceptance as the vulnerabilities have them. It changes nothing: the way to
install one is a deployment, and that goes by rings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import NotFound
from brakeline.exposure.answers import Vulnerability
from brakeline.exposure.gains import Gain, gains
from brakeline.exposure.priority import ORDER
from brakeline.exposure.service import ExposureService
from brakeline.exposure.updates_listing import UpdateGain, parse, selected
from brakeline.fleet.lists import UPDATES_MAX
from brakeline.fleet.model import FleetUpdate, HeldUpdate
from brakeline.fleet.service import FleetService
from brakeline.tenancy.model import Principal

LIST_MAX: Final = 500
CVES_SHOWN: Final = 100
ENDPOINTS_SHOWN: Final = 200
CUT: Final = (
    f"More than {UPDATES_MAX:,} different updates are pending. Listed are those that are called security updates and "
    "those that most endpoints want; any other is found by its whole name: brakeline update show NAME."
)


@dataclass(frozen=True, slots=True)
class UpdatePage:
    """The first of the updates that match. `total`: how many match; `known`: how many there are, of which more than
    UPDATES_MAX are `cut`, said in words."""

    items: tuple[UpdateGain, ...]
    total: int
    known: int
    cut: str = ""


@dataclass(frozen=True, slots=True)
class UpdateDetail:
    """One package: the versions on offer, what they close, and every endpoint that has it pending."""

    name: str
    versions: tuple[UpdateGain, ...]
    closes: tuple[Vulnerability, ...]  # worst first, the first of them
    total: int
    endpoints: tuple[HeldUpdate, ...]  # those that hold it back first
    limits: tuple[str, ...]


class Updates:
    """See the module."""

    def __init__(self, fleet: FleetService, exposure: ExposureService) -> None:
        self._fleet, self._exposure = fleet, exposure

    async def pending(self, principal: Principal, query: str = "", *, limit: int = 200) -> UpdatePage:
        """Pending updates that match, those that close the most urgent first. Raises `Invalid`."""
        chosen, known = await self._chosen(principal, query)
        cut = CUT if known >= UPDATES_MAX else ""
        return UpdatePage(tuple(chosen[: min(max(limit, 1), LIST_MAX)]), len(chosen), known, cut)

    async def every(self, principal: Principal, query: str = "") -> list[UpdateGain]:
        """All that match, in the same order: for files. Raises `Invalid`."""
        return (await self._chosen(principal, query))[0]

    async def _chosen(self, principal: Principal, query: str) -> tuple[list[UpdateGain], int]:
        principal.require("exposure.read")
        wanted = parse(query)
        found = await self._fleet.updates(principal, limit=UPDATES_MAX)
        made, _ = await self._gained(principal, found)
        return selected(made, wanted), len(made)

    async def show(self, principal: Principal, name: str) -> UpdateDetail:
        """One package that is pending somewhere. Raises `NotFound`."""
        principal.require("exposure.read")
        found = [u for u in await self._fleet.updates(principal, name=name, limit=LIST_MAX) if u.name == name]
        if not found:
            raise NotFound("no endpoint has an update of it pending; `brakeline update list` has them", name=name[:80])
        made, gained = await self._gained(principal, found)
        cves = {cve for gain in gained.values() for cve in gain.cves}
        closes, limits = await self._exposure.every(principal)
        chosen = [v for v in closes if v.cve in cves]
        endpoints = await self._fleet.pending_named(principal, name, limit=ENDPOINTS_SHOWN)
        return UpdateDetail(name, tuple(made), tuple(chosen[:CVES_SHOWN]), len(cves), endpoints, limits)

    async def _gained(self, principal: Principal, found: list[FleetUpdate]) -> tuple[list[UpdateGain], dict[str, Gain]]:
        index, book = await self._exposure.indexed(principal.tenant_id)
        gained = gains(index, book, {u.source for u in found})
        known = {v.cve: v for v in (await self._exposure.every(principal))[0]}
        return [_gain(u, gained[u.source], known) for u in found], gained


def _gain(update: FleetUpdate, gain: Gain, known: dict[str, Vulnerability]) -> UpdateGain:
    closed = [known[cve] for cve in gain.closes if cve in known]
    worst = min((v.priority.level for v in closed), key=lambda level: ORDER[level], default=None)
    return UpdateGain(
        update, len(gain.closes), sum(v.kev for v in closed), sum(v.overdue_days > 0 for v in closed),
        len(gain.endpoints), len(gain.held), worst.value if worst else "",
    )  # fmt: skip
