"""States of the pages of own packages, for the twin and the specimens."""

# ruff: noqa: E501 - one line per sample reads better
from __future__ import annotations

from typing import Final

from brakeline.console.views import Badge, Fact, Link, Tone
from brakeline.console.views_catalog import PackageRow, PackagesView, PackageView, ScriptView

READY, GONE = Badge("✓", "ready for content", Tone.OK), Badge("–", "withdrawn", Tone.IDLE)
WAITS = Badge("!", "artifact is not here", Tone.WARN)
PACKAGES: Final = {
    "some": PackagesView(
        (
            PackageRow(
                Link("payroll", "/own-packages/payroll"),
                "Payroll client",
                "2.1+3f2a9c04d1e5",
                "payroll-2.1.tar.gz",
                "linux",
                2,
                READY,
                "2 h ago",
                "Alice",
            ),
            PackageRow(
                Link("payroll", "/own-packages/payroll?version=2.0"),
                "Payroll client",
                "2.0+aa01be9c2d77",
                "payroll-2.0.tar.gz",
                "linux",
                2,
                GONE,
                "40 d ago",
                "Alice",
            ),
            PackageRow(
                Link("rotate-keys", "/own-packages/rotate-keys"),
                "Rotate the keys of the backup",
                "2026.11+77aa01be9c2d",
                "script",
                "linux",
                2,
                READY,
                "3 d ago",
                "CI",
            ),
            PackageRow(
                Link("vpn-client", "/own-packages/vpn-client"),
                "VPN client",
                "7.4+09c2d77aa01b",
                "vpn-7.4.run",
                "linux",
                1,
                WAITS,
                "1 min ago",
                "Bob",
            ),
        )
    ),
    "none": PackagesView(()),
}
PACKAGE: Final = {
    "ready": PackageView(
        "payroll", "payroll 2.1", "Payroll client · 2 signatures · added 2 h ago by Alice", READY,
        "Ready for the next content (brakeline software content FOLDER, brakeline release build). Endpoints that have that content take it by a deployment of payroll:own, if root there believes its authors (authors.json).",
        (Fact("Version", "2.1"), Fact("Full version", "2.1+3f2a9c04d1e5"), Fact("Vendor", "Example GmbH"), Fact("For", "linux"),
         Fact("Artifact", "payroll-2.1.tar.gz, 5,242,880 bytes"), Fact("Comes from", "content"), Fact("SHA-256", "3f" * 32),
         Fact("Way back", "the package before, or its uninstall script"), Fact("Signed by", "3b6a27bcceb6…, 8a88e3dd7409…"), Fact("Added", "2026-11-26T17:02:11Z by Alice")),
        (ScriptView("install", "set -e\nmkdir -p /opt/payroll\ntar -xzf \"$BRAKELINE_ARTIFACT\" -C /opt/payroll"),
         ScriptView("post", "systemctl restart payroll"), ScriptView("uninstall", "rm -rf /opt/payroll")),
        Link("Plan a deployment of payroll:own", "/rollouts/new?selection=names&names=payroll%3Aown"),
    ),
    "withdrawn": PackageView(
        "payroll", "payroll 2.0", "Payroll client · 2 signatures · added 40 d ago by Alice", GONE,
        "Withdrawn by Bob: it forgets the locale. No further content and no new deployment has it.",
        (Fact("Version", "2.0"), Fact("Way back", "none, says its author")), (ScriptView("install", "true"),), None,
    ),
}  # fmt: skip
