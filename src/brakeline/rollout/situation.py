"""Loads everything about one rollout that can be known now: rows, presence, and the planner's `Observed` from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from brakeline.fleet.model import Presence
from brakeline.platform.database import Connection
from brakeline.protocol.digests import settings_digest
from brakeline.rollout import evidence, harms, signals, vitals
from brakeline.rollout.facing import faces
from brakeline.rollout.model import Arm, Blocked, Observed, Pin, Policy, Progress, Subject, TickState, Wish
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import rollouts
from brakeline.rollout.store.arms import SubjectRow, Target
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.rollout.summary import Summary, summarise

# Answers that pass by themselves; with any other an endpoint is not eligible until it says "ready".
PASSING: Final = frozenset({"locked", "busy", "window", "lists_stale", "budget", "group_budget", "freeze_window"})


@dataclass(frozen=True, slots=True)
class Situation:
    """One rollout at one moment."""

    row: RolloutRow
    targets: tuple[Target, ...]
    subjects: tuple[Subject, ...]
    changed: tuple[Subject, ...]  # evidence that is not stored yet
    taken: tuple[str, ...]  # endpoints whose launcher has confirmed the release, which is not stored yet
    observed: Observed
    summary: Summary


def fell_back(release_id: str, seen: Presence | None) -> str:
    """Why this endpoint has left a release that it had confirmed, as the one that runs says; "" = it has not."""
    report = seen.launcher if seen is not None else None
    if not release_id or report is None or not report.running:
        return ""
    if report.trial and report.trial in (report.running, report.running_content):
        return ""  # it has not been left: something newer is tried
    why = report.host_guard or "; ".join(report.problems[:2]) or "it keeps crashing"
    if report.confirmed == release_id != report.running:
        return f"fell_back: {report.running} runs instead of {release_id}: {why}"
    if report.content == release_id != report.running_content:
        return f"fell_back: {report.running_content or 'no content'} is used instead of {release_id}: {why}"
    return ""


def taken_by_launcher(release_id: str, row: SubjectRow, seen: Presence | None) -> bool:
    """Whether its launcher has confirmed the release before the agent has told what came of its offer."""
    report, s = (seen.launcher if seen is not None else None), row.subject
    if not release_id or s.arm is not Arm.TREATED or report is None:
        return False
    own = "" if report.launcher_trial else report.launcher_release
    if release_id not in (report.confirmed, report.content, own):
        return False
    return s.progress in (Progress.OFFERED, Progress.EXPIRED) or (s.progress is Progress.STARTED and not row.ended_ms)


def untold(policy: Policy, release_id: str, row: SubjectRow, seen: Presence | None) -> str:
    """Why an agent that answers check-ins does not do its work; "" = it does, or it is too early to say.

    The offer of the release is the probe: the new agent inherits it from the old one and has to bring it to its end.
    One that is confirmed and heard, and tells no end for a whole checkpoint, would take no other offer either.
    """
    if not release_id or row.subject.progress is not Progress.STARTED or not row.ended_ms or seen is None:
        return ""
    waited_s = (seen.last_check_in_ms - row.ended_ms) // 1000
    if waited_s < policy.settled_s:
        return ""
    told = f"{release_id} was confirmed and answers check-ins, but told no end of its offer in {waited_s} s"
    return f"applies_nothing: {told}"


def with_presence(policy: Policy, row: SubjectRow, seen: Presence | None, now_ms: int, release_id: str = "",
                  settings: str = "", dry_run: str = "", drill: bool = False) -> Subject:  # fmt: skip
    """A subject with what its endpoint's latest check-in adds. Pure. `release_id`: of a rollout of ours; `settings`:
    digest of what it was offered, by a rollout of these; `dry_run`: why it could not start now; `drill`: of a drill."""
    tells = harms.tells(row.harms, dry_runs=not (release_id or settings or drill))
    s = replace(row.subject, tells=tells)
    if seen is None:
        return replace(s, last_heard_ms=s.ready_ms)
    failed_services = set(seen.failed_services) - row.baseline_failed
    unhealthy = bool(failed_services) or vitals.ails(row.harms, seen.harms)
    ill = failed_services or harms.ports_closed(row.harms, seen.harms) or vitals.probes_failing(row.harms, seen.harms)
    heard_ms = max(seen.last_check_in_ms, s.ready_ms)
    after_ready = seen.last_check_in_ms > s.ready_ms
    hit = evidence.heard_now(policy, s.machine_class, s.ready_ms, heard_ms) if after_ready else 0
    slept = evidence.heard_now(policy, s.machine_class, s.ready_ms, now_ms) if seen.asleep else 0
    proven = s.proven_ms or (heard_ms if _proves(row, seen, unhealthy, settings) else 0)
    harm = (fell_back(release_id, seen) or untold(policy, release_id, row, seen)) if s.arm is Arm.TREATED else ""
    return replace(
        s,
        explicit=s.explicit or bool(harm),
        detail=harm or s.detail,
        heard=s.heard | hit,
        unhealthy=s.unhealthy | (hit if ill else 0),
        asleep=s.asleep | slept,
        last_heard_ms=heard_ms,
        asleep_now=seen.asleep,
        unhealthy_now=unhealthy,
        proven_ms=proven,
        **_boots(row, seen, heard_ms),
        **_told(policy, row, seen, hit),
        patches=s.patches | (hit if tells & harms.PATCH_BIT and harms.patch_fails(s, dry_run) else 0),
        blocks=s.blocks | (hit if harms.blocked(row.harms, seen.harms) else 0),
        deletions=s.deletions | (hit if harms.deleted(row.harms, seen.harms) else 0),
        errors=s.errors | (hit if vitals.flooded(row.harms, seen.harms) else 0),
        harms=harms.in_words(row.harms, seen.harms, failed_services) if after_ready else (),
    )


def _told(policy: Policy, row: SubjectRow, seen: Presence, hit: int) -> dict[str, Any]:
    """What the endpoint's own numbers and starts say at the checkpoints that this check-in falls into."""
    s = row.subject
    if seen.last_check_in_ms <= s.ready_ms:
        return {}
    another = bool(s.last_boot) and bool(seen.boot_id) and seen.boot_id != s.last_boot
    starts, troubles = s.starts + another, signals.troubles(row.readings, seen.readings)
    since_ms = (s.troubled_ms or seen.last_check_in_ms) if troubles else 0
    lasts = bool(since_ms) and signals.lasts(policy, seen.last_check_in_ms - since_ms)
    points = [j for j in range(policy.early, hit.bit_length()) if hit >> j & 1]
    often = sum(1 << j for j in points if signals.starts_too_often(starts, j - policy.early))
    often |= hit if vitals.slow_start(row.harms, seen.harms) else 0
    return {
        "resources": s.resources | (hit if lasts else 0),
        "actions": s.actions | (hit if signals.removals(row.readings, seen.readings) else 0),
        "often": s.often | often,
        "starts": starts,
        "last_boot": seen.boot_id or s.last_boot,
        "troubles": troubles,
        "troubled_ms": since_ms,
    }


