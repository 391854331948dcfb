"""Rollouts, their blueprints, log, chart series and the quarantine, as rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from brakeline.events import outbox
from brakeline.platform.database import Connection
from brakeline.protocol.codec import encode, from_plain
from brakeline.rollout.model import Blueprint, Change, Line, Phase, Pin, Policy, Report, State, Wish
from brakeline.rollout.pace import Chosen

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
BY_PEOPLE: Final = ""  # in the place of a rollout's id
LOG_MAX: Final = 200  # events shown at once
SAMPLES_MAX: Final = 400  # points of a chart


def at(ms: int) -> datetime:
    """Unix milliseconds as a timestamp."""
    return EPOCH + timedelta(milliseconds=ms)


def ms(stamp: datetime | None) -> int:
    """A timestamp as Unix milliseconds; 0 for none."""
    return 0 if stamp is None else (stamp - EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """A rollout as it is stored, with its newest blueprint."""

    rollout_id: str
    title: str
    change: Change
    policy: Policy
    salt: bytes
    attributes: tuple[str, ...]
    created_ms: int
    created_by: str
    wish: Wish
    wish_by: str
    wish_reason: str
    resumed_ms: int
    resumed_generation: int
    blueprint: Blueprint
    report: Report
    pace: Chosen | None = None  # None = nobody was advised

    @property
    def situation(self) -> str:
        """What somebody who agrees to an act has seen; any move of the rollout, or of a person, changes it."""
        return f"generation {self.blueprint.generation}, {self.blueprint.phase.value}, {self.wish.value}"


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of a rollout's log."""

    at_ms: int
    kind: str
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What the chart knows of one moment: of n treated (control) x were bad."""

    at_ms: int
    n_t: int
    x_t: int
    n_c: int
    x_c: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An update that no rollout of this tenant offers, and why."""

    pin: Pin
    rollout_id: str  # of the halted rollout; BY_PEOPLE = somebody has declined it
    since_ms: int
    reason: str

    @property
    def declined(self) -> bool:
        return self.rollout_id == BY_PEOPLE

    @property
    def told(self) -> str:
        """Behind the version, in a sentence."""
        return f"was {self.reason}" if self.declined else "is quarantined by a halted rollout"


SELECT = """
SELECT r.*, b.body FROM brakeline.rollout r
JOIN LATERAL (SELECT body FROM brakeline.rollout_blueprint b WHERE b.rollout_id = r.rollout_id
              ORDER BY generation DESC LIMIT 1) b ON true
"""


LIVE: Final = """
WHERE r.phase IN ('draft', 'rolling', 'holding') OR r.wish_at > $1
   OR (SELECT max(made_at) FROM brakeline.rollout_blueprint x WHERE x.rollout_id = r.rollout_id) > $1
ORDER BY r.rollout_id
"""


def _row(row: Any) -> RolloutRow:
    return RolloutRow(
        row["rollout_id"], row["title"], from_plain(Change, json.loads(row["change"])),
        from_plain(Policy, json.loads(row["policy"])), row["salt"], tuple(row["attributes"]), ms(row["created_at"]),
        row["created_by"], Wish(row["wish"]), row["wish_by"], row["wish_reason"], ms(row["resumed_at"]),
        row["resumed_generation"], from_plain(Blueprint, json.loads(row["body"])), _report(row["report"]),
        from_plain(Chosen, json.loads(row["pace"])) if row["pace"] else None,
    )  # fmt: skip


def _report(text: str) -> Report:
    return Report(tuple(Line(x["gate"], State(x["state"]), x["text"], x["data"]) for x in json.loads(text)))


async def insert(conn: Connection, tenant_id: str, row: RolloutRow) -> None:
    """A new rollout with its first blueprint."""
    await conn.execute(
        """INSERT INTO brakeline.rollout (tenant_id, rollout_id, title, change, policy, salt, attributes, created_at,
             created_by, wish, wish_by, wish_at, phase, pace) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$9,$8,$11,$12)""",
        tenant_id, row.rollout_id, row.title, encode(row.change).decode(), encode(row.policy).decode(), row.salt,
        list(row.attributes), at(row.created_ms), row.created_by, row.wish.value, row.blueprint.phase.value,
        encode(row.pace).decode() if row.pace else None,
    )  # fmt: skip
    await _insert_blueprint(conn, tenant_id, row.blueprint)


async def get(conn: Connection, rollout_id: str) -> RolloutRow | None:
    """One rollout with its newest blueprint."""
    row = await conn.fetchrow(SELECT + "WHERE r.rollout_id = $1", rollout_id)
    return _row(row) if row else None


async def live(conn: Connection, ended_after_ms: int) -> list[RolloutRow]:
    """Rollouts that somebody is exposed to or will be; ended ones as long as they are watched."""
    rows = await conn.fetch(
        SELECT + LIVE,
        at(ended_after_ms),
    )  # fmt: skip
    return [_row(r) for r in rows]


