"""Leads at the conductor, and what a cell keeps of them, as rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from brakeline.cells.model import CellReport, Grant, Orphan
from brakeline.platform.database import Connection
from brakeline.protocol.codec import decode, encode, from_plain
from brakeline.rollout.conduct import Lead, PlannedRing
from brakeline.rollout.model import Blueprint, Change, Policy, Report, Wish
from brakeline.rollout.store.rollouts import as_report, as_text, at, ms


@dataclass(frozen=True, slots=True)
class LedRow:
    """One lead in this cell. `rollout_id` "" = it has no endpoint for it."""

    lead_id: str
    link_id: str
    rollout_id: str
    grant: Grant


def _lead(r: Any) -> Lead:
    return Lead(
        r["lead_id"], r["title"], from_plain(Change, json.loads(r["change"])),
        from_plain(Policy, json.loads(r["policy"])), r["filter"], tuple(r["cells"]), Wish(r["wish"]), r["wish_by"],
        r["wish_reason"], from_plain(Blueprint, json.loads(r["blueprint"])),
        tuple(from_plain(PlannedRing, x) for x in json.loads(r["plan"])), json.loads(r["opened"]), ms(r["created_at"]),
        r["created_by"], r["salt"], tuple(json.loads(r["told"])),
    )  # fmt: skip


async def insert(conn: Connection, tenant_id: str, x: Lead) -> None:
    """A new lead."""
    await conn.execute(
        """INSERT INTO brakeline.lead (tenant_id, lead_id, title, change, policy, filter, cells, wish, wish_by,
             wish_reason, phase, blueprint, plan, opened, moved_at, created_at, created_by,
             salt, told)
           VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$15,$16,$17,$18)""",
        tenant_id, x.lead_id, x.title, encode(x.change).decode(), encode(x.policy).decode(), x.filter, list(x.cells),
        x.wish.value, x.wish_by, x.wish_reason, x.blueprint.phase.value, encode(x.blueprint).decode(),
        encode(list(x.plan)).decode(), encode(dict(x.opened)).decode(), at(x.created_ms), x.created_by, x.salt,
        encode(list(x.told)).decode(),
    )  # fmt: skip


async def lock(conn: Connection, lead_id: str) -> Lead | None:
    """One, until the commit nobody else's."""
    r = await conn.fetchrow("SELECT * FROM brakeline.lead WHERE lead_id = $1 FOR UPDATE", lead_id)
    return _lead(r) if r else None


async def page(conn: Connection, limit: int = 200) -> list[tuple[Lead, Report]]:
    """The newest, with their reasons."""
    rows = await conn.fetch("SELECT * FROM brakeline.lead ORDER BY lead_id DESC LIMIT $1", limit)
    return [(_lead(r), as_report(r["report"])) for r in rows]


async def get(conn: Connection, lead_id: str) -> tuple[Lead, Report] | None:
    """One, with its reasons."""
    r = await conn.fetchrow("SELECT * FROM brakeline.lead WHERE lead_id = $1", lead_id)
    return (_lead(r), as_report(r["report"])) if r else None


async def live(conn: Connection, ended_after_ms: int) -> list[str]:
    """Ids of leads that go on, of ended ones as long as they are watched, and of the newest completed release of each
    product: without a grant nobody who was away or is enrolled later would be leased it."""
    rows = await conn.fetch(
        """SELECT lead_id FROM brakeline.lead WHERE phase IN ('draft', 'rolling', 'holding') OR moved_at > $1
           UNION SELECT lead_id FROM (
             SELECT DISTINCT ON (change->'release'->>'product') lead_id FROM brakeline.lead
             WHERE phase = 'completed' AND change->>'kind' = 'release'
             ORDER BY change->'release'->>'product', (change->'release'->>'sequence')::bigint DESC, lead_id DESC
           ) standing ORDER BY lead_id""",
        at(ended_after_ms),
    )  # fmt: skip
    return [r["lead_id"] for r in rows]


async def save(conn: Connection, x: Lead, report: Report, moved_ms: int) -> None:
    """As it goes on, and why."""
    await conn.execute(
        """UPDATE brakeline.lead SET phase = $2, blueprint = $3, plan = $4, opened = $5, report = $6,
             moved_at = CASE WHEN blueprint = $3 THEN moved_at ELSE $7 END WHERE lead_id = $1""",
        x.lead_id, x.blueprint.phase.value, encode(x.blueprint).decode(), encode(list(x.plan)).decode(),
        encode(dict(x.opened)).decode(), as_text(report), at(moved_ms),
    )  # fmt: skip


async def set_wish(conn: Connection, lead_id: str, wish: Wish, by: str, reason: str) -> None:
    """What a person asked for."""
    await conn.execute(
        "UPDATE brakeline.lead SET wish = $2, wish_by = $3, wish_reason = $4 WHERE lead_id = $1",
        lead_id, wish.value, by, reason,
    )  # fmt: skip


async def set_policy_of_lead(conn: Connection, x: Lead) -> None:
    """Rings for as many endpoints as there are, before the first of them opens."""
    await conn.execute(
        "UPDATE brakeline.lead SET policy = $2, told = $3 WHERE lead_id = $1",
        x.lead_id, encode(x.policy).decode(), encode(list(x.told)).decode(),
    )  # fmt: skip


async def reports(conn: Connection, lead_id: str) -> dict[str, tuple[CellReport, int]]:
    """By cell: its newest report, and when it came."""
    rows = await conn.fetch("SELECT * FROM brakeline.lead_report WHERE lead_id = $1", lead_id)
    return {r["cell"]: (from_plain(CellReport, json.loads(r["body"])), ms(r["heard_at"])) for r in rows}


