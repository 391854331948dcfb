"""From an endpoint's numbers to bad or not bad: what changed since ready, judged by one rule for both arms. Pure.

Harm is more than silence and failed services: a machine that runs out of memory, is busy with nothing, fills its disk,
loses packages or starts over and over still answers check-ins. Each rule compares an endpoint *with itself at ready*
and asks for a change that people would call trouble; how often that happens by chance is left to the controls, and a
harmless excess up to `alpha.MARGINS` halts nothing. An endpoint whose agent told no numbers at ready is never bad: else
a release that begins to tell them would look worse than the one before. Next: `evidence` counts, `situation` asks.
"""

from __future__ import annotations

from brakeline.fleet.model import Readings
from brakeline.rollout.model import Policy

RESOURCES = "resources"
ACTIONS = "actions"
STARTS = "starts"
PATCHES = "patches"  # what these three mean is in `harms`
BLOCKS = "blocks"
DELETIONS = "deletions"
ERRORS = "errors"  # what this means is in `vitals`
MEMORY_DROP = 0.25  # of all memory, no longer available
MEMORY_LEFT = 0.10  # less than this available, and more was
LOAD_RISE = 1.0  # a processor, more than at ready, is busy all the time
DISK_DROP = 0.10  # of the disk, used up since
AGENT_BYTES_RISE = 64 * 1024 * 1024  # of our own agent
AGENT_PERMILLE = 100  # of one processor, taken by our own agent, which takes a tenth of one per mille
LASTS_S = 600  # what passes sooner is a busy moment, and nobody's harm
REMOVED = 3  # packages gone that were there; no offer removes any unless it is allowed to


def troubles(before: Readings | None, now: Readings | None) -> tuple[str, ...]:
    """Resources that are used up beyond what a person would shrug off, in words; empty = none."""
    if before is None or now is None:
        return ()
    found = [
        *_memory(before, now),
        *(["busy"] if now.load_1m - before.load_1m > LOAD_RISE * max(now.processors, 1) else []),
        *(["disk"] if now.disk_total and before.disk_free - now.disk_free > DISK_DROP * now.disk_total else []),
        *_agent(before, now),
    ]
    return tuple(found)


def _memory(before: Readings, now: Readings) -> list[str]:
    if not before.memory_total or not now.memory_total:
        return []
    was, left = (r.memory_available / r.memory_total for r in (before, now))
    return ["memory"] if was - left > MEMORY_DROP or left < MEMORY_LEFT <= was else []


def _agent(before: Readings, now: Readings) -> list[str]:
    if not before.agent_memory or not now.agent_memory:
        return []
    found = ["agent's memory"] if now.agent_memory - before.agent_memory > AGENT_BYTES_RISE else []
    return [
        *found,
        *(["agent's processor time"] if now.agent_permille > AGENT_PERMILLE >= before.agent_permille else []),
    ]


def lasts(policy: Policy, for_ms: int) -> bool:
    """Whether it is more than a busy moment; half of the first checkpoint that reads it at most."""
    return for_ms >= min(LASTS_S, policy.settled_s // 2) * 1000


def removals(before: Readings | None, now: Readings | None) -> bool:
    """Whether packages went away since ready."""
    return before is not None and now is not None and now.packages_removed - before.packages_removed >= REMOVED


def starts_too_often(starts: int, checkpoint: int) -> bool:
    """Whether an endpoint was started more than once an interval, from ready to this checkpoint (counted from 0)."""
    return starts > checkpoint + 1
