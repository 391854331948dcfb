"""Vulnerabilities and updates as files: CSV, JSON lines, CycloneDX VEX. Pure; the same rows as the lists show.

Invariants: what is accepted is in it, as accepted; what is not known is said as such ("in_triage"), never left out; a
cell that a spreadsheet would take for a formula is made text. The VEX document speaks of the fleet: *affected* is each
source package, wherever in the fleet it can run.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from brakeline.core.days import day_of
from brakeline.exposure.answers import Vulnerability
from brakeline.exposure.model import FindingState
from brakeline.exposure.updates_listing import UpdateGain

COLUMNS: Final = (
    "cve", "priority", "exploited", "epss", "cvss", "cvss_vector", "due", "overdue_days", "endpoints", "accepted",
    "accepted_until", "carriers", "sources", "fixed", *(s.value for s in FindingState), "reasons",
)  # fmt: skip
UPDATE_COLUMNS: Final = (
    "update", "to", "source", "suite", "security", "priority", "closes", "exploited", "overdue", "endpoints",
    "could_now", "closes_on_endpoints", "closes_held_back",
)  # fmt: skip
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
SPEC_VERSION: Final = "1.6"
FIXES: Final = (FindingState.FIXABLE, FindingState.BLOCKED, FindingState.REBOOT, FindingState.NOT_OFFERED)


class _Line:
    """What `csv` writes to: the last line."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def csv_lines(items: Iterable[Vulnerability]) -> Iterator[str]:
    """The head, then a line each (RFC 4180)."""
    return _lines(COLUMNS, map(_cells, items))


def update_lines(items: Iterable[UpdateGain]) -> Iterator[str]:
    """The same of updates."""
    return _lines(UPDATE_COLUMNS, map(_update_cells, items))


def _lines(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    line = _Line()
    writer = csv.writer(line)
    for row in itertools.chain((head,), rows):
        writer.writerow([_text(cell) for cell in row])
        yield line.text


def _update_cells(one: UpdateGain) -> tuple[Any, ...]:
    u = one.update
    return (
        u.name, u.candidate, u.source, u.suite, "yes" if u.security else "no", one.worst, one.closes, one.kev,
        one.overdue, u.endpoints, u.available, one.endpoints, one.held,
    )  # fmt: skip


def _cells(v: Vulnerability) -> tuple[Any, ...]:
    until = day_of(v.accepted_until_ms) if v.accepted_until_ms else ""
    fixed = "; ".join(f"{source} {version}" for source, version in sorted(v.fixed.items()) if version)
    return (
        v.cve, v.priority.level.value, "yes" if v.kev else "no", v.epss, v.cvss, v.cvss_vector, v.due, v.overdue_days,
        v.endpoints, v.accepted, until, v.carriers, " ".join(v.sources), fixed,
        *(v.states.get(s.value, 0) for s in FindingState), "; ".join(r.text for r in v.priority.reasons),
    )  # fmt: skip


def _text(cell: Any) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text


def json_lines(items: Iterable[Vulnerability | UpdateGain], plain: Any) -> Iterator[str]:
    """A document a line, as the API shows one; `plain` makes it plain."""
    for v in items:
        yield json.dumps(plain(v), separators=(",", ":"), ensure_ascii=False) + "\n"


def vex(items: Sequence[Vulnerability], limits: Sequence[str], now: str, version: str) -> dict[str, Any]:
    """One CycloneDX document. `now`: RFC 3339. The same content has the same serial number."""
    sources = sorted({source for v in items for source in v.sources})
    document: dict[str, Any] = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX", "specVersion": SPEC_VERSION, "version": 1,
        "metadata": {
            "timestamp": now,
            "tools": {"components": [{"type": "application", "name": "brakeline", "version": version}]},
            "component": {"type": "platform", "name": "fleet", "bom-ref": "fleet"},
            "properties": [{"name": "brakeline:not-known", "value": limit} for limit in limits],
        },
        "components": [{"type": "library", "name": source, "bom-ref": _ref(source)} for source in sources],
        "vulnerabilities": [_vulnerability(v) for v in items],
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(document["vulnerabilities"], sort_keys=True).encode()).digest()
    return {**document, "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}"}


def _ref(source: str) -> str:
    return f"source:{source}"


def _vulnerability(v: Vulnerability) -> dict[str, Any]:
    found: dict[str, Any] = {
        "bom-ref": v.cve, "id": v.cve, "analysis": _analysis(v),
        "affects": [{"ref": _ref(source)} for source in v.sources],
        "properties": [{"name": f"brakeline:{name}", "value": str(value)} for name, value in _facts(v) if value != ""],
    }  # fmt: skip
    if v.cvss is not None and v.cvss_vector:
        found["ratings"] = [{"score": v.cvss, "method": _method(v.cvss_vector), "vector": v.cvss_vector}]
    fixed = [f"{source} {version}" for source, version in sorted(v.fixed.items()) if version]
    if fixed:
        found["recommendation"] = f"update to {', '.join(fixed)}"
    return found


def _facts(v: Vulnerability) -> tuple[tuple[str, Any], ...]:
    return (
        ("priority", v.priority.level.value), ("exploited", "yes" if v.kev else ""), ("due", v.due),
        ("overdue-days", v.overdue_days or ""), ("endpoints", v.endpoints), ("carriers", v.carriers or ""),
        ("accepted-endpoints", v.accepted or ""),
        ("accepted-until", day_of(v.accepted_until_ms) if v.accepted_until_ms else ""),
    )  # fmt: skip


def _analysis(v: Vulnerability) -> dict[str, Any]:
    """State and response. Accepted is exploitable all the same: somebody decided to live with it."""
    if not v.endpoints:
        return {
            "state": "not_affected", "justification": "code_not_reachable",
            "detail": f"only carried by {v.carriers} endpoints: headers, documents, a kernel that does not run",
        }  # fmt: skip
    where = ", ".join(f"{v.states[s.value]} {s.value}" for s in FindingState if v.states.get(s.value))
    if v.accepted_whole:
        until = day_of(v.accepted_until_ms or 0)
        return {"state": "exploitable", "response": ["will_not_fix"], "detail": f"accepted until {until}; {where}"}
    if any(v.states.get(s.value) for s in FIXES):
        return {"state": "exploitable", "response": ["update"], "detail": where}
    if v.states.get(FindingState.UNKNOWN.value):
        return {"state": "in_triage", "detail": where}
    return {"state": "exploitable", "response": ["can_not_fix"], "detail": where}


def _method(vector: str) -> str:
    methods = {"CVSS:3.0": "CVSSv3", "CVSS:3.1": "CVSSv31", "CVSS:4.0": "CVSSv4"}
    return methods.get(vector.partition("/")[0], "CVSSv2")
