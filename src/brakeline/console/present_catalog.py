"""Own packages -> what their pages show. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from brakeline.catalog.model import OwnPackage, OwnPackageDetail
from brakeline.console.present import ago, full_time, plural
from brakeline.console.views import Badge, Fact, Link, Tone
from brakeline.console.views_catalog import PackageRow, PackagesView, PackageView, ScriptView


def packages_view(entries: Sequence[OwnPackage], now_ms: int) -> PackagesView:
    """The list, by name."""
    return PackagesView(tuple(package_row(e, now_ms) for e in entries))


def package_row(e: OwnPackage, now_ms: int) -> PackageRow:
    link = Link(e.name, f"/own-packages/{quote(e.name)}?{urlencode({'version': e.full_version})}")
    return PackageRow(
        link, e.title, e.full_version, e.artifact or "script", e.platform, len(e.signed_by), state_of(e),
        ago(e.added_ms, now_ms), e.added_by,
    )  # fmt: skip


def state_of(e: OwnPackage) -> Badge:
    if e.withdrawn_ms:
        return Badge("–", "withdrawn", Tone.IDLE)
    if not e.has_payload:
        return Badge("!", "artifact is not here", Tone.WARN)
    return Badge("✓", "ready for content", Tone.OK)


def package_view(detail: OwnPackageDetail, now_ms: int) -> PackageView:
    """One version, with every letter that was signed."""
    e = detail.entry
    artifact = f"{e.artifact}, {e.artifact_bytes:,} bytes" if e.artifact else "none: it is a script"
    facts = (
        Fact("Version", e.version), Fact("Full version", e.full_version), Fact("Vendor", e.vendor or "not said"),
        Fact("For", e.platform), Fact("Artifact", artifact),
        Fact("Comes from", e.artifact_url or ("content" if e.artifact else "content, with its scripts")),
        Fact("SHA-256", e.artifact_sha256 or "none"),
        Fact("Way back", "the package before, or its uninstall script" if e.takes_back else "none, says its author"),
        Fact("Signed by", ", ".join(key[:12] + "…" for key in e.signed_by)),
        Fact("Added", f"{full_time(e.added_ms)} by {e.added_by}"),
    )  # fmt: skip
    deploy = None
    if e.complete:
        words = urlencode({"selection": "names", "names": e.update_name})
        deploy = Link(f"Plan a deployment of {e.update_name}", f"/rollouts/new?{words}")
    sub = f"{e.title} · {plural(len(e.signed_by), 'signature')} · added {ago(e.added_ms, now_ms)} by {e.added_by}"
    scripts = tuple(ScriptView(step, text.rstrip()) for step, text in detail.scripts.items())
    return PackageView(e.name, f"{e.name} {e.version}", sub, state_of(e), detail.standing, facts, scripts, deploy)
