"""States of the pages of the curated catalogue, for the twin and the specimens."""

# ruff: noqa: E501 - one line per sample reads better
from __future__ import annotations

from typing import Final

from brakeline.console.views import Badge, Fact, Link, Tone
from brakeline.console.views_catalog import ScriptView
from brakeline.console.views_curated import CatalogueView, DraftRow, FileToFetch, ProductRow, ProductView

SIGNED, SAID = Badge("✓", "signed by its vendor", Tone.OK), Badge("!", "a hash alone", Tone.WARN)
CATALOGUES: Final = {
    "some": CatalogueView("", "3 of 63 products; edition 2026.11.27, came with this server", (
        ProductRow(Link("Grafana", "/catalogue/grafana"), "Dashboards over measurements", "Grafana Labs", "linux, amd64, arm64", SIGNED, "12.3.0", Link("12.2.0", "/own-packages/grafana")),
        ProductRow(Link("Zig", "/catalogue/zig"), "A programming language and its tools", "Zig Software Foundation", "linux, amd64, arm64", SIGNED, "–", None),
        ProductRow(Link("Krita", "/catalogue/krita"), "Paints pictures", "Krita Foundation", "windows, x64", SAID, "–", None),
    )),
    "nothing found": CatalogueView("solitaire", "0 of 63 products; edition 2026.11.27, content 1.6.0-3f2a9c04d1e5", ()),
}  # fmt: skip
PRODUCTS: Final = {
    "signed": ProductView(
        "grafana", "Grafana", "Grafana Labs · Dashboards over measurements", SIGNED, "OpenPGP over the vendor's own index; from there by SHA-256",
        (Fact("Name", "grafana"), Fact("Vendor", "Grafana Labs"), Fact("Licence", "AGPL-3.0-only"), Fact("For", "linux, amd64, arm64"),
         Fact("Seen by", "dpkg's record of grafana"), Fact("Pinned", "B53AE77BADB630A683046005963FA27710458545"), Fact("Edition", "2026.11.27, came with this server")),
        (FileToFetch("listing", "https://apt.grafana.com/dists/stable/main/binary-amd64/Packages"), FileToFetch("index", "https://apt.grafana.com/dists/stable/InRelease"),
         FileToFetch("key", "https://apt.grafana.com/gpg.key")),
        "brakeline software catalogue adopt grafana listing=FILE index=FILE key=FILE --architecture amd64 -o grafana.json",
        (ScriptView("install", "set -e\napt-get -y install \"$BRAKELINE_ARTIFACT\""), ScriptView("uninstall", "apt-get -y remove grafana")),
        (DraftRow("12.3.0", "amd64", "The vendor's signed index names it (key B53AE77BADB630A683046005963FA27710458545).", "2 h ago", "Alice"),),
        Link("12.2.0", "/own-packages/grafana"),
    ),
    "a hash alone": ProductView(
        "krita", "Krita", "Krita Foundation · Paints pictures", SAID, "a published hash alone",
        (Fact("Name", "krita"), Fact("For", "windows, x64"), Fact("Pinned", "nothing"), Fact("Note", "Nothing of it was run on the real system.")),
        (FileToFetch("listing", "https://raw.githubusercontent.com/ScoopInstaller/Extras/master/bucket/krita.json"),),
        "brakeline software catalogue adopt krita listing=FILE --architecture x64 -o krita.json", (ScriptView("install", '"%BRAKELINE_ARTIFACT%" /S'),), (), None,
    ),
}  # fmt: skip
