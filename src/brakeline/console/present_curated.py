"""The curated catalogue -> what its pages show. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from brakeline.catalog.curated.model import Catalogue
from brakeline.catalog.model import CatalogueDetail, CatalogueRow
from brakeline.console.present import ago
from brakeline.console.views import Badge, Fact, Link, Tone
from brakeline.console.views_catalog import ScriptView
from brakeline.console.views_curated import CatalogueView, DraftRow, FileToFetch, ProductRow, ProductView


def catalogue_view(catalogue: Catalogue, rows: Sequence[CatalogueRow], query: str) -> CatalogueView:
    """What was searched for."""
    note = f"{len(rows)} of {len(catalogue.products)} products; edition {catalogue.edition}, {catalogue.origin}"
    return CatalogueView(query, note, tuple(map(product_row, rows)))


def product_row(r: CatalogueRow) -> ProductRow:
    return ProductRow(
        Link(r.title, f"/catalogue/{quote(r.name)}"), r.about, r.vendor, f"{r.platform}, {', '.join(r.architectures)}",
        proof_of(r.vouched_by), r.adopted or "–", own_link(r),
    )  # fmt: skip


def own_link(r: CatalogueRow) -> Link | None:
    return Link(r.taken_in, f"/own-packages/{quote(r.name)}") if r.taken_in else None


def proof_of(vouched_by: str) -> Badge:
    """How strong it is, at a glance."""
    if "OpenPGP" in vouched_by or "minisign" in vouched_by:
        return Badge("✓", "signed by its vendor", Tone.OK)
    words = "its publisher, on Windows" if "Authenticode" in vouched_by else "a hash alone"
    return Badge("!", words, Tone.WARN)


def product_view(d: CatalogueDetail, now_ms: int) -> ProductView:
    """One product, with every letter that it would run."""
    r = d.row
    facts = (
        Fact("Name", r.name), Fact("Vendor", r.vendor), Fact("What it is", r.about), Fact("Licence", r.licence),
        Fact("For", f"{r.platform}, {', '.join(r.architectures)}"), Fact("Homepage", d.homepage),
        Fact("Seen by", d.detection), Fact("Pinned", ", ".join(d.keys) or "nothing"), Fact("Note", d.note or "–"),
        Fact("Edition", f"{d.edition}, {d.origin}"),
    )  # fmt: skip
    files = tuple(FileToFetch(role, address) for role, address in d.files.items())
    words = " ".join(f"{f.role}=FILE" for f in files)
    command = (
        f"brakeline software catalogue adopt {r.name} {words} --architecture {r.architectures[0]} -o {r.name}.json"
    )
    drafts = tuple(
        DraftRow(a.version, a.architecture, a.vouched, ago(a.adopted_ms, now_ms), a.adopted_by) for a in d.adoptions
    )
    scripts = tuple(ScriptView(step, text.rstrip()) for step, text in d.scripts.items())
    return ProductView(
        r.name, r.title, f"{r.vendor} · {r.about}", proof_of(d.vouching), d.vouching, facts, files, command, scripts,
        drafts, own_link(r),
    )  # fmt: skip
