"""What an author says of vulnerabilities in a product: OpenVEX, CycloneDX and SPDX 3 in, OpenVEX out. Pure.

What makes a statement is checked in one place for all three (`statements`); SPDX 3's own shape is `spdx3_vex`'s.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from brakeline.sbom import spdx3_vex
from brakeline.sbom.cyclonedx import JUSTIFICATIONS, stamp
from brakeline.sbom.model import STATEMENTS_MAX, VEX_BYTES_MAX, BadBill, Mention, ReadVex, Statement, Status
from brakeline.sbom.reading import document
from brakeline.sbom.spdx3_graph import is_spdx3
from brakeline.sbom.statements import NAMES_MAX, statements
from brakeline.sbom.texts import text

CONTEXT: Final = "https://openvex.dev/ns/v0.2.0"
_STATES: Final = {
    "not_affected": Status.NOT_AFFECTED, "false_positive": Status.NOT_AFFECTED, "resolved": Status.FIXED,
    "resolved_with_pedigree": Status.FIXED, "exploitable": Status.AFFECTED, "in_triage": Status.INVESTIGATED,
}  # fmt: skip
_FROM_CYCLONEDX: Final = {
    "code_not_present": "vulnerable_code_not_present", "code_not_reachable": "vulnerable_code_not_in_execute_path",
    "protected_by_mitigating_control": "inline_mitigations_already_exist",
}  # fmt: skip


def read(data: bytes) -> ReadVex:
    """Raises `BadBill`, which says what is wrong."""
    said = document(data, VEX_BYTES_MAX)
    if str(said.get("@context", "")).startswith("https://openvex.dev/ns"):
        found = _openvex(said)
    elif said.get("bomFormat") == "CycloneDX":
        found = _cyclonedx(said)
    elif is_spdx3(said):
        found = spdx3_vex.read(said)
    else:
        raise BadBill("it is neither OpenVEX nor CycloneDX nor SPDX 3, by its first words")
    if not found.statements:
        raise BadBill("it says nothing of any product")
    if len(found.statements) > STATEMENTS_MAX:
        raise BadBill(f"it has more than {STATEMENTS_MAX} statements, each name of a vulnerability counted")
    return found


def _openvex(said: dict[str, Any]) -> ReadVex:
    made: list[Statement] = []
    for number, row in enumerate(_rows(said.get("statements"))):
        if len(made) > STATEMENTS_MAX:
            break  # refused by the caller
        products = [p for product in _rows(row.get("products")) for p in _products(product)]
        made += statements(
            number, _names(row), products, text(row.get("status")), text(row.get("justification")),
            text(row.get("impact_statement") or row.get("action_statement") or row.get("status_notes")),
        )  # fmt: skip
    return ReadVex("OpenVEX", text(said.get("author")), text(said.get("timestamp")), tuple(made))


def _products(product: dict[str, Any]) -> list[str]:
    """A product, or the parts of it that are meant."""
    parts = _rows(product.get("subcomponents"))
    if parts:
        return [p for part in parts for p in _products(part)]
    identifiers = product.get("identifiers")
    url = text(product.get("@id"), 1000)
    if not url.startswith("pkg:") and isinstance(identifiers, dict):
        url = text(identifiers.get("purl"), 1000)
    return [url] if url.startswith("pkg:") else []


def _names(row: dict[str, Any]) -> list[str]:
    """A vulnerability's name and its aliases: some authors give a number of their own, and the CVE as an alias."""
    named = row.get("vulnerability")
    if not isinstance(named, dict):
        return [text(named)]
    aliases = named.get("aliases")
    listed = aliases[:NAMES_MAX] if isinstance(aliases, list) else []
    return [text(named.get("name") or named.get("@id")), *(text(alias) for alias in listed)]


def _cyclonedx(said: dict[str, Any]) -> ReadVex:
    urls = {text(c.get("bom-ref"), 1000): text(c.get("purl"), 1000) for c in _rows(said.get("components"))}
    made: list[Statement] = []
    for number, row in enumerate(_rows(said.get("vulnerabilities"))):
        if len(made) > STATEMENTS_MAX:
            break
        analysis = row.get("analysis")
        state = text(analysis.get("state")) if isinstance(analysis, dict) else ""
        if not isinstance(analysis, dict) or not state:
            continue  # a vulnerability that nobody has judged
        refs = [text(a.get("ref"), 1000) for a in _rows(row.get("affects"))]
        products = [url for ref in refs if (url := urls.get(ref) or (ref if ref.startswith("pkg:") else ""))]
        status = _STATES.get(state)
        why = _FROM_CYCLONEDX.get(text(analysis.get("justification")), text(analysis.get("justification")))
        names = [text(row.get("id")), *(text(same.get("id")) for same in _rows(row.get("references"))[:NAMES_MAX])]
        made += statements(
            number, names, products, status.value if status else state, why, text(analysis.get("detail"))
        )
    metadata = said.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    authors = _rows(metadata.get("authors"))
    author = text(authors[0].get("name")) if authors else ""
    return ReadVex(f"CycloneDX {text(said.get('specVersion'))}", author, text(metadata.get("timestamp")), tuple(made))


def write(subject: str, mentions: tuple[Mention, ...], made_ms: int, made_by: str) -> dict[str, Any]:
    """OpenVEX of what is known of a subject; one statement for each vulnerability and standing."""
    grouped: dict[tuple[str, Status, str, str, str], list[str]] = {}
    for m in mentions:
        grouped.setdefault((m.vulnerability, m.status, m.justification, m.detail, m.fixed), []).append(m.purl)
    statements = [_written(key, urls) for key, urls in sorted(grouped.items())]
    digest = hashlib.sha256(repr((subject, statements, made_ms)).encode()).hexdigest()
    return {
        "@context": CONTEXT, "@id": f"urn:brakeline:vex:{digest}", "author": f"Brakeline {made_by}, for {subject}",
        "timestamp": stamp(made_ms), "version": 1, "statements": statements,
    }  # fmt: skip


def _written(key: tuple[str, Status, str, str, str], urls: list[str]) -> dict[str, Any]:
    vulnerability, status, justification, detail, fixed = key
    made: dict[str, Any] = {
        "vulnerability": {"name": vulnerability}, "status": status.value,
        "products": [{"@id": url} for url in sorted(set(urls))],
    }  # fmt: skip
    if status is Status.NOT_AFFECTED:
        if justification in JUSTIFICATIONS:
            made["justification"] = justification
        made["impact_statement"] = detail or justification or "its vendor says that it is not affected"
    elif status is Status.AFFECTED:
        made["action_statement"] = f"Update to {fixed}." if fixed else detail or "There is no fix yet."
    elif detail:
        made["status_notes"] = detail
    return made


def _rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
