"""A `fleet.query` filter as SQL over endpoint e, endpoint_status s, presence p. Values are parameters, always."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from brakeline.fleet.query import Age, Match, Query, Term, Text
from brakeline.fleet.store.rows import stamp

ID: Final = "ep_"  # how ids of endpoints begin
Bind = Callable[[object], str]  # puts a value among the parameters, gives its placeholder

TABLES = (
    "brakeline.endpoint e LEFT JOIN brakeline.endpoint_status s USING (tenant_id, endpoint_id)"
    " LEFT JOIN brakeline.presence p USING (tenant_id, endpoint_id)"
)
LAST_SEEN = "COALESCE(p.last_seen, 'epoch'::timestamptz)"

AGENT_VERSION = "COALESCE(NULLIF(p.agent_version, ''), e.agent_version)"  # as its last check-in said
_TEXT_COLUMNS = {"region": "e.region", "agent": AGENT_VERSION, "kernel": "e.kernel", "arch": "e.architecture",
                 "id": "e.endpoint_id", "class": "e.machine_class", "state": "e.state"}  # fmt: skip
# What launchers say; text that only the agent plane writes, as valid JSON. A launcher that lacks a field says nothing.
SAID = "p.launcher::jsonb"
STANDS = {  # how a release stands -> fields of the report that name it
    "running": ("running", "launcher_release", "running_content"), "confirmed": ("confirmed", "content"),
    "probation": ("trial", "launcher_trial"), "quarantined": ("quarantined", "launcher_failed"),
    "recalled": ("recalled",),
}  # fmt: skip
LISTS = ("quarantined", "launcher_failed", "recalled")  # fields that name several
# The launcher itself is confirmed where it runs and is not on trial.
LAUNCHER_CONFIRMED = "{said} ->> 'launcher_trial' IS DISTINCT FROM {said} ->> 'launcher_release'"
_BOOLEANS = {"reboot": "s.reboot_required", "healthy": "s.healthy", "asleep": "p.asleep"}
_AGES = {"seen": LAST_SEEN, "enrolled": "e.enrolled_at"}
_MISSING = {
    "security": "s.pending_security > 0",
    "any": "s.pending_total > 0",
    "none": "s.pending_total = 0",  # without an inventory it is unknown: neither any nor none
}


class Parameters:
    """The parameters of one statement, numbered in the order in which they are bound."""

    def __init__(self) -> None:
        self.values: list[object] = []

    def bind(self, value: object) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def where(query: Query, now_ms: int, bind: Bind) -> str:
    """The condition of a WHERE; retired endpoints are left out unless the filter speaks of `state`."""
    terms = [_negate(_term(t, now_ms, bind), t.negated) for t in query.terms]
    if not any(isinstance(t, Match) and t.key == "state" for t in query.terms):
        terms.append("e.state <> 'retired'")
    return " AND ".join(terms)


def _negate(sql: str, negated: bool) -> str:
    """`-term` is true wherever `term` is not known to be true."""
    return f"NOT COALESCE({sql}, false)" if negated else f"({sql})"


def _term(term: Term, now_ms: int, bind: Bind) -> str:
    if isinstance(term, Age):
        border = bind(stamp(now_ms) - timedelta(seconds=term.seconds))
        return f"{_AGES[term.key]} {'>' if term.newer else '<'} {border}::timestamptz"
    if isinstance(term, Text):
        part = bind("%" + _like(term.text) + "%")
        named = f"e.hostname ILIKE {part} OR e.os_name ILIKE {part}"
        if not term.text.lower().startswith(ID):
            return named
        return f"{named} OR e.endpoint_id ILIKE {bind(_like(term.text) + '%')}"
    return " OR ".join(_value(term.key, v, bind) for v in term.values)


def _value(key: str, value: str, bind: Bind) -> str:
    if key in _TEXT_COLUMNS:
        return f"{_TEXT_COLUMNS[key]} = {bind(value)}"
    if key in _BOOLEANS:
        return f"COALESCE({_BOOLEANS[key]}, {'true' if key == 'healthy' else 'false'}) = {bind(value == 'yes')}"
    if key == "launcher":
        return f"(p.launcher IS NOT NULL) = {bind(value == 'yes')}"
    if key in STANDS:
        return _stands(key, bind(value))
    if key == "os":
        bound = bind(value.lower())
        return f"e.os_id = {bound} OR e.os_id || '-' || e.os_version = {bound}"
    if key == "tag":
        return f"{bind(value)} = ANY(e.tags)"
    if key == "host":
        return f"e.hostname LIKE {bind(_like(value).replace('*', '%'))}"
    if key == "missing":
        return _MISSING[value]
    name, _, version = value.partition("=")
    table = "endpoint_package" if key == "package" else "pending_update"
    column = "version" if key == "package" else "candidate"
    exact = f" AND x.{column} = {bind(version)}" if version else ""
    return (
        f"EXISTS (SELECT 1 FROM brakeline.{table} x WHERE x.tenant_id = e.tenant_id"  # noqa: S608
        f" AND x.endpoint_id = e.endpoint_id AND x.name = {bind(name)}{exact})"
    )


def _stands(how: str, release_id: str) -> str:
    """A release, as a placeholder, in one of the fields that say so."""
    found = [
        f"{SAID} -> '{field}' ? {release_id}" if field in LISTS else f"{SAID} ->> '{field}' = {release_id}"
        for field in STANDS[how]
    ]
    if how == "confirmed":
        own = f"{SAID} ->> 'launcher_release' = {release_id}"
        found.append(f"({own} AND {LAUNCHER_CONFIRMED.format(said=SAID)})")
    return " OR ".join(found)


def _like(text: str) -> str:
    """Text that LIKE takes literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
