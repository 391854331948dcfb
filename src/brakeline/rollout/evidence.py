"""From check-ins to counts: when an endpoint was heard, what that means at each checkpoint, which blocks to compare.

An endpoint's clock starts at ready. At checkpoint c it is *silent* if no check-in came in (c - g, c]; *asleep* (said
goodbye) is a third value, counted in neither; *unhealthy* and the other `signals` are judged among those heard. Counts
are made per block: the treated and controls of one region that were randomised in the same tick and came into range in
the same tick (`arms.cohort`), and of whom all face the internet or nobody does (`facing`). A block speaks only when its
tick is closed and all its endpoints have passed the checkpoint. Pure; the executor and the simulation call the same
code.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.rollout import arms
from brakeline.rollout.model import Arm, Policy, Subject, Turn
from brakeline.rollout.signals import ACTIONS, BLOCKS, DELETIONS, ERRORS, PATCHES, RESOURCES, STARTS

SILENT: Final = "silent"
UNHEALTHY: Final = "unhealthy"
EXPLICIT: Final = "explicit"
STATIONARY: Final = "class:stationary"  # servers and desktops together: nearly half of a fleet, with few closed lids
SILENCE_CHECKPOINTS: Final = 2  # passed since ready before one silent endpoint halts a release in a small ring
# Bit k of `Subject.tells`: what an endpoint did not tell at ready is no zero.
TOLD_BY_SOME: Final = (PATCHES, BLOCKS, DELETIONS, ERRORS)
SIGNALS: Final = (SILENT, UNHEALTHY, RESOURCES, ACTIONS, STARTS, *TOLD_BY_SOME)  # EXPLICIT has no control arm

# Failures that can come from the endpoint's own situation. Every other failure of a transaction that was started is
# taken as the update's: an unknown code must not hide harm.
CAN_PRE_EXIST: Final = frozenset(
    {"no_space", "lock_timeout", "locked", "network", "download_failed", "lists_stale", "unhealthy", "changed",
     "expired", "offer_expired", "busy", "refused", "held", "window", "killed", "runner_died", "record_lost",
     "hash_mismatch", "no_network", "not_taken", "recalled", "trial_recalled", "quarantined", "no_launcher",
     "self_update_off", "pinned", "halted", "barred", "assess_only", "nothing_to_do", "refresh_failed",
     "not_allowed"}
)  # fmt: skip


def windows_hit(policy: Policy, machine_class: str, ready_ms: int, from_ms: int, to_ms: int) -> int:
    """Bits of the checkpoints whose window (c - g, c] has an instant in (from_ms, to_ms]."""
    grace_ms = policy.grace_s(machine_class) * 1000
    mask = 0
    for j, c in enumerate(policy.checkpoints_s):
        end = ready_ms + c * 1000
        if from_ms < end and to_ms > end - grace_ms:
            mask |= 1 << j
    return mask


def heard_now(policy: Policy, machine_class: str, ready_ms: int, now_ms: int) -> int:
    """Bits that a single check-in at `now_ms` sets."""
    return windows_hit(policy, machine_class, ready_ms, now_ms - 1, now_ms)


def came_through_the_change(outcome: str, code: str, services_failed: bool, package_manager_healthy: bool) -> bool:
    """Whether a result shows a failure that the change itself must have caused (rule 8).

    Nothing is planned on a broken package manager, except the update that replaces what is broken; so one that is
    broken after an update was installed was broken by it, or not repaired.
    """
    if outcome == "failed":
        return code not in CAN_PRE_EXIST
    return outcome == "installed" and (services_failed or not package_manager_healthy)


def due(policy: Policy, subject: Subject, now_ms: int) -> int:
    """How many checkpoints this endpoint has passed."""
    passed = now_ms - subject.ready_ms
    return sum(passed >= c * 1000 for c in policy.checkpoints_s)


@dataclass(frozen=True, slots=True)
class Counts:
    """One comparison: of n treated x bad, of n controls x bad. Where only a group's bad ones count, n are still all who
    were randomised together: given which endpoints are bad, the draw alone says how many of them are treated, whoever
    they are. `m_t` of the treated belong to the group, and tell this signal at all; -1 = all.
    """

    n_t: int
    n_c: int
    x_t: int
    x_c: int
    m_t: int = -1

    @property
    def at_risk(self) -> int:
        return self.n_t if self.m_t < 0 else self.m_t


Row = tuple[str, int, str]  # (signal, checkpoint index, group)


def groups(subject: Subject) -> tuple[str, ...]:
    """Where a subject's evidence counts: everybody, its class, each of its frozen attributes."""
    stationary = () if subject.machine_class == "laptop" else (STATIONARY,)
    return ("all", f"class:{subject.machine_class}", *stationary, *subject.attributes)


