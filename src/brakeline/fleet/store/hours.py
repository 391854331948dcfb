"""A line an hour and class of what check-ins leave behind, and the counts of an inventory's kinds."""

from __future__ import annotations

from brakeline.fleet.shape import AGES_S, Hour
from brakeline.fleet.store.rows import Connection, millis, stamp

SAMPLE = """
INSERT INTO brakeline.fleet_hour
SELECT $1, e.machine_class, $2, count(*),
  count(*) FILTER (WHERE p.last_seen > $3::timestamptz - make_interval(secs => $4)),
  count(*) FILTER (WHERE p.last_seen > $3 - make_interval(
    secs => CASE e.machine_class WHEN 'laptop' THEN $5 ELSE $4 END)),
  ARRAY[{}],
  count(*) FILTER (WHERE p.counted_boot <> p.boot_id AND p.boot_id <> '')
FROM brakeline.endpoint e LEFT JOIN brakeline.presence p USING (tenant_id, endpoint_id)
WHERE e.state = 'active' GROUP BY e.machine_class ON CONFLICT DO NOTHING
""".format(", ".join(f"count(*) FILTER (WHERE p.last_seen > $3 - make_interval(secs => {s}))" for s in AGES_S))


async def sample(conn: Connection, tenant_id: str, hour_ms: int, now_ms: int, grace_s: float, laptop_grace_s: float,
                 kept_ms: int) -> int:  # fmt: skip
    """Count this hour, once, whoever comes first; forget what is older than `kept_ms`. How many lines it made."""
    status: str = await conn.execute(SAMPLE, tenant_id, stamp(hour_ms), stamp(now_ms), grace_s, laptop_grace_s)
    made = int(status.rpartition(" ")[2])
    if made:
        await conn.execute(
            """UPDATE brakeline.presence SET counted_boot = boot_id
               WHERE boot_id <> '' AND counted_boot IS DISTINCT FROM boot_id"""
        )
        await conn.execute("DELETE FROM brakeline.fleet_hour WHERE hour < $1", stamp(now_ms - kept_ms))
    return made


async def hours(conn: Connection) -> list[Hour]:
    """Everything that is kept, oldest first."""
    rows = await conn.fetch("SELECT * FROM brakeline.fleet_hour ORDER BY hour, machine_class")
    return [
        Hour(r["machine_class"], millis(r["hour"]), r["enrolled"], r["online"], r["heard"], tuple(r["within"]),
             r["restarts"])
        for r in rows
    ]  # fmt: skip