async def completed_releases(conn: Connection) -> list[RolloutRow]:
    """Completed rollouts of releases, however long ago; the newest ones of each product and channel."""
    rows = await conn.fetch(
        SELECT  # noqa: S608 - constants alone
        + """WHERE r.rollout_id IN (
                     SELECT n.rollout_id FROM (
                       SELECT c.rollout_id, row_number() OVER (
                         PARTITION BY c.change->'release'->>'product', coalesce(c.change->>'channel', 'stable')
                         ORDER BY c.rollout_id DESC) AS nth
                       FROM brakeline.rollout c WHERE c.phase = 'completed' AND c.change->>'kind' = 'release') n
                     WHERE n.nth <= 20)
                    ORDER BY r.rollout_id DESC"""
    )
    return [_row(r) for r in rows]


async def of_releases(conn: Connection) -> list[RolloutRow]:
    """The newest rollouts of releases, in whatever state."""
    rows = await conn.fetch(SELECT + "WHERE r.change->>'kind' = 'release' ORDER BY r.rollout_id DESC LIMIT 200")
    return [_row(r) for r in rows]


async def page(
    conn: Connection, before: str | None, limit: int, phases: list[str], release: str = ""
) -> list[RolloutRow]:
    """Newest first, keyset by id. A release is pinned by its id, as a package is by its version."""
    rows = await conn.fetch(
        SELECT + """WHERE ($1::text IS NULL OR r.rollout_id < $1) AND (cardinality($3::text[]) = 0 OR r.phase = ANY($3))
                      AND ($4 = '' OR (r.change->>'kind' = 'release' AND r.change->'updates'->0->>'version' = $4))
                    ORDER BY r.rollout_id DESC LIMIT $2""",
        before, limit, phases, release,
    )  # fmt: skip
    return [_row(r) for r in rows]


async def lock(conn: Connection, rollout_id: str, *, change: bool) -> RolloutRow | None:
    """One rollout, locked until the commit: shared by those who offer, alone for who changes the wish."""
    strength = "UPDATE" if change else "SHARE"
    await conn.execute(f"SELECT 1 FROM brakeline.rollout WHERE rollout_id = $1 FOR {strength}", rollout_id)  # noqa: S608
    return await get(conn, rollout_id)


async def set_wish(conn: Connection, rollout_id: str, wish: Wish, by: str, reason: str, now_ms: int) -> None:
    """What a person asked for."""
    await conn.execute(
        "UPDATE brakeline.rollout SET wish = $2, wish_by = $3, wish_reason = $4, wish_at = $5 WHERE rollout_id = $1",
        rollout_id, wish.value, by, reason, at(now_ms),
    )  # fmt: skip


async def set_resumed(conn: Connection, rollout_id: str, generation: int, now_ms: int) -> None:
    """A person resumed what was halted in `generation`: statistics begin anew."""
    await conn.execute(
        "UPDATE brakeline.rollout SET resumed_generation = $2, resumed_at = $3 WHERE rollout_id = $1",
        rollout_id, generation, at(now_ms),
    )  # fmt: skip


async def set_report(conn: Connection, rollout_id: str, report: Report, now_ms: int) -> None:
    """The newest reasons."""
    plain = [{"gate": x.gate, "state": x.state, "text": x.text, "data": x.data} for x in report.lines]
    await conn.execute(
        "UPDATE brakeline.rollout SET report = $2, report_at = $3 WHERE rollout_id = $1",
        rollout_id, json.dumps(plain), at(now_ms),
    )  # fmt: skip


async def publish(conn: Connection, tenant_id: str, blueprint: Blueprint) -> bool:
    """Make `blueprint` the target if its parent is; False when somebody else was faster."""
    newest = await conn.fetchval(
        "SELECT max(generation) FROM brakeline.rollout_blueprint WHERE rollout_id = $1", blueprint.rollout_id
    )
    if newest != blueprint.parent:
        return False
    made = await _insert_blueprint(conn, tenant_id, blueprint)
    if made:
        await conn.execute(
            "UPDATE brakeline.rollout SET phase = $2 WHERE rollout_id = $1", blueprint.rollout_id, blueprint.phase.value
        )
    return made


async def _insert_blueprint(conn: Connection, tenant_id: str, b: Blueprint) -> bool:
    status: str = await conn.execute(
        """INSERT INTO brakeline.rollout_blueprint (tenant_id, rollout_id, generation, parent, made_at, phase, body)
           VALUES ($1,$2,$3,$4,$5,$6,$7) ON CONFLICT DO NOTHING""",
        tenant_id, b.rollout_id, b.generation, b.parent, at(b.made_ms), b.phase.value, encode(b).decode(),
    )  # fmt: skip
    return status.endswith(" 1")