async def put_report(conn: Connection, tenant_id: str, cell: str, report: CellReport, now_ms: int) -> None:
    """The newest of one cell."""
    await conn.execute(
        """INSERT INTO brakeline.lead_report (tenant_id, lead_id, cell, body, heard_at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (tenant_id, lead_id, cell) DO UPDATE SET body = excluded.body, heard_at = excluded.heard_at""",
        tenant_id, report.lead_id, cell, encode(report).decode(), at(now_ms),
    )  # fmt: skip


async def put_orphan(conn: Connection, tenant_id: str, cell: str, told: Orphan, now_ms: int) -> None:
    """A lead of another conductor, as one cell had it granted."""
    await conn.execute(
        """INSERT INTO brakeline.lead_orphan (tenant_id, lead_id, cell, body, heard_at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (tenant_id, lead_id, cell) DO UPDATE SET body = excluded.body, heard_at = excluded.heard_at""",
        tenant_id, told.lead_id, cell, encode(told).decode(), at(now_ms),
    )  # fmt: skip


async def keep_newest_orphans(conn: Connection, cell: str, most: int) -> None:
    """Of what one cell told; a cell that tells of ever new leads pushes out its own alone."""
    await conn.execute(
        """DELETE FROM brakeline.lead_orphan o USING (
             SELECT lead_id FROM brakeline.lead_orphan WHERE cell = $1 ORDER BY heard_at DESC, lead_id DESC OFFSET $2
           ) old WHERE o.cell = $1 AND o.lead_id = old.lead_id""",
        cell, most,
    )  # fmt: skip


async def orphans(conn: Connection) -> dict[str, dict[str, Orphan]]:
    """By lead and cell: what nobody here leads."""
    rows = await conn.fetch(
        """SELECT * FROM brakeline.lead_orphan o WHERE NOT EXISTS
             (SELECT 1 FROM brakeline.lead l WHERE l.lead_id = o.lead_id) ORDER BY lead_id DESC, cell"""
    )
    found: dict[str, dict[str, Orphan]] = {}
    for r in rows:
        found.setdefault(r["lead_id"], {})[r["cell"]] = from_plain(Orphan, json.loads(r["body"]))
    return found


# --- in a cell --------------------------------------------------------------------------------------------------------


def _led(r: Any) -> LedRow:
    return LedRow(r["lead_id"], r["link_id"], r["rollout_id"] or "", decode(Grant, r["grant_text"].encode()))


async def led(conn: Connection, limit: int, heard_after_ms: int = 0) -> list[LedRow]:
    """The newest leads that this cell has heard of: those that go on here, and ended ones heard of since then."""
    rows = await conn.fetch(
        """SELECT l.* FROM brakeline.rollout_led l LEFT JOIN brakeline.rollout r USING (tenant_id, rollout_id)
           WHERE l.taken_at > $2 OR r.phase IN ('draft', 'rolling', 'holding') ORDER BY l.lead_id DESC LIMIT $1""",
        limit, at(heard_after_ms),
    )  # fmt: skip
    return [_led(r) for r in rows]


async def standing(conn: Connection) -> list[LedRow]:
    """Of each product the newest release that was led to its end here: whoever conducts has to go on granting it."""
    rows = await conn.fetch(
        """SELECT DISTINCT ON (r.change->'release'->>'product') l.*
           FROM brakeline.rollout_led l JOIN brakeline.rollout r USING (tenant_id, rollout_id)
           WHERE r.phase = 'completed' AND r.change->>'kind' = 'release'
           ORDER BY r.change->'release'->>'product', (r.change->'release'->>'sequence')::bigint DESC, l.lead_id DESC"""
    )
    return [_led(r) for r in rows]


async def led_by(conn: Connection, lead_id: str) -> LedRow | None:
    """What this cell keeps of one lead."""
    r = await conn.fetchrow("SELECT * FROM brakeline.rollout_led WHERE lead_id = $1", lead_id)
    return _led(r) if r else None


async def led_of(conn: Connection, rollout_id: str) -> LedRow | None:
    """What leads one rollout of this cell."""
    r = await conn.fetchrow("SELECT * FROM brakeline.rollout_led WHERE rollout_id = $1", rollout_id)
    return _led(r) if r else None


async def hold_led(conn: Connection, rollout_id: str) -> None:
    """Until the commit nobody else counts on a place that its grant leaves."""
    await conn.execute(
        "SELECT FROM brakeline.rollout_led WHERE rollout_id = $1 FOR NO KEY UPDATE", rollout_id
    )  # fmt: skip


async def put_led(conn: Connection, tenant_id: str, grant: Grant, text: str, rollout_id: str, now_ms: int) -> None:
    """The newest grant, word for word."""
    await conn.execute(
        """INSERT INTO brakeline.rollout_led (tenant_id, lead_id, link_id, rollout_id, grant_text, taken_at)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (tenant_id, lead_id) DO UPDATE SET link_id = excluded.link_id, rollout_id = excluded.rollout_id,
             grant_text = excluded.grant_text, taken_at = excluded.taken_at""",
        tenant_id, grant.lead_id, grant.link_id, rollout_id or None, text, at(now_ms),
    )  # fmt: skip


async def set_policy(conn: Connection, rollout_id: str, policy: Policy) -> None:
    """Rings that were granted since."""
    await conn.execute(
        "UPDATE brakeline.rollout SET policy = $2 WHERE rollout_id = $1", rollout_id, encode(policy).decode()
    )
