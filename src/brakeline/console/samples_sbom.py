"""States of the pages of imported bills, for the twin and the specimens."""

# ruff: noqa: E501 - one line per sample reads better
from __future__ import annotations

from typing import Final

from brakeline.console.views import Badge, Fact, Link, Tone
from brakeline.console.views_sbom import AssetFindingRow, AssetRow, AssetsView, AssetView, ComponentRow, VexRow

ASSETS: Final = {
    "some": AssetsView(
        (
            AssetRow(Link("registry.example/web:1.4", "/assets/as_web"), "image", "1.4", 412, "2 h ago", "Alice"),
            AssetRow(Link("storage appliance", "/assets/as_box"), "appliance", "9.2", 1_204, "12 d ago", "CI"),
        ),
        (
            VexRow("web-vex.json", "Example GmbH", 14, "2 h ago", "Alice", "checked with the vendor",
                   Badge("●", "stands", Tone.OK)),
            VexRow("old.json", "Example GmbH", 3, "40 d ago", "Bob", "asked by mail",
                   Badge("–", "withdrawn by Alice", Tone.IDLE)),
        ),
    ),
    "none": AssetsView((), ()),
}  # fmt: skip
ASSET: Final = {
    "open and said": AssetView(
        "as_web", "registry.example/web:1.4", "image · 412 components · imported 2 h ago",
        (Fact("Kind", "image"), Fact("Version", "1.4"), Fact("Bill", "web.cdx.json, CycloneDX 1.6"),
         Fact("Made", "2026-11-20T10:00:00Z"), Fact("Imported", "2026-11-26T17:02:11Z by Alice"),
         Fact("SHA-256", "3f" * 32)),
        (
            AssetFindingRow(Link("CVE-2026-31337", "/vulnerabilities/CVE-2026-31337"), True, "openssl",
                            "3.0.15-1~deb12u1", "3.0.17-1~deb12u1", Badge("!", "fix exists", Tone.BAD)),
            AssetFindingRow(Link("CVE-2025-11477", "/vulnerabilities/CVE-2025-11477"), False, "jinja2", "3.1.2", "",
                            Badge("○", "no fix yet", Tone.WARN)),
            AssetFindingRow(Link("CVE-2026-2781", "/vulnerabilities/CVE-2026-2781"), False, "libxml2", "2.9.14", "2.9.15",
                            Badge("–", "not affected, says VEX", Tone.IDLE),
                            "not_affected: vulnerable_code_not_present – web-vex.json of Example GmbH, taken in by Alice"),
        ),
        "2 findings open, 1 with a VEX statement that says not affected",
        ("boot-firmware 1.0: its bill does not say which package it is",), "1 of 412 components",
        (ComponentRow("openssl", "3.0.15-1~deb12u1", "debian:12", ""),
         ComponentRow("jinja2", "3.1.2", "pypi", "/opt/app/lib/python3.11/site-packages")), "412",
        ("Debian: updates whose changelogs name a CVE.",),
    ),
    "nothing open": AssetView(
        "as_box", "storage appliance", "appliance · 2 components · imported 1 min ago", (Fact("Kind", "appliance"),), (),
        "0 findings open", ("nas-os 9.2: its bill does not say which package it is",), "2 of 2 components",
        (ComponentRow("nas-os", "9.2", "not known", ""),), "2",
    ),
}  # fmt: skip
