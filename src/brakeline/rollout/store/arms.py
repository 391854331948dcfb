"""Targets, ticks and subjects (assignments with their evidence), as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from brakeline.fleet import harms as told_harms
from brakeline.fleet.model import Readings
from brakeline.platform.database import Connection
from brakeline.protocol.codec import decode, encode
from brakeline.protocol.messages import Harms, Settings
from brakeline.rollout.giving_way import GAVE
from brakeline.rollout.model import Arm, Gate, Pin, Progress, Subject, TickState
from brakeline.rollout.store.rollouts import at, ms


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint that a rollout is for, with what was frozen at its creation."""

    endpoint_id: str
    hostname: str
    region: str
    machine_class: str
    attributes: tuple[str, ...]
    u: int
    blocked_code: str = ""
    blocked_reason: str = ""
    settings: Settings | None = None  # of a rollout of settings: what this endpoint would run by
    pins: tuple[Pin, ...] = ()  # which of the change's are this endpoint's; () = all of them
    people: str = ""  # for whom its order to restart waits (`rollout.people`)


async def treated_ring(conn: Connection, endpoint_id: str, since_ms: int) -> int | None:
    """The ring in which this endpoint was treated last, since then; None = in none."""
    ring: int | None = await conn.fetchval(
        """SELECT ring FROM brakeline.rollout_subject WHERE endpoint_id = $1 AND arm = 'treated' AND ready_at >= $2
           ORDER BY ready_at DESC LIMIT 1""",
        endpoint_id, at(since_ms),
    )  # fmt: skip
    return ring


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """A subject, and what the executor needs to bring its evidence up to date."""

    subject: Subject
    baseline_failed: frozenset[str]
    ended_ms: int
    readings: Readings | None = None  # at ready
    harms: Harms | None = None  # at ready


async def add_targets(conn: Connection, tenant_id: str, rollout_id: str, targets: Iterable[Target]) -> None:
    await conn.executemany(  # COPY does not work through row-level security
        """INSERT INTO brakeline.rollout_target
             (tenant_id, rollout_id, endpoint_id, hostname, region, machine_class, attributes, u, settings, pins)
           VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)""",
        [(tenant_id, rollout_id, t.endpoint_id, t.hostname, t.region, t.machine_class, list(t.attributes), t.u,
          encode(t.settings).decode() if t.settings else "", "\n".join(f"{p.name} {p.version}" for p in t.pins))
         for t in targets],
    )  # fmt: skip


async def targets(conn: Connection, rollout_id: str) -> list[Target]:
    """All targets, by their place in the draw."""
    rows = await conn.fetch("SELECT * FROM brakeline.rollout_target WHERE rollout_id = $1 ORDER BY u", rollout_id)
    return [as_target(r) for r in rows]


def as_target(r: Any) -> Target:
    """A row of `rollout_target`."""
    return Target(r["endpoint_id"], r["hostname"], r["region"], r["machine_class"], tuple(r["attributes"]), r["u"],
                  r["blocked_code"], r["blocked_reason"], _settings(r["settings"]), _pins(r["pins"]),
                  r["people"])  # fmt: skip


def _settings(text: str) -> Settings | None:
    return decode(Settings, text.encode()) if text else None


def _pins(text: str) -> tuple[Pin, ...]:
    return tuple(Pin(*line.split(" ")) for line in text.splitlines())


async def count_targets(conn: Connection, rollout_id: str) -> int:
    count: int = await conn.fetchval("SELECT count(*) FROM brakeline.rollout_target WHERE rollout_id = $1", rollout_id)
    return count


async def set_blocked(conn: Connection, rollout_id: str, endpoint_id: str, code: str, reason: str) -> None:
    await conn.execute(
        """UPDATE brakeline.rollout_target SET blocked_code = $3, blocked_reason = $4
           WHERE rollout_id = $1 AND endpoint_id = $2 AND (blocked_code, blocked_reason) <> ($3, $4)""",
        rollout_id, endpoint_id, code, reason,
    )  # fmt: skip


async def set_people(conn: Connection, rollout_id: str, endpoint_id: str, people: str) -> None:
    """For whom an order to restart waits; "" = for nobody any more."""
    await conn.execute(
        """UPDATE brakeline.rollout_target SET people = $3
           WHERE rollout_id = $1 AND endpoint_id = $2 AND people <> $3""",
        rollout_id, endpoint_id, people,
    )  # fmt: skip


