"""Where releases of ours stand in the fleet, out of what launchers last said (JSON in `presence.launcher`).

Read straight from the JSON: a field that a newer launcher adds is simply there, one that it lacks counts nowhere.
"""

from __future__ import annotations

from brakeline.fleet.model import FailedTrial, ReleaseStanding, ReleaseStandings, ReleaseTrials
from brakeline.fleet.store.filters import LAUNCHER_CONFIRMED, LISTS, SAID, STANDS, TABLES
from brakeline.fleet.store.rows import Connection, millis

_ONE = [(how, field) for how, fields in STANDS.items() for field in fields if field not in LISTS]
_SEVERAL = [(how, field) for how, fields in STANDS.items() for field in fields if field in LISTS]


def _values(pairs: list[tuple[str, str]]) -> str:
    return "(VALUES " + ", ".join(f"('{how}', '{field}')" for how, field in pairs) + ") AS k(how, field)"


_STANDING = f"""
SELECT y.release_id, {", ".join(f"count(*) FILTER (WHERE y.how = '{how}') AS {how}" for how in STANDS)}
FROM (SELECT {SAID} AS said FROM {TABLES} WHERE e.state <> 'retired' AND p.launcher IS NOT NULL) x,
LATERAL (
  SELECT how, x.said ->> field AS release_id FROM {_values(_ONE)}
  UNION ALL
  SELECT how, jsonb_array_elements_text(x.said -> field) FROM {_values(_SEVERAL)}
  UNION ALL
  SELECT 'confirmed', x.said ->> 'launcher_release' WHERE {LAUNCHER_CONFIRMED.format(said="x.said")}
) y
WHERE y.release_id <> '' GROUP BY y.release_id ORDER BY y.release_id
"""  # noqa: S608 - constants only
_LAUNCHERS = f"""
SELECT count(*) FILTER (WHERE p.launcher IS NOT NULL) AS has, count(*) FILTER (WHERE p.launcher IS NULL) AS lacks
FROM {TABLES} WHERE e.state <> 'retired'
"""  # noqa: S608 - constants only
_TRIAL = f"(SELECT {SAID} -> k.field AS said FROM (VALUES ('last_trial'), ('launcher_last_trial')) AS k(field))"  # noqa: S608
_TRIALS = f"""
SELECT e.endpoint_id, e.hostname, p.last_seen, t.said ->> 'outcome' AS outcome, t.said ->> 'code' AS code,
  t.said ->> 'detail' AS detail, (t.said ->> 'runs')::int AS runs, t.said ->> 'log_tail' AS log_tail
FROM {TABLES}, LATERAL {_TRIAL} t
WHERE e.state <> 'retired' AND t.said ->> 'release_id' = $1 AND t.said ->> 'outcome' <> 'confirmed'
ORDER BY p.last_seen DESC, e.endpoint_id LIMIT $2
"""  # noqa: S608 - constants only
_CODES = f"""
SELECT t.said ->> 'code' AS code, count(*) AS n FROM {TABLES}, LATERAL {_TRIAL} t
WHERE e.state <> 'retired' AND t.said ->> 'release_id' = $1 AND t.said ->> 'outcome' <> 'confirmed'
GROUP BY 1 ORDER BY n DESC, 1
"""  # noqa: S608 - constants only


async def standings(conn: Connection) -> ReleaseStandings:
    """Every release that some launcher of the tenant speaks of, by id."""
    rows = await conn.fetch(_STANDING)
    counted = await conn.fetchrow(_LAUNCHERS)
    assert counted is not None, "count always gives a row"
    return ReleaseStandings(tuple(ReleaseStanding(**r) for r in rows), counted["has"], counted["lacks"])


async def trials(conn: Connection, release_id: str, limit: int) -> ReleaseTrials:
    """Endpoints whose newest trial was one of this release and failed; those heard last first."""
    codes = await conn.fetch(_CODES, release_id)
    rows = await conn.fetch(_TRIALS, release_id, limit)
    return ReleaseTrials(
        release_id, {r["code"]: r["n"] for r in codes},
        tuple(FailedTrial(r["endpoint_id"], r["hostname"], r["outcome"], r["code"], r["detail"], r["runs"] or 0,
                          r["log_tail"] or "", millis(r["last_seen"])) for r in rows),
    )  # fmt: skip
