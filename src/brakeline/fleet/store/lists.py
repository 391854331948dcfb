"""What console, CLI and API read: endpoint lists by keyset, one endpoint, updates and software across the fleet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from brakeline.fleet.model import (
    EndpointDetail,
    EndpointState,
    EndpointSummary,
    FleetCounts,
    FleetUpdate,
    HeldUpdate,
    Inventoried,
    SoftwareHit,
)
from brakeline.fleet.query import Query
from brakeline.fleet.store.filters import AGENT_VERSION, LAST_SEEN, TABLES, Parameters, where
from brakeline.fleet.store.rows import Connection, limits_said, millis, said, stamp
from brakeline.platform.changed import low
from brakeline.protocol.messages import Facts, PackageManagerHealth, RebootNeed, SoftwareLook

_COLUMNS = (
    f"e.*, {AGENT_VERSION} AS agent_now, p.last_seen, p.asleep, p.boot_id, p.failed_services, s.sequence, s.digest,"
    " s.committed_at, s.packages, s.pending_total, s.pending_security, s.reboot_required, s.healthy, s.reboot,"
    " s.health, s.software, p.launcher, p.local_limits, p.settings AS runs_by"
)


_COUNTS = (
    "SELECT count(*) FILTER (WHERE e.state <> 'retired') AS endpoints,"  # noqa: S608 - constants only
    f" count(*) FILTER (WHERE e.state = 'active' AND (p.asleep OR {LAST_SEEN} > $1)) AS reporting,"
    " count(*) FILTER (WHERE e.state = 'cloned') AS cloned, count(*) FILTER (WHERE e.state = 'retired') AS retired,"
    " count(*) FILTER (WHERE e.state <> 'retired' AND s.pending_total > 0) AS with_pending,"
    " count(*) FILTER (WHERE e.state <> 'retired' AND s.pending_security > 0) AS with_security,"
    " count(*) FILTER (WHERE e.state <> 'retired' AND s.reboot_required) AS reboot_due,"
    " count(*) FILTER (WHERE e.state <> 'retired' AND s.endpoint_id IS NULL) AS without_inventory"
    f" FROM {TABLES}"
)


@dataclass(frozen=True, slots=True)
class Sort:
    """What a list is sorted by; ties go by endpoint id. `kind` says how a cursor's text becomes a parameter.

    A time is sorted as exactly as a cursor tells it: of rows that share a millisecond the id decides, and none is lost.
    """

    expression: str
    kind: str  # text | time | number


SORTS = {
    "host": Sort("e.hostname", "text"),
    "seen": Sort(f"date_trunc('milliseconds', {LAST_SEEN})", "time"),
    "enrolled": Sort("date_trunc('milliseconds', e.enrolled_at)", "time"),
    "missing": Sort("COALESCE(s.pending_security, 0)", "number"),
}


@dataclass(frozen=True, slots=True)
class After:
    """The last line of the page before."""

    value: str  # text, Unix milliseconds or a number, as its Sort says
    endpoint_id: str


def _summary(r: Any) -> EndpointSummary:
    return EndpointSummary(
        r["endpoint_id"], r["hostname"], EndpointState(r["state"]), r["os_id"], r["os_version"], r["os_name"],
        r["region"], tuple(r["tags"]), r["machine_class"], r["agent_now"], millis(r["last_seen"]),
        bool(r["asleep"]), r["pending_total"] or 0, r["pending_security"] or 0, bool(r["reboot_required"]),
        r["healthy"] is not False, millis(r["committed_at"]), millis(r["enrolled_at"]),
    )  # fmt: skip


def cursor_value(sort: str, line: EndpointSummary) -> After:
    """The cursor that continues after `line`."""
    values = {"host": line.hostname, "seen": line.last_seen_ms, "enrolled": line.enrolled_ms,
              "missing": line.pending_security}  # fmt: skip
    return After(str(values[sort]), line.id)


async def endpoints(
    conn: Connection, query: Query, now_ms: int, sort: str, descending: bool, after: After | None, limit: int
) -> list[EndpointSummary]:
    """One page in sort order."""
    p = Parameters()
    condition = where(query, now_ms, p.bind)
    order, by = ("DESC" if descending else "ASC"), SORTS[sort]
    if after is not None:
        value: object = after.value
        if by.kind == "time":
            value = stamp(int(after.value))
        elif by.kind == "number":
            value = int(after.value)
        sign = "<" if descending else ">"
        condition += f" AND ({by.expression}, e.endpoint_id) {sign} ({p.bind(value)}, {p.bind(after.endpoint_id)})"
    rows = await conn.fetch(
        f"SELECT {_COLUMNS} FROM {TABLES} WHERE {condition}"  # noqa: S608 - built from constants and placeholders
        f" ORDER BY {by.expression} {order}, e.endpoint_id {order} LIMIT {p.bind(limit)}",
        *p.values,
    )
    return [_summary(r) for r in rows]


async def count(conn: Connection, query: Query, now_ms: int) -> int:
    """How many endpoints match."""
    p = Parameters()
    condition = where(query, now_ms, p.bind)
    return int(await conn.fetchval(f"SELECT count(*) FROM {TABLES} WHERE {condition}", *p.values))  # noqa: S608


async def inventoried(conn: Connection, since: int | None) -> list[Inventoried]:
    """Endpoints by their newest inventory; `since` a moment (`platform.changed`): those written since then."""
    condition, values = "", []
    if since is not None:
        mark = low(since)
        age = "(SELECT age($1::text::xid))"
        condition = f" WHERE age(e.xmin) <= {age} OR age(s.xmin) <= {age}"
        values = [mark]
    rows = await conn.fetch(
        "SELECT e.endpoint_id, e.state, e.tags, s.committed_at FROM brakeline.endpoint e"  # noqa: S608 - constants only
        f" LEFT JOIN brakeline.endpoint_status s USING (tenant_id, endpoint_id){condition}",
        *values,
    )
    return [
        Inventoried(r["endpoint_id"], millis(r["committed_at"]), r["state"] == "retired", frozenset(r["tags"]))
        for r in rows
    ]


async def silent(conn: Connection, before_ms: int) -> list[str]:
    """Endpoints that are not retired and of which nothing was heard since then: last seen, else enrolled."""
    rows = await conn.fetch(
        "SELECT e.endpoint_id FROM brakeline.endpoint e"
        " LEFT JOIN brakeline.presence p USING (tenant_id, endpoint_id)"
        " WHERE e.state <> 'retired' AND COALESCE(p.last_seen, e.enrolled_at) < $1", stamp(before_ms),
    )  # fmt: skip
    return [r["endpoint_id"] for r in rows]


async def named(conn: Connection, endpoint_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Those of these endpoints that are not retired -> (host name, region)."""
    rows = await conn.fetch(
        "SELECT endpoint_id, hostname, region FROM brakeline.endpoint"
        " WHERE endpoint_id = ANY ($1) AND state <> 'retired'", list(endpoint_ids),
    )  # fmt: skip
    return {r["endpoint_id"]: (r["hostname"], r["region"]) for r in rows}