async def blueprints(conn: Connection, rollout_id: str) -> list[Blueprint]:
    """All generations, oldest first."""
    rows = await conn.fetch(
        "SELECT body FROM brakeline.rollout_blueprint WHERE rollout_id = $1 ORDER BY generation", rollout_id
    )
    return [from_plain(Blueprint, json.loads(r["body"])) for r in rows]


async def add_event(conn: Connection, tenant_id: str, rollout_id: str, now_ms: int, kind: str, who: str,
                    text: str) -> None:  # fmt: skip
    """One line of the log."""
    await conn.execute(
        "INSERT INTO brakeline.rollout_event (tenant_id, rollout_id, at, kind, who, text) VALUES ($1,$2,$3,$4,$5,$6)",
        tenant_id, rollout_id, at(now_ms), kind, who, text,
    )  # fmt: skip
    await outbox.emit(conn, tenant_id, f"rollout.state.{kind}", rollout_id, {"who": who, "text": text}, now_ms)


async def events(conn: Connection, rollout_id: str, limit: int = LOG_MAX) -> list[EventRow]:
    """The log, newest first."""
    rows = await conn.fetch(
        "SELECT * FROM brakeline.rollout_event WHERE rollout_id = $1 ORDER BY sequence DESC LIMIT $2", rollout_id, limit
    )
    return [EventRow(ms(r["at"]), r["kind"], r["who"], r["text"]) for r in rows]


async def add_sample(conn: Connection, tenant_id: str, rollout_id: str, s: Sample) -> None:
    """One point of the chart."""
    await conn.execute(
        """INSERT INTO brakeline.rollout_sample (tenant_id, rollout_id, at, n_t, x_t, n_c, x_c)
           VALUES ($1,$2,$3,$4,$5,$6,$7) ON CONFLICT DO NOTHING""",
        tenant_id, rollout_id, at(s.at_ms), s.n_t, s.x_t, s.n_c, s.x_c,
    )  # fmt: skip


async def samples(conn: Connection, rollout_id: str, limit: int = SAMPLES_MAX) -> list[Sample]:
    """The newest points of the chart, oldest first."""
    rows = await conn.fetch(
        "SELECT * FROM brakeline.rollout_sample WHERE rollout_id = $1 ORDER BY at DESC LIMIT $2", rollout_id, limit
    )
    return [Sample(ms(r["at"]), r["n_t"], r["x_t"], r["n_c"], r["x_c"]) for r in reversed(rows)]


async def quarantine(conn: Connection, tenant_id: str, rollout_id: str, pins: Iterable[Pin], reason: str,
                     now_ms: int) -> None:  # fmt: skip
    """No later rollout offers these."""
    await conn.executemany(
        """INSERT INTO brakeline.quarantine (tenant_id, name, version, rollout_id, since, reason)
           VALUES ($1,$2,$3,$4,$5,$6)
           ON CONFLICT (tenant_id, name, version, rollout_id)
           DO UPDATE SET released_at = NULL, since = excluded.since, reason = excluded.reason
           WHERE quarantine.released_at IS NOT NULL""",
        [(tenant_id, p.name, p.version, rollout_id, at(now_ms), reason) for p in pins],
    )


async def release(conn: Connection, rollout_id: str, by: str, now_ms: int) -> None:
    """A person resumed the rollout that put them there."""
    await conn.execute(
        """UPDATE brakeline.quarantine SET released_at = $2, released_by = $3
           WHERE rollout_id = $1 AND released_at IS NULL""",
        rollout_id, at(now_ms), by,
    )  # fmt: skip


async def allow(conn: Connection, pin: Pin, by: str, now_ms: int) -> None:
    """People take back that they have declined it."""
    await conn.execute(
        """UPDATE brakeline.quarantine SET released_at = $4, released_by = $5
           WHERE name = $1 AND version = $2 AND rollout_id = $3 AND released_at IS NULL""",
        pin.name, pin.version, BY_PEOPLE, at(now_ms), by,
    )  # fmt: skip


async def quarantined(conn: Connection) -> list[Quarantined]:
    """What is quarantined now."""
    rows = await conn.fetch("SELECT * FROM brakeline.quarantine WHERE released_at IS NULL ORDER BY name, version")
    return [Quarantined(Pin(r["name"], r["version"]), r["rollout_id"], ms(r["since"]), r["reason"]) for r in rows]


def as_plain(report: Report) -> list[Mapping[str, Any]]:
    """A report for JSON."""
    return [{"gate": x.gate, "state": x.state.value, "text": x.text, "data": dict(x.data)} for x in report.lines]


ENDED: Final = frozenset({Phase.HALTED, Phase.COMPLETED, Phase.WITHDRAWN})


def as_text(report: Report) -> str:
    """A report as it is stored."""
    return json.dumps(as_plain(report))


def as_report(text: str) -> Report:
    """The other way."""
    return _report(text)
