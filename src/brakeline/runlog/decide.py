"""What of an upload is new, what a run's entries add up to, and who made a change. Pure.

Invariants: entries are taken in the order of their numbers, each once; times are put right by how far the endpoint's
clock was off when it sent them; a change is a deployment's only where that deployment's own result says so, and each
line of a result explains one change: what came back later by itself was somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from brakeline.core.limits import RUN_BYTES_MAX, RUN_LINE_CHARS_MAX
from brakeline.fleet.history import Changed, Step
from brakeline.protocol.messages import RunEntry, RunKind, RunPart
from brakeline.runlog.model import OUTSIDE, Author, ChangedBy, Command, Done, Run

SILENT_MS: Final = 180_000  # an endpoint that runs something tells every few seconds
SLACK_MS: Final = 600_000  # a result may arrive after the inventory that shows what it did
SOON_MS: Final = 60_000  # a clock that is this little off is left alone: networks take their time
SIZE_MAX: Final = RUN_BYTES_MAX + RUN_BYTES_MAX // 4  # an honest agent stays below; encoding differs a little


@dataclass(frozen=True, slots=True)
class Taken:
    """What of an upload is to be written. `missing`: entries that were skipped before it."""

    entries: tuple[RunEntry, ...]
    next: int
    missing: int


def take(run: Run, part: RunPart, now_ms: int) -> Taken:
    """Entries that are not here yet, with their times by the cell's clock."""
    off_ms = now_ms - part.sent_ms if part.sent_ms and abs(now_ms - part.sent_ms) > SOON_MS else 0
    found, following, missing = list[RunEntry](), run.next, 0
    for entry in part.entries:
        if entry.n < following:
            continue
        missing += entry.n - following
        following = entry.n + 1
        found.append(replace(entry, at_ms=entry.at_ms + off_ms))
    return Taken(tuple(found), following, missing)


def state(run: Run, over: bool, now_ms: int) -> str:
    """running | ended | silent. `over`: its result is here."""
    if run.ended_ms or over:
        return "ended"
    return "silent" if now_ms - run.heard_ms > SILENT_MS else "running"


def note(run: Run, state: str, now_ms: int, dropped: int = 0) -> str:
    """What is missing and why, in sentences; "" = nothing is."""
    found = []
    if dropped:
        found.append(f"{dropped:,} lines came too fast or were too many, and were left out where they happened.")
    if run.missing:
        found.append(f"{run.missing:,} entries were lost on the endpoint, whose spool is bounded.")
    if run.refused:
        found.append("It is longer than a log may be: the rest is not kept here.")
    if state == "silent":
        found.append(f"Nothing was heard of it for {(now_ms - run.heard_ms) // 1000:,} s; the transaction does not "
                     "need the agent and goes on.")  # fmt: skip
    return " ".join(found)


def commands(entries: Iterable[RunEntry]) -> tuple[Command, ...]:
    """Every process in the order in which they were started."""
    found = dict[int, Command]()
    for e in entries:
        known = found.get(e.command)
        if e.kind == RunKind.COMMAND:
            found[e.command] = Command(e.command, e.at_ms, e.argv)
        elif known is not None and e.kind == RunKind.EXIT:
            found[e.command] = replace(known, rc=e.rc, took_ms=e.took_ms, note=e.text)
        elif known is not None and e.kind == RunKind.OUTPUT:
            found[e.command] = replace(known, lines=known.lines + 1)
    return tuple(found.values())


def last_line(entries: Sequence[RunEntry]) -> str:
    """The newest line that was printed, or the command that prints none yet."""
    for e in reversed(entries):
        if e.kind in (RunKind.OUTPUT, RunKind.SAID):
            return e.text
        if e.kind == RunKind.COMMAND:
            return f"$ {' '.join(e.argv)}"[:RUN_LINE_CHARS_MAX]
    return ""


def dropped(entries: Iterable[RunEntry]) -> int:
    return sum(e.lines for e in entries if e.kind == RunKind.DROPPED)


def attributed(steps: Sequence[Step], done: Iterable[Done]) -> tuple[ChangedBy, ...]:
    """Every change of these steps (oldest first) with its author, newest first."""
    left = [(d, list(d.changes)) for d in sorted(done, key=lambda d: d.at_ms)]
    found = list[ChangedBy]()
    for one in steps:
        for c in one.changes:
            author = _author(c, one.at_ms, left)
            found.append(ChangedBy(c.name, c.architecture, c.before, c.after, c.kind, one.at_ms, author))
    return tuple(sorted(found, key=lambda c: (-c.at_ms, c.name, c.architecture)))


def _author(c: Changed, at_ms: int, left: list[tuple[Done, list[Changed]]]) -> Author:
    for d, changes in left:
        if d.at_ms > at_ms + SLACK_MS:
            break
        known = next((x for x in changes if _same(x, c)), None)
        if known is not None:
            changes.remove(known)
            return Author(d.rollout_id, d.title)
    return OUTSIDE


def _same(told: Changed, seen: Changed) -> bool:
    """The result's `before` may be newer than the last inventory: what it left behind is what counts."""
    return (told.name, told.architecture, told.after) == (seen.name, seen.architecture, seen.after)


def net(changes: Sequence[ChangedBy]) -> tuple[ChangedBy, ...]:
    """The difference between the two ends, by name; the author is who changed it last."""
    found = dict[tuple[str, str], ChangedBy]()
    for c in reversed(changes):  # oldest first
        known = found.get((c.name, c.architecture))
        before = known.before if known else c.before
        kind = Changed(c.name, c.architecture, before, c.after).kind
        found[c.name, c.architecture] = replace(c, before=before, kind=kind)
    return tuple(sorted((c for c in found.values() if c.before != c.after), key=lambda c: (c.name, c.architecture)))


def told(since_ms: int, begins_ms: int, steps: Sequence[Step], *, more: bool) -> tuple[str, ...]:
    """What of a span cannot be known, in one sentence each."""
    found = []
    if not begins_ms:
        found.append("Nothing is kept yet: the first inventory that changes something begins the history.")
    elif since_ms < begins_ms:
        found.append("The history of this endpoint begins within the span; nothing is known of before.")
    left_out = sum(s.total - len(s.changes) for s in steps)
    if left_out:
        found.append(f"{left_out:,} changes of very large steps are counted and not kept by name.")
    if more:
        found.append("There are more steps in this span than one answer holds: the oldest are left out.")
    return tuple(found)
