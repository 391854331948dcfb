"""What VEX says, in SPDX 3's profile *security*: written beside a bill or alone, and read from others. Pure.

A vulnerability is an element, and so is each assessment: a relationship from it to the packages that it is about.
Invariants: an assessment that another one amends, or that was withdrawn, says nothing any more; of several on one thing
the newest is first, and of those of one time the more cautious; amendments in a circle refuse the file, because nobody
could say which of them stands.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from brakeline.sbom import spdx3_graph as spdx
from brakeline.sbom.cyclonedx import stamp
from brakeline.sbom.model import STATEMENTS_MAX, BadBill, Mention, ReadVex, Statement, Status
from brakeline.sbom.statements import PRODUCTS_MAX, statements
from brakeline.sbom.texts import text

KIND: Final = re.compile(r"(?:security_)?Vex(NotAffected|Affected|Fixed|UnderInvestigation)VulnAssessmentRelationship")
STATES: Final[Mapping[str, Status]] = MappingProxyType({
    "Affected": Status.AFFECTED, "UnderInvestigation": Status.INVESTIGATED, "Fixed": Status.FIXED,
    "NotAffected": Status.NOT_AFFECTED,
})  # fmt: skip  # the more cautious first
SAYS: Final[Mapping[Status, tuple[str, str]]] = MappingProxyType({
    Status.AFFECTED: ("Affected", "affects"), Status.INVESTIGATED: ("UnderInvestigation", "underInvestigationFor"),
    Status.FIXED: ("Fixed", "fixedIn"), Status.NOT_AFFECTED: ("NotAffected", "doesNotAffect"),
})  # fmt: skip
JUSTIFICATIONS: Final[Mapping[str, str]] = MappingProxyType({  # OpenVEX -> SPDX 3
    "component_not_present": "componentNotPresent", "vulnerable_code_not_present": "vulnerableCodeNotPresent",
    "vulnerable_code_not_in_execute_path": "vulnerableCodeNotInExecutePath",
    "vulnerable_code_cannot_be_controlled_by_adversary": "vulnerableCodeCannotBeControlledByAdversary",
    "inline_mitigations_already_exist": "inlineMitigationsAlreadyExist",
})  # fmt: skip
_FROM: Final = {theirs: ours for ours, theirs in JUSTIFICATIONS.items()}
CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{1,19}")


def elements(mentions: Iterable[Mention], packages: Mapping[str, list[str]], space: str) -> list[dict[str, Any]]:
    """Vulnerabilities and what is said of each. `packages`: package URL -> the ids of the elements that have it."""
    ids: dict[str, dict[str, Any]] = {}
    grouped: dict[tuple[str, Status, str, str, str], list[str]] = {}
    for m in mentions:
        if to := packages.get(m.purl):
            ids.setdefault(m.vulnerability, _vulnerability(m.vulnerability, f"{space}vulnerability-{len(ids) + 1}"))
            key = (m.vulnerability, m.status, m.justification, m.detail, m.fixed)
            grouped.setdefault(key, []).extend(to)
    said = [
        _assessment(key, ids[key[0]]["spdxId"], sorted(set(to)), f"{space}assessment-{number}")
        for number, (key, to) in enumerate(sorted(grouped.items()), 1)
    ]
    return [*ids.values(), *said]


def write(subject: str, mentions: tuple[Mention, ...], made_ms: int, made_by: str) -> dict[str, Any]:
    """A document of what is known of a subject and nothing else; the same mentions give the same bytes."""
    digest = hashlib.sha256(repr((subject, mentions, made_ms, made_by)).encode()).hexdigest()
    space = f"urn:brakeline:vex:{digest}#"
    urls = {m.purl: f"{space}package-{number}" for number, m in enumerate(mentions, 1) if m.purl}
    packages = [
        spdx.element("software_Package", id_, name=url.partition("@")[0].rpartition("/")[2], software_packageUrl=url)
        for url, id_ in urls.items()
    ]
    said = elements(mentions, {url: [id_] for url, id_ in urls.items()}, space)
    everything = [one["spdxId"] for one in (*packages, *said)]
    whole = spdx.element("Bom", f"{space}vex", element=everything, rootElement=[p["spdxId"] for p in packages],
                          profileConformance=spdx.SECURITY)  # fmt: skip
    document = spdx.element("SpdxDocument", f"{space}document", name=f"What is known of {subject}",
                             rootElement=[whole["spdxId"]], profileConformance=spdx.SECURITY)  # fmt: skip
    return {"@context": spdx.CONTEXT,
            "@graph": [*spdx.creation(space, stamp(made_ms), made_by), document, whole, *packages, *said]}  # fmt: skip


def _vulnerability(name: str, id_: str) -> dict[str, Any]:
    kind = "cve" if CVE.fullmatch(name) else "securityOther"
    one = {"type": "ExternalIdentifier", "externalIdentifierType": kind, "identifier": name}
    return spdx.element("security_Vulnerability", id_, name=name, externalIdentifier=[one])


def _assessment(key: tuple[str, Status, str, str, str], from_: str, to: list[str], id_: str) -> dict[str, Any]:
    _, status, justification, detail, fixed = key
    kind, relationship = SAYS[status]
    made = spdx.element(
        f"security_Vex{kind}VulnAssessmentRelationship", id_, to=to, relationshipType=relationship
    ) | {"from": from_}  # fmt: skip
    if status is Status.NOT_AFFECTED:
        if justification in JUSTIFICATIONS:
            made["security_justificationType"] = JUSTIFICATIONS[justification]
        made["security_impactStatement"] = detail or justification or "its vendor says that it is not affected"
    elif status is Status.AFFECTED:
        made["security_actionStatement"] = f"Update to {fixed}." if fixed else detail or "There is no fix yet."
    elif detail:
        made["security_statusNotes"] = detail
    return made


def read(said: dict[str, Any]) -> ReadVex:
    """Raises `BadBill`."""
    graph = spdx.graph_of(said)
    found = [(one, STATES[kind[1]]) for one in graph.elements if (kind := KIND.fullmatch(str(spdx.kind_of(one))[:200]))]
    amended = _amended(graph, {str(one.get("spdxId")) for one, _ in found})
    found = [
        (one, status) for one, status in found
        if str(one.get("spdxId")) not in amended and one.get("security_withdrawnTime") is None
    ]  # fmt: skip
    cautious, named = list(STATES.values()), dict[str, list[str]]()
    urls = {id_: text(spdx.purl_of(one), 1000) for id_, one in graph.by_id.items()}  # once: many may point at one
    found.sort(key=lambda pair: cautious.index(pair[1]))
    found.sort(key=lambda pair: _time(graph, pair[0]), reverse=True)  # stable: the newest first
    made: list[Statement] = []
    for number, (one, status) in enumerate(found):
        if len(made) > STATEMENTS_MAX:
            break
        about = str(one.get("from"))
        if about not in named:
            named[about] = _names(graph.by_id.get(about, {}))
        made += statements(number, named[about], _products(urls, one), status.value, _why(one), _detail(one))
    created = graph.creation(graph.document)
    return ReadVex(f"SPDX {graph.version}", _author(graph, created), text(created.get("created")), tuple(made))


def _amended(graph: spdx.Graph, assessments: set[str]) -> set[str]:
    """Assessments that another one takes the place of."""
    earlier: dict[str, list[str]] = {}
    amended = set[str]()
    for one in graph.elements:
        from_ = one.get("from")
        if one.get("relationshipType") != "amendedBy" or not isinstance(from_, str) or from_ not in assessments:
            continue
        for to in spdx.listed(one.get("to")):
            if isinstance(to, str) and to in assessments:
                earlier.setdefault(to, []).append(from_)
                amended.add(from_)
    left, reached = list(assessments - amended), set[str]()  # from what stands, back to what it took the place of
    while left:
        for before in earlier.pop(left.pop(), ()):
            reached.add(before)
            left.append(before)
    if reached != amended:
        raise BadBill("its assessments amend each other in a circle, so none of them stands")
    return amended


def _names(about: dict[str, Any]) -> list[str]:
    """What a vulnerability is called: its CVEs, and else its name."""
    listed = [each for each in spdx.listed(about.get("externalIdentifier")) if isinstance(each, dict)]
    cves = [text(each.get("identifier")) for each in listed if each.get("externalIdentifierType") == "cve"]
    return list(dict.fromkeys(filter(None, cves))) or [text(about.get("name"))]


def _products(urls: Mapping[str, str], one: dict[str, Any]) -> list[str]:
    ids = [each for each in spdx.listed(one.get("to")) if isinstance(each, str)][: PRODUCTS_MAX + 1]
    assessed = one.get("security_assessedElement")  # a part of the products: then that is meant, here or elsewhere
    ids = [assessed] if isinstance(assessed, str) else ids
    return [url for id_ in ids if (url := urls.get(id_, "")).startswith("pkg:")]


def _why(one: dict[str, Any]) -> str:
    said = text(one.get("security_justificationType"))
    return _FROM.get(said.rpartition("/")[2], said)


def _detail(one: dict[str, Any]) -> str:
    keys = ("security_impactStatement", "security_actionStatement", "security_statusNotes")
    return next((said for key in keys if (said := text(one.get(key)))), "")


def _time(graph: spdx.Graph, one: dict[str, Any]) -> str:
    keys = ("security_modifiedTime", "security_publishedTime")
    return next((said for key in keys if (said := text(one.get(key)))), text(graph.creation(one).get("created")))


def _author(graph: spdx.Graph, creation: dict[str, Any]) -> str:
    names = (text(graph.by_id.get(str(id_), {}).get("name")) for id_ in spdx.listed(creation.get("createdBy")))
    return next(filter(None, names), "")