def tabulate(policy: Policy, subjects: Iterable[Subject], turns: Sequence[Turn], open_ticks: frozenset[int],
             since_ms: int, now_ms: int) -> dict[Row, dict[int, list[Counts]]]:  # fmt: skip
    """All comparisons that may be made now, per row of the alpha table and ring.

    Whoever was ready before `since_ms` was judged then.
    """
    blocks: dict[tuple[int, int, int, str, bool], list[Subject]] = defaultdict(list)
    for s in subjects:
        if s.tick not in open_ticks and s.ready_ms >= since_ms:
            cohort = arms.cohort(turns, s.region, s.ring, s.arm, s.u)
            blocks[(s.ring, s.tick, cohort, s.region, s.facing)].append(s)
    table: dict[Row, dict[int, list[Counts]]] = defaultdict(lambda: defaultdict(list))
    for (ring, *_), members in blocks.items():
        if len({s.arm for s in members}) < 2:
            continue  # nobody to compare with
        youngest_ms = max(s.ready_ms for s in members)
        for j, c in enumerate(policy.checkpoints_s):
            if now_ms < youngest_ms + c * 1000:
                break  # checkpoints rise
            for (signal, group), counts in compared(members, j, c * 1000).items():
                table[(signal, j, group)][ring].append(counts)
    return table


def compared(members: Sequence[Subject], j: int, c_ms: int) -> Mapping[tuple[str, str], Counts]:
    """Counts of one block at one checkpoint; controls that crossed over before it are left out, so are the asleep."""
    bit = 1 << j
    kinds: Counter[tuple[bool, int, int, tuple[int, ...], tuple[str, ...]]] = Counter()  # few, however many members
    for s in members:
        heard = s.heard & bit
        if (s.asleep & bit and not heard) or (s.crossed_ms and s.crossed_ms <= s.ready_ms + c_ms):
            continue
        told = (s.unhealthy & bit, s.resources & bit, s.actions & bit, s.often & bit, s.patches & bit, s.blocks & bit,
                s.deletions & bit, s.errors & bit)  # fmt: skip
        kinds[(s.arm is Arm.TREATED, heard, s.tells, told, groups(s))] += 1
    tallies: dict[str, list[int]] = {}
    for (treated, heard, tells, ills, mine), n in kinds.items():
        for group in mine:
            _add(tallies.setdefault(group, [0] * _COLUMNS), 0 if treated else 1, n, heard, tells, ills)
    found = {}
    every = tallies.get("all", [0] * _COLUMNS)
    for group, tally in tallies.items():
        for k, signal in enumerate(SIGNALS):
            of = 0 if signal is SILENT else 2  # all of them, or those heard
            if not (every[of] and every[of + 1]):
                continue
            m_t = -1 if group == "all" else tally[of]
            if signal in TOLD_BY_SOME:
                at = _TELLING + 2 * TOLD_BY_SOME.index(signal)
                if not (every[at] and every[at + 1]):
                    continue  # nobody in one of the arms tells it: the question is not asked
                m_t = tally[at]
            found[(signal, group)] = Counts(every[of], every[of + 1], tally[4 + 2 * k], tally[5 + 2 * k], m_t)
    return found


_TELLING: Final = 4 + 2 * len(SIGNALS)  # treated, controls, treated heard, controls heard; by signal bad ones of each
_COLUMNS: Final = _TELLING + 2 * len(TOLD_BY_SOME)  # then, by signal that not everybody tells, those heard who do


def _add(tally: list[int], side: int, n: int, heard: int, tells: int, ills: tuple[int, ...]) -> None:
    tally[side] += n
    if not heard:
        tally[4 + side] += n
        return
    tally[2 + side] += n
    for k, ill in enumerate(ills, start=1):
        if ill:
            tally[4 + 2 * k + side] += n
    for k in range(len(TOLD_BY_SOME)):
        if tells >> k & 1:
            tally[_TELLING + 2 * k + side] += n
