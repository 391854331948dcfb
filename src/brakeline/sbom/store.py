"""SQL of bills of materials and VEX files. Rows <-> model, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from brakeline.platform.database import Connection
from brakeline.sbom.model import Asset, Component, Kind, Statement, Status, VexDocument

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COMPONENT: Final = ("name", "version", "ecosystem", "purl", "source", "source_version", "module", "where")
_COLUMNS: Final = 'name, version, ecosystem, purl, source, source_version, module, "where"'


async def add_asset(conn: Connection, tenant_id: str, asset: Asset, components: Sequence[Component]) -> None:
    """The asset and all of its components."""
    await conn.execute(
        "INSERT INTO brakeline.sbom_asset VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        tenant_id, asset.asset_id, asset.name, asset.kind.value, asset.version, asset.format, asset.file_name,
        asset.sha256, asset.serial, asset.made, _stamp(asset.imported_ms), asset.imported_by, asset.components,
        list(asset.left_out), asset.more_left_out,
    )  # fmt: skip
    columns = [[getattr(c, name) for c in components] for name in _COMPONENT]
    await conn.execute(
        f"INSERT INTO brakeline.sbom_component (tenant_id, asset_id, number, {_COLUMNS})"  # noqa: S608 - constants only
        " SELECT $1, $2, u.n, u.a, u.b, u.c, u.d, u.e, u.f, u.g, u.h FROM unnest($3::text[], $4::text[], $5::text[],"
        " $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])"
        " WITH ORDINALITY AS u(a, b, c, d, e, f, g, h, n)",
        tenant_id, asset.asset_id, *columns,
    )  # fmt: skip


async def assets(conn: Connection) -> list[Asset]:
    """All of the tenant, by name."""
    return [_asset(r) for r in await conn.fetch("SELECT * FROM brakeline.sbom_asset ORDER BY name")]


async def asset(conn: Connection, asset_id: str) -> Asset | None:
    row = await conn.fetchrow("SELECT * FROM brakeline.sbom_asset WHERE asset_id = $1", asset_id)
    return _asset(row) if row else None


async def asset_named(conn: Connection, name: str) -> Asset | None:
    """Locked until the transaction ends, if there is one."""
    row = await conn.fetchrow("SELECT * FROM brakeline.sbom_asset WHERE name = $1 FOR UPDATE", name)
    return _asset(row) if row else None


async def drop_asset(conn: Connection, asset_id: str) -> bool:
    return bool(await conn.fetchval("DELETE FROM brakeline.sbom_asset WHERE asset_id = $1 RETURNING true", asset_id))


async def components(conn: Connection, asset_id: str) -> list[Component]:
    """In the order of the bill."""
    rows = await conn.fetch(
        f"SELECT {_COLUMNS} FROM brakeline.sbom_component WHERE asset_id = $1 ORDER BY number",  # noqa: S608
        asset_id,
    )
    return [Component(**dict(r)) for r in rows]


async def add_document(
    conn: Connection, tenant_id: str, document: VexDocument, statements: Sequence[Statement]
) -> None:
    """A VEX file and all that it says."""
    d = document
    await conn.execute(
        "INSERT INTO brakeline.vex_document (tenant_id, sha256, file_name, format, author, issued, statements,"
        " taken_at, taken_by, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        tenant_id, d.sha256, d.file_name, d.format, d.author, d.issued, d.statements, _stamp(d.taken_ms), d.taken_by,
        d.reason,
    )  # fmt: skip
    await conn.executemany(
        "INSERT INTO brakeline.vex_statement VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [(tenant_id, d.sha256, number, s.vulnerability, list(s.products), s.status.value, s.justification, s.detail)
         for number, s in enumerate(statements)],
    )  # fmt: skip


async def document(conn: Connection, sha256: str) -> VexDocument | None:
    row = await conn.fetchrow("SELECT * FROM brakeline.vex_document WHERE sha256 = $1 FOR UPDATE", sha256)
    return _document(row) if row else None


async def documents(conn: Connection) -> list[VexDocument]:
    """The newest first, withdrawn ones too."""
    rows = await conn.fetch("SELECT * FROM brakeline.vex_document ORDER BY taken_at DESC, sha256 LIMIT 500")
    return [_document(r) for r in rows]


async def withdraw(conn: Connection, sha256: str, at_ms: int, by: str) -> None:
    await conn.execute(
        "UPDATE brakeline.vex_document SET withdrawn_at = $2, withdrawn_by = $3 WHERE sha256 = $1",
        sha256, _stamp(at_ms), by,
    )  # fmt: skip


async def restate(conn: Connection, sha256: str, at_ms: int, by: str, reason: str) -> None:
    """Taken in again after it was withdrawn."""
    await conn.execute(
        "UPDATE brakeline.vex_document SET withdrawn_at = NULL, withdrawn_by = '', taken_at = $2, taken_by = $3,"
        " reason = $4 WHERE sha256 = $1",
        sha256, _stamp(at_ms), by, reason,
    )  # fmt: skip


async def standing(conn: Connection, vulnerabilities: Sequence[str]) -> list[tuple[Statement, VexDocument]]:
    """What stands of these vulnerabilities, the newest file first."""
    rows = await conn.fetch(
        "SELECT s.vulnerability, s.products, s.status, s.justification, s.detail, s.sha256"
        " FROM brakeline.vex_statement s JOIN brakeline.vex_document d USING (tenant_id, sha256)"
        " WHERE d.withdrawn_at IS NULL AND s.vulnerability = ANY ($1) ORDER BY d.taken_at DESC, d.sha256, s.number",
        list(vulnerabilities),
    )
    known = {d.sha256: d for d in await documents(conn)}
    return [
        (
            Statement(r["vulnerability"], tuple(r["products"]), Status(r["status"]), r["justification"], r["detail"]),
            known[r["sha256"]],
        )
        for r in rows
        if r["sha256"] in known
    ]


def _asset(r: Any) -> Asset:
    return Asset(
        r["asset_id"], r["name"], Kind(r["kind"]), r["version"], r["format"], r["file_name"], r["sha256"], r["serial"],
        r["made"], _millis(r["imported_at"]), r["imported_by"], r["components"], tuple(r["left_out"]),
        r["more_left_out"],
    )  # fmt: skip


def _document(r: Any) -> VexDocument:
    return VexDocument(
        r["sha256"], r["file_name"], r["format"], r["author"], r["issued"], r["statements"], _millis(r["taken_at"]),
        r["taken_by"], r["reason"], _millis(r["withdrawn_at"]) if r["withdrawn_at"] else 0, r["withdrawn_by"],
    )  # fmt: skip


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _millis(at: datetime) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1))