_VALUES = {
    "os": "(VALUES (e.os_id), (e.os_id || '-' || e.os_version))", "tag": "unnest(e.tags)",
    "region": "(VALUES (e.region))", "class": "(VALUES (e.machine_class))",
}  # fmt: skip


async def matching(conn: Connection, query: Query, now_ms: int, among: Sequence[str] | None) -> list[str]:
    """Ids of all endpoints that match, sorted; `among` restricts the question to some."""
    p = Parameters()
    condition = where(query, now_ms, p.bind)
    if among is not None:
        condition += f" AND e.endpoint_id = ANY({p.bind(list(among))}::text[])"
    rows = await conn.fetch(
        f"SELECT e.endpoint_id FROM {TABLES} WHERE {condition} ORDER BY e.endpoint_id",  # noqa: S608
        *p.values,
    )
    return [r["endpoint_id"] for r in rows]


async def values(conn: Connection, key: str) -> dict[str, int]:
    """What active endpoints have as `key`, sorted, and how many have it."""
    rows = await conn.fetch(
        f"SELECT v.value, count(*) FROM brakeline.endpoint e CROSS JOIN LATERAL {_VALUES[key]} v (value)"  # noqa: S608
        " WHERE e.state = 'active' GROUP BY 1 ORDER BY 1"
    )
    return {r[0]: r[1] for r in rows}


async def exists(conn: Connection, endpoint_id: str) -> bool:
    """Whether the tenant has, or had, such an endpoint."""
    found = await conn.fetchval("SELECT 1 FROM brakeline.endpoint WHERE endpoint_id = $1", endpoint_id)
    return found is not None


async def endpoint(conn: Connection, endpoint_id: str) -> EndpointDetail | None:
    """One endpoint of the tenant."""
    r = await conn.fetchrow(f"SELECT {_COLUMNS} FROM {TABLES} WHERE e.endpoint_id = $1", endpoint_id)  # noqa: S608
    if r is None:
        return None
    twins = await conn.fetch(
        "SELECT endpoint_id FROM brakeline.endpoint WHERE hostname = $1 AND endpoint_id <> $2 AND state <> 'retired'"
        " ORDER BY endpoint_id DESC LIMIT 20",
        r["hostname"], endpoint_id,
    )  # fmt: skip
    key = await conn.fetchrow("SELECT public_key FROM brakeline.endpoint_identity($1)", endpoint_id)
    assert key is not None, "every endpoint has a key"
    facts = Facts(r["hostname"], r["os_id"], r["os_version"], r["os_name"], r["kernel"], r["architecture"],
                  r["machine_class"], r["agent_now"], r["package_manager"], r["package_manager_version"])  # fmt: skip
    known = r["reboot"] not in (None, "{}")
    return EndpointDetail(
        _summary(r), facts, bytes(key["public_key"]).hex(), r["state_reason"],
        msgspec.json.decode(r["reboot"], type=RebootNeed) if known else RebootNeed(False),
        msgspec.json.decode(r["health"], type=PackageManagerHealth) if known else PackageManagerHealth(True),
        tuple(r["failed_services"] or ()), r["boot_id"] or "", r["packages"] or 0, r["sequence"] or 0,
        r["digest"] or "", r["enrolled_by"], tuple(t["endpoint_id"] for t in twins), said(r["launcher"]),
        limits_said(r["local_limits"]), r["runs_by"] or "",
        msgspec.json.decode(r["software"], type=SoftwareLook) if r["software"] else None,
    )  # fmt: skip


