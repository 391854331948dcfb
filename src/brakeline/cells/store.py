"""Members and links as rows; nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from brakeline.cells.model import Former, Link, Member, MemberState
from brakeline.platform.database import Connection

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LEADS_TOLD_MAX: Final = 1_000  # of a far later cell; nothing here asks for more


def at(ms: int) -> datetime:
    """Unix milliseconds as a timestamp."""
    return EPOCH + timedelta(milliseconds=ms)


def ms(stamp: datetime | None) -> int:
    """A timestamp as Unix milliseconds; 0 for none."""
    return 0 if stamp is None else (stamp - EPOCH) // timedelta(milliseconds=1)


def _member(r: Any) -> Member:
    return Member(
        r["link_id"], r["cell"], r["region"], MemberState(r["state"]), r["public_key"], r["counter"], r["version"],
        r["skew_ms"], ms(r["heard_at"]), r["doubt"], ms(r["added_at"]), r["added_by"], r["generation"],
        r["left_generation"], r["left_for"], r["leads"],
    )  # fmt: skip


def _link(r: Any) -> Link:
    return Link(
        r["link_id"], r["cell"], r["url"], r["ca_pem"], r["conductor_key"], r["counter"], ms(r["asked_at"]),
        ms(r["answered_at"]), r["skew_ms"], r["trouble"], r["isolated"], ms(r["joined_at"]), r["joined_by"],
        r["their_tenant"], r["generation"], r["fast"],
    )  # fmt: skip


# --- at the conductor -------------------------------------------------------------------------------------------------


async def members(conn: Connection) -> tuple[Member, ...]:
    """All cells, in the order in which they were added."""
    return tuple(_member(r) for r in await conn.fetch("SELECT * FROM brakeline.cell_member ORDER BY link_id"))


async def member(conn: Connection, link_id: str) -> Member | None:
    """One, locked until the commit: two messages of one cell are taken one after the other."""
    r = await conn.fetchrow("SELECT * FROM brakeline.cell_member WHERE link_id = $1 FOR UPDATE", link_id)
    return _member(r) if r else None


async def invite(
    conn: Connection, tenant_id: str, m: Member, secret_hash: bytes, ends_ms: int
) -> bool:  # fmt: skip
    """A new member, or a known one once more; False where that name has joined."""
    status: str = await conn.execute(
        """INSERT INTO brakeline.cell_member AS c
             (tenant_id, link_id, cell, region, state, secret_hash, secret_ends, added_at, added_by, generation)
           VALUES ($1, $2, $3, $4, 'invited', $5, $6, $7, $8, $9)
           ON CONFLICT (tenant_id, cell) DO UPDATE SET link_id = excluded.link_id, region = excluded.region,
             state = 'invited', secret_hash = excluded.secret_hash, secret_ends = excluded.secret_ends,
             public_key = '', counter = 0, doubt = '', leads = 0, added_at = excluded.added_at,
             added_by = excluded.added_by, generation = excluded.generation, left_generation = 0, left_for = ''
           WHERE c.state IN ('invited', 'isolated')""",
        tenant_id, m.link_id, m.cell, m.region, secret_hash, at(ends_ms), at(m.added_ms), m.added_by, m.generation,
    )  # fmt: skip
    return status.endswith(" 1")


async def redeem(conn: Connection, link_id: str, secret_hash: bytes, public_key: str, version: str,
                 now_ms: int) -> Member | None:  # fmt: skip
    """Join with a token that nobody has used; None = there is none such."""
    r = await conn.fetchrow(
        """UPDATE brakeline.cell_member SET state = 'joined', secret_hash = NULL, public_key = $3, version = $4,
             heard_at = $5
           WHERE link_id = $1 AND state = 'invited' AND secret_hash = $2 AND secret_ends > $5 RETURNING *""",
        link_id, secret_hash, public_key, version, at(now_ms),
    )  # fmt: skip
    return _member(r) if r else None


async def heard(conn: Connection, m: Member) -> bool:
    """What a message has told of its cell; False when a newer one was faster."""
    status: str = await conn.execute(
        """UPDATE brakeline.cell_member SET counter = $2, version = $3, skew_ms = $4, heard_at = $5, leads = $6
           WHERE link_id = $1 AND counter < $2""",
        m.link_id, m.counter, m.version, m.skew_ms, at(m.heard_ms), min(m.leads, LEADS_TOLD_MAX),
    )  # fmt: skip
    return status.endswith(" 1")


async def set_skew(conn: Connection, link_id: str, skew_ms: int) -> None:
    """How far its clock is away, when that is why it is refused."""
    await conn.execute("UPDATE brakeline.cell_member SET skew_ms = $2 WHERE link_id = $1", link_id, skew_ms)


async def set_doubt(conn: Connection, link_id: str, doubt: str) -> None:
    """Why a cell is not believed; the first reason stays."""
    await conn.execute(
        "UPDATE brakeline.cell_member SET doubt = $2 WHERE link_id = $1 AND doubt = ''", link_id, doubt[:500]
    )


async def set_left(conn: Connection, link_id: str, generation: int, left_for: str) -> None:
    """A cell has told that it believes another conductor."""
    await conn.execute(
        "UPDATE brakeline.cell_member SET left_generation = $2, left_for = $3 WHERE link_id = $1",
        link_id, generation, left_for,
    )  # fmt: skip


async def set_state(conn: Connection, link_id: str, state: MemberState) -> None:
    """What a person decided; a cell that takes part again starts without a doubt."""
    await conn.execute(
        """UPDATE brakeline.cell_member SET state = $2, doubt = CASE WHEN $2 = 'joined' THEN '' ELSE doubt END
           WHERE link_id = $1""",
        link_id, state.value,
    )  # fmt: skip


# --- in a cell --------------------------------------------------------------------------------------------------------


async def link(conn: Connection, *, lock: bool = False) -> Link | None:
    """The conductor of this cell, if it has one; with `lock` nobody changes it until the commit."""
    plain, locked = "SELECT * FROM brakeline.cell_link", "SELECT * FROM brakeline.cell_link FOR UPDATE"
    r = await conn.fetchrow(locked if lock else plain)
    return _link(r) if r else None


async def put_link(conn: Connection, tenant_id: str, x: Link) -> None:
    """The one conductor from now on, which nobody has agreed to believe yet. Another one before it is kept as left."""
    await conn.execute("DELETE FROM brakeline.cell_former_link WHERE link_id = $1", x.link_id)
    await conn.execute(
        """INSERT INTO brakeline.cell_former_link (tenant_id, link_id, cell, their_tenant, url, ca_pem, conductor_key,
             generation, counter, left_at)
           SELECT tenant_id, link_id, cell, their_tenant, url, ca_pem, conductor_key, generation, counter, $2
           FROM brakeline.cell_link WHERE conductor_key <> $1""",
        x.conductor_key, at(x.joined_ms),
    )  # fmt: skip
    await conn.execute("DELETE FROM brakeline.cell_link")
    await conn.execute(
        """INSERT INTO brakeline.cell_link
             (tenant_id, link_id, cell, their_tenant, url, ca_pem, conductor_key, joined_at, joined_by, isolated,
              generation, fast)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, true, $10, $11)""",
        tenant_id, x.link_id, x.cell, x.their_tenant, x.url, x.ca_pem, x.conductor_key, at(x.joined_ms), x.joined_by,
        x.generation, x.fast,
    )  # fmt: skip


async def former(conn: Connection, left_after_ms: int) -> tuple[Former, ...]:
    """Conductors that this cell has left since then."""
    rows = await conn.fetch("SELECT * FROM brakeline.cell_former_link WHERE left_at > $1 ORDER BY left_at",
                            at(left_after_ms))  # fmt: skip
    return tuple(
        Former(Link(r["link_id"], r["cell"], r["url"], r["ca_pem"], r["conductor_key"], isolated=True,
                    their_tenant=r["their_tenant"], generation=r["generation"]), ms(r["left_at"]), ms(r["told_at"]))
        for r in rows
    )  # fmt: skip


async def next_farewell(conn: Connection, link_id: str, now_ms: int) -> int:
    """As `next_counter`, to a conductor that was left: above every number that it has seen."""
    counter: int = await conn.fetchval(
        """UPDATE brakeline.cell_former_link SET counter = greatest(counter + 1, $2) WHERE link_id = $1
           RETURNING counter""",
        link_id, now_ms,
    )  # fmt: skip
    return counter


async def set_told(conn: Connection, link_id: str, now_ms: int) -> None:
    """A conductor that was left knows it."""
    await conn.execute("UPDATE brakeline.cell_former_link SET told_at = $2 WHERE link_id = $1", link_id, at(now_ms))


async def next_counter(conn: Connection, now_ms: int) -> int:
    """A number above all before it, also where the database was restored from a backup."""
    counter: int = await conn.fetchval(
        """UPDATE brakeline.cell_link SET counter = greatest(counter + 1, $1), asked_at = $2 RETURNING counter""",
        now_ms, at(now_ms),
    )  # fmt: skip
    return counter


async def set_answered(conn: Connection, trouble: str, skew_ms: int | None, now_ms: int | None) -> None:
    """What the last exchange came to; `now_ms` None = nobody answered."""
    await conn.execute(
        """UPDATE brakeline.cell_link SET trouble = $1, skew_ms = coalesce($2, skew_ms),
             answered_at = coalesce($3, answered_at)""",
        trouble[:500], skew_ms, at(now_ms) if now_ms is not None else None,
    )  # fmt: skip


async def believe(conn: Connection, link_id: str) -> None:
    """Believe its grants from now on."""
    await conn.execute("UPDATE brakeline.cell_link SET isolated = false, trouble = '' WHERE link_id = $1", link_id)


async def isolate(conn: Connection, trouble: str) -> None:
    """Believe the conductor in nothing more."""
    await conn.execute("UPDATE brakeline.cell_link SET isolated = true, trouble = $1", trouble)
