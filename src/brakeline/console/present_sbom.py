"""Assets and VEX files -> what their pages show. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from brakeline.console.present import ago, cve_link, full_time, plural
from brakeline.console.views import Badge, Fact, Link, Tone
from brakeline.console.views_sbom import AssetFindingRow, AssetRow, AssetsView, AssetView, ComponentRow, VexRow
from brakeline.sbom.model import Asset, Component, VexDocument
from brakeline.sbom.service import AssetDetail, AssetFinding

ROWS: Final = 500
AGAINST: Final = ("not_affected", "fixed")


def assets_view(assets: Sequence[Asset], documents: Sequence[VexDocument], now_ms: int) -> AssetsView:
    """The list, and the files that speak of vulnerabilities."""
    return AssetsView(
        tuple(AssetRow(Link(a.name, f"/assets/{a.asset_id}"), a.kind.value, a.version, a.components,
                       ago(a.imported_ms, now_ms), a.imported_by) for a in assets),
        tuple(vex_row(d, now_ms) for d in documents),
    )  # fmt: skip


def vex_row(d: VexDocument, now_ms: int) -> VexRow:
    """One file, with whoever answers for it."""
    state = Badge("–", f"withdrawn by {d.withdrawn_by}", Tone.IDLE) if d.withdrawn_ms else Badge("●", "stands", Tone.OK)
    return VexRow(d.file_name or d.sha256[:12], d.author or "says not who", d.statements, ago(d.taken_ms, now_ms),
                  d.taken_by, d.reason, state)  # fmt: skip


def asset_view(detail: AssetDetail, now_ms: int) -> AssetView:
    """Open findings first, then those that somebody speaks against."""
    a = detail.asset
    rows = sorted(detail.findings, key=_against)
    missing = len(detail.not_assessed)
    facts = (
        Fact("Kind", a.kind.value), Fact("Version", a.version or "the bill does not say"),
        Fact("Bill", f"{a.file_name or 'without a name'}, {a.format}"), Fact("Made", a.made or "the bill does not say"),
        Fact("Imported", f"{full_time(a.imported_ms)} by {a.imported_by}"), Fact("SHA-256", a.sha256),
    )  # fmt: skip
    note = f"{plural(detail.open, 'finding')} open"
    if detail.not_affected:
        note += f", {detail.not_affected:,} with a VEX statement that says not affected"
    if len(rows) > ROWS:
        note += f"; the first {ROWS} are shown"
    sub = f"{a.kind.value} · {plural(a.components, 'component')} · imported {ago(a.imported_ms, now_ms)}"
    return AssetView(
        a.asset_id, a.name, sub,
        facts, tuple(map(finding_row, rows[:ROWS])), note,
        tuple(dict.fromkeys(f"{m.package} {m.version}: {m.reason}" for m in detail.not_assessed[:ROWS])),
        f"{missing:,} of {len(detail.components):,} components",
        tuple(map(component_row, detail.components[:ROWS])),
        f"{len(detail.components):,}" + (f", the first {ROWS}" if len(detail.components) > ROWS else ""), detail.limits,
    )  # fmt: skip


def finding_row(row: AssetFinding) -> AssetFindingRow:
    """A finding stays in the list whatever a VEX file says of it; its badge tells which."""
    f = row.finding
    if _against(row):
        badge = Badge("–", "not affected, says VEX", Tone.IDLE)
    elif f.fixed:
        badge = Badge("!", "fix exists", Tone.BAD)
    else:
        badge = Badge("○", "no fix yet", Tone.WARN)
    said = ""
    if row.said is not None:
        why = row.said.justification or row.said.detail
        said = (
            f"{row.said.status.value}: {why} – {row.said.source}"
            if why
            else f"{row.said.status.value} – {row.said.source}"
        )
    return AssetFindingRow(cve_link(f.cve), f.kev, f.package, f.version, f.fixed, badge, said)


def component_row(c: Component) -> ComponentRow:
    return ComponentRow(c.name, c.version, c.ecosystem or "not known", c.where)


def _against(row: AssetFinding) -> bool:
    return row.said is not None and row.said.status.value in AGAINST
