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
from brakeline.fleet.model import FleetUpdate, HeldUpdate
from brakeline.fleet.service import FleetService
from brakeline.tenancy.model import Principal

LIST_MAX: Final = 500
CVES_SHOWN: Final = 100
ENDPOINTS_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class UpdateGain:
    """One pending update, and what the updates of its source close. `worst`: the most urgent level among them."""

    update: FleetUpdate
    closes: int  # distinct CVEs, in what can run
    kev: int
    overdue: int
    endpoints: int  # on which any of them would be closed now
    held: int  # distinct CVEs that stand behind an update that is held back somewhere
    worst: str = ""  # a Level, "" = it closes nothing that is known


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

    async def pending(
        self, principal: Principal, *, name: str = "", security_only: bool = False, limit: int = 200
    ) -> tuple[UpdateGain, ...]:
        """Pending updates, those that close the most urgent first."""
        principal.require("exposure.read")
        found = await self._fleet.updates(
            principal, security_only=security_only, name=name, limit=min(max(limit, 1), LIST_MAX)
        )
        made, _ = await self._gained(principal, found)
        return tuple(sorted(made, key=_urgency))

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


def _urgency(one: UpdateGain) -> tuple[int, int, int, int, str, str]:
    rank = {level.value: place for level, place in ORDER.items()}
    return (
        rank.get(one.worst, len(rank)), -one.kev, -one.overdue, -one.closes, one.update.name, one.update.candidate
    )  # fmt: skip