def _boots(row: SubjectRow, seen: Presence, heard_ms: int) -> dict[str, Any]:
    """The boot that a restart is told from, once it is known, and the first check-in of another one."""
    s = row.subject
    since_ms = row.ended_ms if s.arm is Arm.TREATED else s.ready_ms
    begun = s.arm is Arm.CONTROL or s.progress is Progress.INSTALLED
    if not begun or seen.last_check_in_ms <= since_ms or not seen.boot_id:
        return {}
    if not s.boot_id:
        return {"boot_id": seen.boot_id}
    heard_again = not s.restarted_ms and seen.boot_id != s.boot_id and not seen.asleep
    return {"restarted_ms": heard_ms} if heard_again else {}


def _proves(row: SubjectRow, seen: Presence, unhealthy: bool, settings: str) -> bool:
    """Installed, then heard again, healthy, not merely on its way to sleep; of settings: and running by them."""
    installed = row.subject.progress is Progress.INSTALLED and not row.subject.explicit
    return (
        installed
        and seen.settings == (settings or seen.settings)
        and seen.last_check_in_ms > row.ended_ms
        and not unhealthy
        and not seen.asleep
    )


@dataclass(frozen=True, slots=True)
class Lens:
    """What stored subjects of one rollout look like with what was heard since. Pure."""

    policy: Policy
    release_id: str
    drill: bool
    facing: bool = False  # some of the rollout face the internet, and are never held out

    @classmethod
    def of(cls, row: RolloutRow) -> Lens:
        return cls(row.policy, row.change.release.release_id if row.change.release else "",
                   row.change.is_drill or row.change.is_restart, bool(row.change.facing))  # fmt: skip

    def subject(self, stored: SubjectRow, target: Target | None, seen: Presence | None, now_ms: int) -> Subject:
        """`target`: the row of the same endpoint."""
        settings = target.settings if target is not None else None
        offered = settings_digest(settings) if settings is not None else ""
        dry_run = target.blocked_code if target is not None else ""
        s = with_presence(self.policy, stored, seen, now_ms, self.release_id, offered, dry_run, self.drill)
        return replace(s, facing=True) if self.facing and faces(s.attributes) else s

    def taken(self, stored: SubjectRow, seen: Presence | None) -> bool:
        return taken_by_launcher(self.release_id, stored, seen)


class Eligible(NamedTuple):
    """Per region the sorted draws of those who are here and may still be treated, and of those of them in no arm yet;
    how many may still be treated, here or not; and who cannot take part."""

    untreated: dict[str, tuple[int, ...]]
    fresh: dict[str, tuple[int, ...]]
    eligible: dict[str, int]
    blocked: tuple[Blocked, ...]