async def waiting_for_people(conn: Connection, rollout_id: str) -> list[tuple[str, str]]:
    """(host name, for whom) of endpoints whose order waits for people."""
    rows = await conn.fetch(
        """SELECT hostname, people FROM brakeline.rollout_target WHERE rollout_id = $1 AND people <> ''
           ORDER BY hostname""",
        rollout_id,
    )  # fmt: skip
    return [(r["hostname"], r["people"]) for r in rows]


def as_subject(r: Any) -> SubjectRow:
    """A row of `rollout_subject`."""
    subject = Subject(
        r["endpoint_id"], Arm(r["arm"]), r["ring"], r["tick"], r["region"], r["machine_class"], r["u"],
        ms(r["ready_at"]), r["generation"], tuple(r["attributes"]), r["heard"], r["unhealthy"], r["asleep"],
        progress=Progress(r["progress"]), explicit=r["explicit"], proven_ms=ms(r["proven_at"]),
        crossed_ms=ms(r["crossed_at"]), set_aside_ms=ms(r["set_aside_at"]), detail=r["detail"],
        consents=r["consents"], boot_id=r["boot_id"], restarted_ms=ms(r["restarted_at"]),
        restart_refused=r["restart_refused"], resources=r["resources"], actions=r["actions"], often=r["often"],
        starts=r["starts"], last_boot=r["last_boot"], troubled_ms=ms(r["troubled_at"]), patches=r["patches"],
        blocks=r["blocks"], deletions=r["deletions"], errors=r["errors"],
    )  # fmt: skip
    return SubjectRow(
        subject, frozenset(r["baseline_failed"]), ms(r["ended_at"]), Readings.read(r["readings"]),
        told_harms.read(r["harms"]),
    )  # fmt: skip


async def subjects(conn: Connection, rollout_id: str, endpoint_id: str | None = None) -> list[SubjectRow]:
    """All subjects of a rollout (of one endpoint), in the order in which they were ready."""
    rows = await conn.fetch(
        """SELECT * FROM brakeline.rollout_subject
           WHERE rollout_id = $1 AND ($2::text IS NULL OR endpoint_id = $2) ORDER BY ready_at, endpoint_id""",
        rollout_id, endpoint_id,
    )  # fmt: skip
    return [as_subject(r) for r in rows]


async def watched_elsewhere(conn: Connection, rollout_id: str, endpoint_id: str) -> str:
    """The other rollout in progress that has this endpoint in an arm; "" = none. Nothing waits for a drill."""
    found: str | None = await conn.fetchval(
        """SELECT s.rollout_id FROM brakeline.rollout_subject s JOIN brakeline.rollout r USING (tenant_id, rollout_id)
           WHERE s.endpoint_id = $2 AND s.rollout_id <> $1 AND r.phase IN ('rolling', 'holding')
             AND r.change ->> 'kind' IS DISTINCT FROM 'drill' LIMIT 1""",
        rollout_id, endpoint_id,
    )  # fmt: skip
    return found or ""


async def insert_subject(conn: Connection, tenant_id: str, rollout_id: str, s: Subject, failed: Sequence[str],
                         readings: Readings | None, harms: Harms | None = None) -> None:  # fmt: skip
    await conn.execute(
        """INSERT INTO brakeline.rollout_subject (tenant_id, rollout_id, endpoint_id, arm, ring, tick, region,
             machine_class, attributes, u, generation, ready_at, baseline_failed, progress, consents, readings,
             harms)
           VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17)""",
        tenant_id, rollout_id, s.endpoint_id, s.arm.value, s.ring, s.tick, s.region, s.machine_class,
        list(s.attributes), s.u, s.generation, at(s.ready_ms), list(failed), s.progress.value,
        s.consents, readings.text() if readings else "", told_harms.text(harms),
    )  # fmt: skip


async def save_evidence(conn: Connection, rollout_id: str, changed: Iterable[Subject]) -> None:
    """Bits only rise; a proof stays."""
    await conn.executemany(
        """UPDATE brakeline.rollout_subject SET heard = heard | $5, unhealthy = unhealthy | $6, asleep = asleep | $7,
             proven_at = coalesce(proven_at, $8), boot_id = CASE boot_id WHEN '' THEN $9 ELSE boot_id END,
             restarted_at = coalesce(restarted_at, $10), resources = resources | $11, actions = actions | $12,
             often = often | $13, starts = greatest(starts, $14), last_boot = $15, troubled_at = $16,
             patches = patches | $17, blocks = blocks | $18, deletions = deletions | $19,
             errors = errors | $20
           WHERE rollout_id = $1 AND endpoint_id = $2 AND arm = $3 AND tick = $4""",
        [(rollout_id, s.endpoint_id, s.arm.value, s.tick, s.heard, s.unhealthy, s.asleep,
          at(s.proven_ms) if s.proven_ms else None, s.boot_id, at(s.restarted_ms) if s.restarted_ms else None,
          s.resources, s.actions, s.often, s.starts, s.last_boot, at(s.troubled_ms) if s.troubled_ms else None,
          s.patches, s.blocks, s.deletions, s.errors)
         for s in changed],
    )  # fmt: skip


