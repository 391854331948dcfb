"""SQL of the catalogue. Rows <-> model, nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from brakeline.catalog.model import OwnPackage
from brakeline.platform.database import Connection

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SELECT: Final = (
    "SELECT s.*, (s.artifact_sha256 = '' OR s.artifact_url <> '' OR p.sha256 IS NOT NULL) AS has_payload"
    " FROM brakeline.software s LEFT JOIN brakeline.software_payload p"
    " ON p.tenant_id = s.tenant_id AND p.sha256 = s.artifact_sha256"
)


async def add(conn: Connection, tenant_id: str, e: OwnPackage, document: str) -> None:
    await conn.execute(
        "INSERT INTO brakeline.software (tenant_id, name, version, full_version, title, vendor, platform, script_only,"
        " artifact, artifact_bytes, artifact_sha256, artifact_url, signed_by, takes_back, document, added_at, added_by)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        tenant_id, e.name, e.version, e.full_version, e.title, e.vendor, e.platform, e.script_only, e.artifact,
        e.artifact_bytes, e.artifact_sha256, e.artifact_url, list(e.signed_by), e.takes_back, document,
        _stamp(e.added_ms), e.added_by,
    )  # fmt: skip


async def sign_again(conn: Connection, e: OwnPackage, document: str) -> None:
    """The same text with more signatures."""
    await conn.execute(
        "UPDATE brakeline.software SET document = $3, signed_by = $4 WHERE name = $1 AND version = $2",
        e.name, e.version, document, list(e.signed_by),
    )  # fmt: skip


async def entries(conn: Connection) -> list[OwnPackage]:
    """All of the organisation, by name, the last added first."""
    return [_entry(r) for r in await conn.fetch(f"{_SELECT} ORDER BY s.name, s.added_at DESC, s.version")]


async def document(conn: Connection, name: str, version: str) -> str | None:
    """The signed bytes as they came, by the author's version or the full one."""
    found: str | None = await conn.fetchval(
        "SELECT document FROM brakeline.software WHERE name = $1 AND $2 IN (version, full_version)", name, version
    )
    return found


async def withdraw(conn: Connection, name: str, version: str, at_ms: int, by: str, reason: str) -> None:
    await conn.execute(
        "UPDATE brakeline.software SET withdrawn_at = $3, withdrawn_by = $4, withdrawn_reason = $5"
        " WHERE name = $1 AND version = $2",
        name, version, _stamp(at_ms), by, reason,
    )  # fmt: skip


async def keep_payload(conn: Connection, tenant_id: str, sha256: str, data: bytes) -> None:
    await conn.execute(
        "INSERT INTO brakeline.software_payload (tenant_id, sha256, bytes, data) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING",
        tenant_id, sha256, len(data), data,
    )  # fmt: skip


async def payload(conn: Connection, sha256: str) -> bytes | None:
    found: bytes | None = await conn.fetchval("SELECT data FROM brakeline.software_payload WHERE sha256 = $1", sha256)
    return found


async def payload_bytes(conn: Connection) -> int:
    """What all artifacts of the organisation come to."""
    return int(await conn.fetchval("SELECT coalesce(sum(bytes), 0) FROM brakeline.software_payload"))


def _entry(r: Any) -> OwnPackage:
    return OwnPackage(
        r["name"], r["version"], r["full_version"], r["title"], r["vendor"], r["platform"], r["script_only"],
        r["artifact"], r["artifact_bytes"], r["artifact_sha256"], r["artifact_url"], r["has_payload"],
        tuple(r["signed_by"]), r["takes_back"], _millis(r["added_at"]), r["added_by"],
        _millis(r["withdrawn_at"]) if r["withdrawn_at"] else 0, r["withdrawn_by"], r["withdrawn_reason"],
    )  # fmt: skip


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _millis(at: datetime) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1))