async def load(conn: Connection, row: RolloutRow, presence: Mapping[str, Presence], quarantined: frozenset[Pin],
               pressed_by: str | None, now_ms: int) -> Situation:  # fmt: skip
    """The situation of `row`, everything read anew; `pressed_by` = who pressed the brake according to the journal, None
    = nobody. Whoever comes again every second reads less (`following`).
    """
    targets = tuple(await arms_store.targets(conn, row.rollout_id))
    stored = await arms_store.subjects(conn, row.rollout_id)
    ticks = tuple(await arms_store.ticks(conn, row.rollout_id))
    return assemble(row, targets, stored, ticks, presence, quarantined, pressed_by, now_ms)


def assemble(
    row: RolloutRow, targets: tuple[Target, ...], stored: Sequence[SubjectRow], ticks: tuple[TickState, ...],
    presence: Mapping[str, Presence], quarantined: frozenset[Pin], pressed_by: str | None, now_ms: int,
) -> Situation:  # fmt: skip
    """What these rows and check-ins come to, each looked at. Pure; what `kept` has must equal it."""
    lens, by_id = Lens.of(row), {t.endpoint_id: t for t in targets}
    seen = [presence.get(s.subject.endpoint_id) for s in stored]
    subjects = tuple(
        lens.subject(s, by_id.get(s.subject.endpoint_id), p, now_ms) for s, p in zip(stored, seen, strict=True)
    )  # fmt: skip
    changed = tuple(s for s, old in zip(subjects, stored, strict=True) if differs(s, old.subject))
    taken = tuple(s.subject.endpoint_id for s, p in zip(stored, seen, strict=True) if lens.taken(s, p))
    found = eligible(row.policy, targets, subjects, presence, now_ms)
    data_ms = max((presence[t.endpoint_id].last_check_in_ms for t in targets if t.endpoint_id in presence), default=0)
    observed = observe(row, len(targets), subjects, found, ticks, quarantined, pressed_by, data_ms)
    summary = summarise(row.policy, row.blueprint, observed, now_ms)
    return Situation(row, targets, subjects, changed, taken, observed, summary)


def observe(
    row: RolloutRow, size: int, subjects: tuple[Subject, ...], found: Eligible, ticks: tuple[TickState, ...],
    quarantined: frozenset[Pin], pressed_by: str | None, data_ms: int,
) -> Observed:  # fmt: skip
    """What the planner's numbers are made of. A press in the journal counts before the row has it."""
    wish, by = (Wish.BRAKE, pressed_by) if pressed_by is not None else (row.wish, row.wish_by)
    return Observed(
        row.change, size, subjects, found.untreated, found.fresh, ticks, found.blocked, wish, by, row.wish_reason,
        data_ms, row.resumed_ms, row.resumed_generation, quarantined, row.attributes, found.eligible,
    )  # fmt: skip


def differs(new: Subject, old: Subject) -> bool:
    """Whether there is evidence that is not stored yet."""
    return _kept(new) != _kept(old)


def _kept(s: Subject) -> tuple[object, ...]:
    return (
        s.heard, s.unhealthy, s.asleep, s.proven_ms, s.boot_id, s.restarted_ms, s.resources, s.actions, s.often,
        s.starts, s.last_boot, s.troubled_ms, s.patches, s.blocks, s.deletions, s.errors,
    )  # fmt: skip


def eligible(policy: Policy, targets: Iterable[Target], subjects: Iterable[Subject], presence: Mapping[str, Presence],
             now_ms: int) -> Eligible:  # fmt: skip
    """Of every target."""
    known = {(s.endpoint_id, s.arm) for s in subjects}
    untreated: dict[str, list[int]] = {}
    fresh: dict[str, list[int]] = {}
    counts: dict[str, int] = {}
    blocked: list[Blocked] = []
    for t in targets:
        untreated.setdefault(t.region, [])
        counts.setdefault(t.region, 0)
        if (t.endpoint_id, Arm.TREATED) in known:
            continue
        seen = presence.get(t.endpoint_id)
        if seen is None or now_ms - seen.last_check_in_ms > policy.eligible_seen_s * 1000:
            blocked.append(not_heard(t))
            continue
        if t.blocked_code:
            blocked.append(says(t))
            if t.blocked_code not in PASSING:
                continue
        counts[t.region] += 1
        if seen.asleep or now_ms - seen.last_check_in_ms > policy.grace_s("server") * 1000:
            continue
        untreated[t.region].append(t.u)
        if (t.endpoint_id, Arm.CONTROL) not in known:
            fresh.setdefault(t.region, []).append(t.u)
    draws = [{r: tuple(us) for r, us in found.items()} for found in (untreated, fresh)]
    return Eligible(draws[0], draws[1], counts, tuple(blocked))


def not_heard(t: Target) -> Blocked:
    return Blocked(t.endpoint_id, "not_seen", f"{t.hostname} was not heard for a long time")


def says(t: Target) -> Blocked:
    return Blocked(t.endpoint_id, t.blocked_code, f"{t.hostname}: {t.blocked_reason}")


async def quarantined_elsewhere(conn: Connection, rollout_id: str) -> frozenset[Pin]:
    """Updates that another rollout's halt has quarantined."""
    return frozenset(q.pin for q in await rollouts.quarantined(conn) if q.rollout_id != rollout_id)