async def set_progress(conn: Connection, rollout_id: str, endpoint_id: str, progress: Progress, *, explicit: bool,
                       detail: str, ended_ms: int) -> None:  # fmt: skip
    """What a treated endpoint's transaction came to. One that gave its place counts again when it is offered it once
    more, or fails in it: that is news.
    """
    await conn.execute(
        """UPDATE brakeline.rollout_subject SET progress = $3, explicit = explicit OR $4, ended_at = $6,
             set_aside_at = CASE WHEN starts_with(detail, $7) AND $8 THEN NULL ELSE set_aside_at END,
             detail = CASE WHEN starts_with(detail, $7) AND NOT $8 THEN detail ELSE $5 END
           WHERE rollout_id = $1 AND endpoint_id = $2 AND arm = 'treated'""",
        rollout_id, endpoint_id, progress.value, explicit, detail, at(ended_ms) if ended_ms else None,
        GAVE, explicit or progress is Progress.OFFERED,
    )  # fmt: skip


async def expire(conn: Connection, rollout_id: str, endpoint_id: str, detail: str, unless: str, now_ms: int) -> None:
    """An offer was over before it was started. `unless`: a note that stays."""
    await conn.execute(
        """UPDATE brakeline.rollout_subject SET progress = $3, ended_at = $4,
             detail = CASE WHEN detail = $6 OR starts_with(detail, $7) THEN detail ELSE $5 END
           WHERE rollout_id = $1 AND endpoint_id = $2 AND arm = 'treated'""",
        rollout_id, endpoint_id, Progress.EXPIRED.value, at(now_ms), detail, unless, GAVE,
    )  # fmt: skip


async def restart_refused(conn: Connection, rollout_id: str, endpoint_id: str, why: str) -> None:
    """The endpoint will not be restarted, in its own words."""
    await conn.execute(
        """UPDATE brakeline.rollout_subject SET restart_refused = $3
           WHERE rollout_id = $1 AND endpoint_id = $2 AND consents AND restarted_at IS NULL""",
        rollout_id, endpoint_id, why,
    )  # fmt: skip


async def set_explicit(conn: Connection, rollout_id: str, endpoint_id: str, explicit: bool, detail: str) -> None:
    """A failure that the change must have caused is harm, however late it is told; nothing else moves."""
    await conn.execute(
        """UPDATE brakeline.rollout_subject SET explicit = true, detail = $4,
             set_aside_at = CASE WHEN starts_with(detail, $5) THEN NULL ELSE set_aside_at END
           WHERE rollout_id = $1 AND endpoint_id = $2 AND arm = 'treated' AND $3 AND NOT explicit""",
        rollout_id, endpoint_id, explicit, detail, GAVE,
    )  # fmt: skip


async def mark_taken(conn: Connection, rollout_id: str, endpoint_ids: Sequence[str], now_ms: int) -> None:
    """Their launchers say that they have confirmed the release: it was started, and ended so far, whatever the agent
    says of its offer (`situation.untold` counts from here).
    """
    await conn.execute(
        """UPDATE brakeline.rollout_subject SET progress = 'started', ended_at = $3
           WHERE rollout_id = $1 AND endpoint_id = ANY($2) AND arm = 'treated'
             AND (progress IN ('offered', 'expired') OR (progress = 'started' AND ended_at IS NULL))""",
        rollout_id, list(endpoint_ids), at(now_ms),
    )  # fmt: skip


async def mark_started(conn: Connection, endpoint_id: str, offer_ids: Sequence[str]) -> None:
    """The endpoint says that these transactions run."""
    await conn.execute(
        """UPDATE brakeline.rollout_subject s SET progress = 'started', ended_at = NULL FROM brakeline.rollout_offer o
           WHERE o.offer_id = ANY($2) AND o.endpoint_id = $1 AND s.endpoint_id = $1 AND s.rollout_id = o.rollout_id
             AND s.arm = 'treated' AND s.progress IN ('offered', 'expired')""",
        endpoint_id, list(offer_ids),
    )  # fmt: skip


