"""What a change does to the endpoints that take it. Each fault is an incident that really happened to somebody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.sim.fleet import HOUR_MS, SimEndpoint

MINUTE_MS: Final = 60_000
NEVER_MS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Fault:
    """`share` of the endpoints that take the change are hit; `only` restricts it to one attribute.

    `dies_after_ms`: silent for ever so long after taking it (0 = before any result is sent); `at_reboot`: at its next
    restart instead; `fails`: the transaction fails and says so.
    """

    name: str
    share: float = 1.0
    dies_after_ms: int = NEVER_MS
    at_reboot: bool = False
    fails: bool = False
    only: str = ""

    @property
    def harmful(self) -> bool:
        return self.dies_after_ms < NEVER_MS or self.at_reboot or self.fails

    def hits(self, endpoint: SimEndpoint) -> bool:
        """Whether this endpoint would be hurt by the change."""
        fits = not self.only or self.only in endpoint.attributes
        return self.harmful and fits and (endpoint.phase * 7919) % 1.0 < self.share

    def death_ms(self, endpoint: SimEndpoint, taken_ms: int) -> int:
        """When the endpoint falls silent for ever, having taken the change at `taken_ms`."""
        if not self.hits(endpoint) or self.fails:
            return NEVER_MS
        if self.at_reboot:
            return taken_ms + endpoint.reboot_after_ms
        return taken_ms + self.dies_after_ms


BENIGN: Final = Fault("benign")
DEAD_ALL: Final = Fault("dead at once", dies_after_ms=10 * MINUTE_MS)
DEAD_SOME: Final = Fault("dead at once, 5 %", share=0.05, dies_after_ms=10 * MINUTE_MS)
POSTINST: Final = Fault("postinst fails", fails=True)
POSTINST_SOME: Final = Fault("postinst fails, 10 %", share=0.1, fails=True)
NETWORK: Final = Fault("network lost", dies_after_ms=0)
LATE: Final = Fault("dead after 5 h", dies_after_ms=5 * HOUR_MS)
REBOOT: Final = Fault("dead at next reboot", at_reboot=True)
SUBSET: Final = Fault("only debian-13, dead", only="os:debian-13", dies_after_ms=10 * MINUTE_MS)

ALL: Final = (BENIGN, DEAD_ALL, DEAD_SOME, POSTINST, POSTINST_SOME, NETWORK, LATE, REBOOT, SUBSET)
CERTAIN: Final = frozenset({DEAD_ALL, POSTINST, NETWORK, LATE})  # hit everybody: must be stopped at any size
