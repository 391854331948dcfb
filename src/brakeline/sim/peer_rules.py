"""The rules of other systems in plain figures: when the next group opens, what stops everything, what they can see.

Nobody else's program is run: a rule is what its source or documents say (`Rule.source`), and where these leave a figure
open, the one that is kinder to the peer is taken and named. What can reach a peer is a report of the endpoint
("installed", "failed") and, for those that look, its silence; nothing else. Next: `peers.replay` lets them run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.sim.incidents import Symptom

# What reaches a peer. Everything else is invisible to it: the endpoint goes on reporting. One in a reboot loop counts
# as silent, which is kind: it is heard now and then.
SAYS_FAILED: Final = frozenset({Symptom.CRASH_REVERTS, Symptom.SERVICE_FAILED, Symptom.PATCH_FAILURE})
SAYS_NOTHING: Final = frozenset({Symptom.SILENT, Symptom.NETWORK_LOST, Symptom.REBOOT_LOOP, Symptom.TELEMETRY_OUTAGE})
HARMLESS: Final = frozenset({Symptom.TELEMETRY_OUTAGE})

GROUPS: Final = (0.01, 0.11, 1.0)  # cumulative shares of the fleet: three groups, as when the brake was designed
ONLINE_TAKE_H: Final = 1.0  # hours until everybody online has taken what is offered to all at once
SPREAD_H: Final = 4.0  # hours over which a group's offers go out, for the peers as for our own rings


@dataclass(frozen=True, slots=True)
class Rule:
    """When the next group opens and what stops everything. Shares are of the group in question.

    `installed`: opens the next group when so many have said so; `of_answers`: of those who have said anything, and of
    at least `least` of the group. `failed`: stops when more than this share has said so; `watched`: also what fails
    after "installed" is seen. `silent`: a group passes at its check, or, with more than this share silent, stops
    everything. `opens_h`: groups open by time alone, so many hours after the start.
    """

    name: str
    source: str
    groups: tuple[float, ...] = GROUPS
    spread_h: float = SPREAD_H
    installed: float | None = None
    of_answers: bool = False
    least: float = 0.0
    failed: float | None = None
    watched: bool = False
    silent: float | None = None
    opens_h: tuple[float, ...] = ()


NAIVE: Final = Rule("naive", "no groups: everybody who is online, within about an hour", (1.0,), ONLINE_TAKE_H)
HAWKBIT: Final = Rule(
    "hawkbit",
    "hawkBit b016e40, RolloutGroupConditionBuilder.withDefaults: 50 % finished opens the next group, over 50 % errors "
    "pause; the device itself says finished; silence is neither",
    installed=0.5,
    failed=0.5,
)
HAWKBIT_STRICT: Final = Rule(
    "hawkbit-90-5", "the same conditions, set to 90 % finished and 5 % errors", installed=0.9, failed=0.05
)
# No default of the success count is known to us: half of the ring is a careful operator's. The gate keeps an update
# from the next ring and stops nothing in this one.
ACTION1: Final = Rule(
    "action1",
    "action1.com/documentation/update-ring: success / (success + failure), at least 70 % by default; silence is in "
    "neither term",
    installed=0.7,
    of_answers=True,
    least=0.5,
)
# The page's own example: a pilot at once, early adopters after 3 days, production after 7. Approval by hand, which it
# starts with, is not modelled. Releases of its own agent go to everybody by default: that is the naive rule.
BREEZE: Final = Rule(
    "breeze",
    "LanternOps/breeze 14f74e7, features/update-rings.mdx: deferral in days, nothing else",
    opens_h=(0.0, 72.0, 168.0),
)
FIXED_RINGS: Final = Rule(
    "fixed-rings",
    "the best that fixed thresholds do: a day's bake, an absolute limit of 10 % silence and of 5 % failures",
    failed=0.05,
    watched=True,
    silent=0.10,
)
RULES: Final = (NAIVE, HAWKBIT, HAWKBIT_STRICT, ACTION1, BREEZE, FIXED_RINGS)
