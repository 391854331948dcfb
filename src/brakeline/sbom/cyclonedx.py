"""A bill as CycloneDX 1.6, JSON. Pure; the same bill gives the same bytes.

Written by hand, and read back by the CycloneDX library in the tests: the library needs seconds to write the bill of a
group, this needs milliseconds (ADR 0053).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from brakeline.sbom.model import Bill, Component, Mention, Status

_STATE: Final = {Status.NOT_AFFECTED: "not_affected", Status.AFFECTED: "in_triage", Status.FIXED: "resolved",
                 Status.INVESTIGATED: "in_triage"}  # fmt: skip
JUSTIFICATIONS: Final = {  # OpenVEX -> CycloneDX
    "component_not_present": "code_not_present", "vulnerable_code_not_present": "code_not_present",
    "vulnerable_code_not_in_execute_path": "code_not_reachable",
    "vulnerable_code_cannot_be_controlled_by_adversary": "protected_by_mitigating_control",
    "inline_mitigations_already_exist": "protected_by_mitigating_control",
}  # fmt: skip


def write(bill: Bill, made_by: str) -> dict[str, Any]:
    """The document. `made_by`: the version of Brakeline."""
    refs = references(bill.components)
    components = [_component(c, ref) for c, ref in zip(bill.components, refs, strict=True)]
    subject = {"type": bill.kind, "bom-ref": "subject", "name": bill.subject, "version": bill.version}
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {
            "timestamp": stamp(bill.made_ms),
            "tools": {"components": [{"type": "application", "name": "brakeline", "version": made_by}]},
            "component": subject,
            "properties": [{"name": "brakeline:not-known", "value": gap} for gap in bill.gaps],
        },
        "components": components,
        "dependencies": [{"ref": "subject", "dependsOn": sorted(refs)}],
        "compositions": [{"aggregate": "incomplete" if bill.gaps else "unknown", "assemblies": ["subject"]}],
    }  # fmt: skip
    if bill.mentions:
        by_purl: dict[str, list[str]] = {}
        for component, ref in zip(bill.components, refs, strict=True):
            by_purl.setdefault(component.purl, []).append(ref)
        document["vulnerabilities"] = [_mention(m, by_purl.get(m.purl, ["subject"])) for m in bill.mentions]
    return {"serialNumber": f"urn:uuid:{_uuid(repr((bill, made_by)))}", **document}


def references(components: tuple[Component, ...]) -> list[str]:
    """A name for each component, unique within the bill."""
    seen: dict[str, int] = {}
    refs = []
    for c in components:
        name = c.purl or f"{c.ecosystem}/{c.name}@{c.version}"
        number = seen[name] = seen.get(name, 0) + 1
        refs.append(name if number == 1 else f"{name}#{number}")
    return refs


def _component(c: Component, ref: str) -> dict[str, Any]:
    said = (("ecosystem", c.ecosystem), ("owner", c.owner), ("module", c.module), ("source", c.source),
            ("source-version", c.source_version), ("origin", c.origin),
            ("endpoints", str(c.endpoints) if c.endpoints > 1 else ""))  # fmt: skip
    made: dict[str, Any] = {"type": "library", "bom-ref": ref, "name": c.name, "version": c.version}
    if c.purl:
        made["purl"] = c.purl
    properties = [{"name": f"brakeline:{key}", "value": value} for key, value in said if value]
    if properties:
        made["properties"] = properties
    if c.where:
        made["evidence"] = {"occurrences": [{"location": c.where}]}
    return made


def _mention(m: Mention, refs: list[str]) -> dict[str, Any]:
    analysis: dict[str, Any] = {"state": _STATE[m.status]}
    if m.status is Status.NOT_AFFECTED:
        analysis["justification"] = JUSTIFICATIONS.get(m.justification, "code_not_present")
    if m.detail:
        analysis["detail"] = m.detail
    made: dict[str, Any] = {"id": m.vulnerability, "affects": [{"ref": ref} for ref in refs], "analysis": analysis}
    if m.fixed:
        made["recommendation"] = f"Update to {m.fixed}."
    return made


def stamp(ms: int) -> str:
    """RFC 3339, from Unix milliseconds and nothing else: a pure module reads no calendar of the system."""
    days, rest = divmod(ms // 1000, 86_400)
    era, day = divmod(days + 719_468, 146_097)  # days from 1 March of the year 0, in spans of 400 years
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    of_year = day - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    date = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return (
        f"{year + era * 400 + (month <= 2):04}-{month:02}-{date:02}"
        f"T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"
    )


def _uuid(text: str) -> str:
    """A name that follows from the content (version 8 of RFC 9562)."""
    h = hashlib.sha256(text.encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-8{h[13:16]}-a{h[17:20]}-{h[20:32]}"
