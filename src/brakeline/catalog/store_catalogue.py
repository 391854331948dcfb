"""SQL of adoptions from the curated catalogue. Rows <-> model, nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from brakeline.catalog.model import Adoption
from brakeline.platform.database import Connection

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def adoptions(conn: Connection, product: str = "") -> list[Adoption]:
    """Of one product or of all, the last first."""
    rows = await conn.fetch(
        "SELECT * FROM brakeline.catalogue_adoption WHERE $1 IN ('', product) ORDER BY adopted_at DESC, version",
        product,
    )
    return [_adoption(r) for r in rows]


async def adopt(conn: Connection, tenant_id: str, a: Adoption) -> None:
    """Keep it; the same file of the same version again is only newer."""
    await conn.execute(
        "INSERT INTO brakeline.catalogue_adoption (tenant_id, product, architecture, version, sha256, url, vouched,"
        " key, signed_at, adopted_at, adopted_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        " ON CONFLICT (tenant_id, product, architecture, version, sha256) DO UPDATE SET vouched = excluded.vouched,"
        " key = excluded.key, signed_at = greatest(catalogue_adoption.signed_at, excluded.signed_at),"
        " adopted_at = excluded.adopted_at, adopted_by = excluded.adopted_by",
        tenant_id, a.product, a.architecture, a.version, a.sha256, a.url, a.vouched, a.key,
        _stamp(a.signed_ms) if a.signed_ms else None, _stamp(a.adopted_ms), a.adopted_by,
    )  # fmt: skip


def _adoption(r: Any) -> Adoption:
    return Adoption(
        r["product"], r["architecture"], r["version"], r["sha256"], r["url"], r["vouched"], r["key"],
        _millis(r["signed_at"]) if r["signed_at"] else 0, _millis(r["adopted_at"]), r["adopted_by"],
    )  # fmt: skip


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _millis(at: datetime) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1))