async def counts(conn: Connection, now_ms: int, silent_after_s: int) -> FleetCounts:
    """The figures of the overview, over endpoints that are not retired."""
    r = await conn.fetchrow(
        _COUNTS,
        stamp(now_ms - silent_after_s * 1000),
    )
    assert r is not None, "count always gives a row"
    return FleetCounts(**r)


async def updates(conn: Connection, security_only: bool, name_part: str, limit: int) -> list[FleetUpdate]:
    """Pending updates across active endpoints: security first, then by how many endpoints want them."""
    rows = await conn.fetch(
        "SELECT u.name, u.candidate, min(u.suite) AS suite, bool_or(u.security) AS security,"
        " count(DISTINCT u.endpoint_id) AS endpoints,"
        " count(DISTINCT u.endpoint_id) FILTER (WHERE u.state = 'available') AS available,"
        " coalesce(min(k.source), u.name) AS source"
        " FROM brakeline.pending_update u JOIN brakeline.endpoint e USING (tenant_id, endpoint_id)"
        " LEFT JOIN brakeline.endpoint_package k ON (k.tenant_id, k.endpoint_id, k.name, k.architecture) ="
        " (u.tenant_id, u.endpoint_id, u.name, u.architecture)"
        " WHERE e.state = 'active' AND (u.security OR NOT $1) AND u.name LIKE '%' || $2 || '%'"
        " GROUP BY u.name, u.candidate ORDER BY security DESC, endpoints DESC, u.name, u.candidate LIMIT $3",
        security_only, name_part, limit,
    )  # fmt: skip
    return [FleetUpdate(**r) for r in rows]


async def pending_named(conn: Connection, name: str, limit: int) -> tuple[HeldUpdate, ...]:
    """Active endpoints that have an update of this package pending, those that hold it back first."""
    rows = await conn.fetch(
        "SELECT e.endpoint_id, e.hostname, u.installed, u.candidate, u.state, u.reason"
        " FROM brakeline.pending_update u JOIN brakeline.endpoint e USING (tenant_id, endpoint_id)"
        " WHERE e.state = 'active' AND u.name = $1"
        " ORDER BY u.state = 'available', e.hostname, e.endpoint_id, u.architecture LIMIT $2",
        name, limit,
    )  # fmt: skip
    return tuple(HeldUpdate(*tuple(r)) for r in rows)


async def software(conn: Connection, name_part: str, limit: int) -> list[SoftwareHit]:
    """Installed versions of packages whose name contains `name_part`, across endpoints that are not retired."""
    rows = await conn.fetch(
        "SELECT k.name, k.version, min(k.source) AS source, count(DISTINCT k.endpoint_id) AS endpoints"
        " FROM brakeline.endpoint_package k JOIN brakeline.endpoint e USING (tenant_id, endpoint_id)"
        " WHERE e.state <> 'retired' AND k.name LIKE '%' || $1 || '%'"
        " GROUP BY k.name, k.version ORDER BY k.name, k.version LIMIT $2",
        name_part, limit,
    )  # fmt: skip
    return [SoftwareHit(**r) for r in rows]


async def set_tags(conn: Connection, endpoint_id: str, tags: tuple[str, ...]) -> tuple[str, ...] | None:
    """Replace the tags; gives the old ones, None when there is no such endpoint."""
    old = await conn.fetchval("SELECT tags FROM brakeline.endpoint WHERE endpoint_id = $1 FOR UPDATE", endpoint_id)
    if old is None:
        return None
    await conn.execute("UPDATE brakeline.endpoint SET tags = $2 WHERE endpoint_id = $1", endpoint_id, list(tags))
    return tuple(old)


async def ask_scan(conn: Connection, endpoint_id: str) -> int | None:
    """Raise the endpoint's scan number; None when there is no such endpoint."""
    number: int | None = await conn.fetchval(
        "UPDATE brakeline.endpoint SET scan = scan + 1 WHERE endpoint_id = $1 RETURNING scan", endpoint_id
    )
    return number