async def set_aside(conn: Connection, rollout_id: str, endpoint_ids: Sequence[str], now_ms: int) -> None:
    """A person goes on knowing of these."""
    await conn.execute(
        """UPDATE brakeline.rollout_subject SET set_aside_at = $3
           WHERE rollout_id = $1 AND endpoint_id = ANY($2) AND set_aside_at IS NULL""",
        rollout_id, list(endpoint_ids), at(now_ms),
    )  # fmt: skip


async def counted(conn: Connection, rollout_id: str) -> int:
    """How many treated endpoints fill a place."""
    n: int = await conn.fetchval(
        """SELECT count(*) FROM brakeline.rollout_subject
           WHERE rollout_id = $1 AND arm = 'treated' AND set_aside_at IS NULL""",
        rollout_id,
    )  # fmt: skip
    return n


async def cross(conn: Connection, rollout_id: str, gates: Iterable[Gate], now_ms: int) -> None:
    """Controls whose turn to be treated has come, or who are drawn for a later ring, leave the comparison.

    By their draw, dead or alive: nothing is selected.
    """
    await conn.executemany(
        """UPDATE brakeline.rollout_subject SET crossed_at = $4
           WHERE rollout_id = $1 AND region = $2 AND arm = 'control' AND crossed_at IS NULL
             AND (u < $3 OR (ring < $5 AND u >= $6 AND u < $7))""",
        [(rollout_id, g.region, g.treat_below, at(now_ms), g.ring, g.control_from, g.control_until) for g in gates],
    )


# --- ticks ----------------------------------------------------------------------------------------------------------


async def open_ticks(conn: Connection, tenant_id: str, rollout_id: str, gates: Sequence[Gate], now_ms: int) -> None:
    """Exactly the ticks of `gates` are open from now on."""
    await conn.execute(
        """UPDATE brakeline.rollout_tick SET closed_at = $2 WHERE rollout_id = $1 AND closed_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM unnest($3::text[], $4::bigint[]) AS g(region, tick)
                           WHERE (g.region, g.tick) = (rollout_tick.region, rollout_tick.tick))""",
        rollout_id, at(now_ms), [g.region for g in gates], [g.tick for g in gates],
    )  # fmt: skip
    await conn.executemany(
        """INSERT INTO brakeline.rollout_tick (tenant_id, rollout_id, region, tick, ring, budget)
           VALUES ($1,$2,$3,$4,$5,$6) ON CONFLICT DO NOTHING""",
        [(tenant_id, rollout_id, g.region, g.tick, g.ring, g.budget) for g in gates],
    )


async def ticks(conn: Connection, rollout_id: str) -> list[TickState]:
    rows = await conn.fetch("SELECT * FROM brakeline.rollout_tick WHERE rollout_id = $1 ORDER BY tick", rollout_id)
    return [TickState(r["region"], r["tick"], r["ring"], r["treated"], r["closed_at"] is not None) for r in rows]


async def lock_tick(conn: Connection, rollout_id: str, region: str, tick: int) -> TickState | None:
    """One tick, held until the commit: its budget is spent by one at a time."""
    r = await conn.fetchrow(
        "SELECT * FROM brakeline.rollout_tick WHERE rollout_id = $1 AND region = $2 AND tick = $3 FOR UPDATE",
        rollout_id, region, tick,
    )  # fmt: skip
    return TickState(region, tick, r["ring"], r["treated"], r["closed_at"] is not None) if r else None


async def spend(conn: Connection, rollout_id: str, region: str, tick: int) -> None:
    """One offer of the budget (which the table's own check keeps)."""
    await conn.execute(
        """UPDATE brakeline.rollout_tick SET treated = treated + 1
           WHERE rollout_id = $1 AND region = $2 AND tick = $3""",
        rollout_id, region, tick,
    )  # fmt: skip


async def close_tick(conn: Connection, rollout_id: str, region: str, tick: int, now_ms: int) -> None:
    """For both arms: from now on everybody who asks is deferred."""
    await conn.execute(
        """UPDATE brakeline.rollout_tick SET closed_at = $4
           WHERE rollout_id = $1 AND region = $2 AND tick = $3 AND closed_at IS NULL""",
        rollout_id, region, tick, at(now_ms),
    )  # fmt: skip
