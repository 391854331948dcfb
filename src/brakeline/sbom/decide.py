"""From inventories to bills, and which statement speaks of which finding. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from brakeline.advisories.vendors.kb import Verdict
from brakeline.advisories.vendors.msrc import KB
from brakeline.exposure.answers import EndpointFindings
from brakeline.exposure.match import Book, assess
from brakeline.exposure.model import Finding, Installed, NotAssessed
from brakeline.fleet.model import EndpointDetail
from brakeline.protocol.messages import Package
from brakeline.sbom import recorded, systems
from brakeline.sbom.model import Bill, Component, Mention, Said, Statement, Status, VexDocument
from brakeline.sbom.purl import means, of_package

CONFIG_FILES_ONLY = ("n", "c")  # second letter of dpkg's state: no file of the package is there to run
UNKNOWN_ECOSYSTEM = "unknown"  # canonical, and no advisory's: a component without one is judged by nothing


def components_of(packages: Iterable[Package], release: str) -> tuple[Component, ...]:
    """What is installed, as a bill names it."""
    there = (p for p in packages if p.state[1:2] not in CONFIG_FILES_ONLY)
    return tuple(_component(p, release) for p in there)


def _component(p: Package, release: str) -> Component:
    return Component(
        p.name, p.version, p.ecosystem, of_package(p, release), p.source, p.source_version, p.module, p.architecture,
        p.owner, p.where, p.origin,
    )  # fmt: skip


def gaps_of(detail: EndpointDetail, findings: EndpointFindings | None) -> tuple[str, ...]:
    """What is not known of an endpoint: in the bill itself, so that it looks no more complete than it is."""
    gaps = []
    if not detail.summary.inventory_ms:
        gaps.append("no inventory has arrived")
    if findings is not None and findings.unknown_since_ms is not None:
        gaps.append("the endpoint has not been heard lately, so this may be old")
    if detail.software is None:
        gaps.append("its agent looks for nothing beside package managers")
    else:
        gaps += detail.software.gaps
        gaps += [f"and {detail.software.more_gaps} more places"] if detail.software.more_gaps else []
    return tuple(gaps)


def merged(bills: Sequence[Bill], subject: str, made_ms: int) -> Bill:
    """One bill of several endpoints: each component once, with how many have it; places are left out."""
    counted: dict[Component, int] = {}
    for bill in bills:
        for c in {replace(c, where="", owner="", origin="", endpoints=1) for c in bill.components}:
            counted[c] = counted.get(c, 0) + 1
    components = tuple(
        replace(c, endpoints=n)
        for c, n in sorted(counted.items(), key=lambda i: (i[0].ecosystem, i[0].name, i[0].version, i[0].purl))
    )
    gaps = (
        [f"{sum(bool(b.gaps) for b in bills)} of {len(bills)} endpoints have gaps of their own"]
        if any(b.gaps for b in bills)
        else []
    )
    return Bill(subject, "", made_ms, components, tuple(gaps), kind="platform")


def mentions_of(
    findings: EndpointFindings, components: Sequence[Component], stated: Sequence[tuple[Statement, VexDocument]]
) -> tuple[Mention, ...]:
    """What stands open as affected, what the vendor or a VEX file says is not."""
    urls: dict[tuple[str, str], list[str]] = {}
    by_name: dict[str, list[str]] = {}
    for c in components:
        if c.purl and not c.owner:
            urls.setdefault((c.name, c.version), []).append(c.purl)
            by_name.setdefault(c.name, []).append(c.purl)
    found: dict[tuple[str, str], Mention] = {}
    for d in findings.dismissed:
        if d.code == Status.NOT_AFFECTED:
            for url in by_name.get(d.package, ()):
                found[d.cve, url] = Mention(d.cve, url, Status.NOT_AFFECTED, "", d.reason)
    for f in (o.finding for o in findings.findings):
        for url in urls.get((f.package, f.version), ()):
            said = said_of(f.cve, url, stated)
            if said is not None:
                detail = " ".join(filter(None, (said.detail, f"({said.source})")))
                found[f.cve, url] = Mention(f.cve, url, said.status, said.justification, detail, f.fixed)
            else:
                found[f.cve, url] = Mention(f.cve, url, Status.AFFECTED, "", "", f.fixed)
    return tuple(found[key] for key in sorted(found))


def said_of(vulnerability: str, url: str, stated: Sequence[tuple[Statement, VexDocument]]) -> Said | None:
    """The newest statement that speaks of this component; None = nobody says anything of it."""
    for statement, document in stated:
        if statement.vulnerability == vulnerability and url and any(means(p, url) for p in statement.products):
            return Said(
                statement.status, statement.justification, statement.detail, source_text(document), document.sha256
            )
    return None


def source_text(document: VexDocument) -> str:
    """Where a statement comes from, and who answers for it here."""
    author = f" of {document.author}" if document.author else ""
    return f"{document.file_name or 'a file'}{author}, taken in by {document.taken_by}"


def is_update(c: Component) -> bool:
    """Whether it is an installed update of Windows: "KB5044281"."""
    return c.ecosystem == recorded.WINDOWS and KB.fullmatch(c.name) is not None and c.version == "installed"


def windows_of(components: Sequence[Component]) -> tuple[Component, tuple[str, ...]] | None:
    """The Windows that was recorded (product and build), and its updates; None = there is none."""
    found = next((c for c in components if c.ecosystem == systems.MICROSOFT), None)
    return (found, tuple(c.name for c in components if is_update(c))) if found else None


def windows_findings(system: Component, verdicts: Iterable[Verdict], kev: frozenset[str]) -> list[tuple[Finding, str]]:
    """What stands open for a Windows, as findings; the KBs that close each stand as its advisory."""
    found = [
        Finding(system.name, system.name, system.version, v.cve, v.fixed, "", "", system.version, system.version,
                kev=v.cve in kev, ecosystem=system.ecosystem, advisory=" ".join(v.kbs))
        for v in verdicts if v.open
    ]  # fmt: skip
    return sorted(((finding, "") for finding in found), key=lambda row: (not row[0].kev, row[0].cve))


def assessed(components: Sequence[Component], book: Book) -> tuple[list[tuple[Finding, str]], tuple[NotAssessed, ...]]:
    """Findings of an asset, each with the package URL of its component; and what could not be judged."""
    found: list[tuple[Finding, str]] = []
    missing: list[NotAssessed] = []
    for c in components:
        if c.ecosystem == systems.MICROSOFT or is_update(c):
            continue  # a Windows is judged by its build and its updates together: `windows_of`
        item = Installed(
            c.name, c.source or c.name, c.source_version or c.version, c.version,
            ecosystem=c.ecosystem or UNKNOWN_ECOSYSTEM, module=c.module,
        )  # fmt: skip
        if not c.ecosystem or not c.version:
            missing.append(NotAssessed(c.name, c.version, "no_order", "its bill does not say which package it is"))
            continue
        answer = assess((item,), book, c.ecosystem)
        found += [(finding, c.purl) for finding in answer.findings]
        missing += answer.not_assessed
    found.sort(key=lambda row: (not row[0].kev, row[0].package, row[0].cve))
    return found, tuple(missing)
