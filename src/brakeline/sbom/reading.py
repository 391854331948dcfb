"""A bill from elsewhere: CycloneDX or SPDX (2 and 3), JSON, as its bytes -> components. Pure.

Whoever wrote it is not trusted: sizes and counts are bounded, texts are cut and cleaned, and what cannot be assessed
(no package URL, a type that no advisory speaks of) is kept as a component and told as left out, with the reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from brakeline.advisories.osv import purl as purls
from brakeline.sbom import recorded, spdx3
from brakeline.sbom.model import BILL_BYTES_MAX, COMPONENTS_MAX, LEFT_OUT_SHOWN, BadBill, Component, ReadBill
from brakeline.sbom.spdx3_graph import is_spdx3
from brakeline.sbom.texts import text

NESTED_MAX: Final = 20  # components within components
_NO_ECOSYSTEM: Final = "no package URL says which ecosystem it is of"


def document(data: bytes, most: int = BILL_BYTES_MAX) -> dict[str, Any]:
    """The JSON object of a file. Raises `BadBill`."""
    if len(data) > most:
        raise BadBill(f"it has more than {most // (1024 * 1024)} MiB", got=len(data))
    try:
        found = json.loads(data)
    except UnicodeDecodeError:
        raise BadBill("it is no UTF-8 text") from None
    except RecursionError:
        raise BadBill("it is nested deeper than any bill") from None
    except ValueError as e:
        raise BadBill(f"it is no JSON: {str(e)[:80]}") from None
    if not isinstance(found, dict):
        raise BadBill("it is JSON, but no object")
    return found


def read(data: bytes) -> ReadBill:
    """Raises `BadBill`, which says what is wrong."""
    said = document(data)
    if said.get("bomFormat") == "CycloneDX":
        return _cyclonedx(said)
    if str(said.get("spdxVersion", "")).startswith("SPDX-2."):
        return _spdx(said)
    if is_spdx3(said):
        return _spdx3(said)
    if recorded.is_recorded(said):
        return _recorded(said)
    raise BadBill("it is neither CycloneDX nor SPDX 2 or 3, by its first words")


def _recorded(said: dict[str, Any]) -> ReadBill:
    form, system, rows = recorded.rows(said)
    components = [
        Component(text(name), text(version), ecosystem, where=text(where))
        for name, version, ecosystem, where in rows
        if name
    ]
    if not components or len(components) > COMPONENTS_MAX:
        raise BadBill(f"it names no program, or more than {COMPONENTS_MAX}")
    judged, why = recorded.system(said)
    if judged is not None:
        components.insert(0, Component(judged.product, judged.version, judged.ecosystem))
    return ReadBill(form, "", text(system), "", "", tuple(dict.fromkeys(components)), (why,))


def _cyclonedx(said: dict[str, Any]) -> ReadBill:
    metadata = _object(said.get("metadata"))
    subject = _object(metadata.get("component"))
    rows = list(_nested(said.get("components"), 0))
    return _made(
        f"CycloneDX {text(said.get('specVersion'))}", text(subject.get("name")), text(subject.get("version")),
        text(said.get("serialNumber")), text(metadata.get("timestamp")),
        ((text(r.get("name")), text(r.get("version")), text(r.get("purl"), 1000), _where(r)) for r in rows), len(rows),
    )  # fmt: skip


def _nested(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    if depth > NESTED_MAX:
        raise BadBill(f"components are nested deeper than {NESTED_MAX}")
    for row in _rows(value):
        yield row
        yield from _nested(row.get("components"), depth + 1)


def _where(row: dict[str, Any]) -> str:
    places = _rows(_object(row.get("evidence")).get("occurrences"))
    return text(places[0].get("location")) if places else ""


def _spdx(said: dict[str, Any]) -> ReadBill:
    listed = said.get("documentDescribes")
    described = {i for i in listed if isinstance(i, str)} if isinstance(listed, list) else set()
    for relation in _rows(said.get("relationships")):
        if relation.get("relationshipType") == "DESCRIBES":
            described.add(str(relation.get("relatedSpdxElement")))
    rows = _rows(said.get("packages"))
    subject = next((r for r in rows if str(r.get("SPDXID")) in described), {})
    parts = [r for r in rows if str(r.get("SPDXID")) not in described or len(rows) == 1]
    return _made(
        text(said.get("spdxVersion")).replace("-", " ", 1), text(subject.get("name") or said.get("name")),
        text(subject.get("versionInfo")), text(said.get("documentNamespace")),
        text(_object(said.get("creationInfo")).get("created")),
        ((text(r.get("name")), text(r.get("versionInfo")), _purl_of(r), "") for r in parts), len(parts),
    )  # fmt: skip


def _spdx3(said: dict[str, Any]) -> ReadBill:
    found = spdx3.read(said)
    return _made(
        f"SPDX {text(found.version)}", text(found.subject), text(found.subject_version), text(found.serial),
        text(found.made), ((text(name), text(its), text(url, 1000), "") for name, its, url in found.parts),
        len(found.parts),
    )  # fmt: skip


def _purl_of(row: dict[str, Any]) -> str:
    found = (r.get("referenceLocator") for r in _rows(row.get("externalRefs")) if r.get("referenceType") == "purl")
    return text(next(found, ""), 1000)


def _made(
    form: str, subject: str, version: str, serial: str, made: str, rows: Iterator[tuple[str, str, str, str]], count: int
) -> ReadBill:
    if count > COMPONENTS_MAX:
        raise BadBill(f"it has more than {COMPONENTS_MAX} components", got=count)
    components, reasons = [], []
    for name, its, url, where in rows:
        if not name:
            reasons.append("a component without a name")
            continue
        component, why = _component(name, its, url, where)
        components.append(component)
        if why:
            reasons.append(f"{name} {its}: {why}".replace(" :", ":"))
    if not components:
        raise BadBill("it names no component")
    unique = tuple(dict.fromkeys(components))
    told = [f"{why} ({n} times)" if n > 1 else why for why, n in Counter(reasons).items()]
    return ReadBill(
        form, subject, version, serial, made, unique, tuple(told[:LEFT_OUT_SHOWN]), max(0, len(told) - LEFT_OUT_SHOWN)
    )


def _component(name: str, version: str, url: str, where: str) -> tuple[Component, str]:
    """The component, and why it cannot be assessed ("" = it can)."""
    if not url:
        return Component(name, version, "", where=where), _NO_ECOSYSTEM
    try:
        found = purls.package(url)
    except ValueError as e:
        return Component(name, version, "", url, where=where), str(e)
    if not (found.version or version):
        return Component(name, "", "", url, where=where), "it has no version"
    source, at = _upstream(url)
    kept = found.version or version
    made = Component(
        found.name, kept, found.ecosystem, url, source, at or (kept if source else ""), found.module, where=where
    )  # fmt: skip
    return made, ""


def _upstream(url: str) -> tuple[str, str]:
    """Name and version of the source package, which distributions' advisories speak of."""
    pairs = (pair.partition("=") for pair in url.partition("?")[2].partition("#")[0].split("&"))
    said = {key: text(unquote(value)) for key, _, value in pairs}
    name, _, version = said.get("upstream", "").partition("@")
    return name, version


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
