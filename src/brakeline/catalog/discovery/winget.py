"""winget manifests: the installer's YAML (or the merged one), read as texts and nothing more. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import yaml

from brakeline.catalog.discovery.model import BadListing, Found, Missing, checked

BYTES_MAX: Final = 1024 * 1024
INSTALLERS_MAX: Final = 500
SILENT: Final = {  # what makes each kind of installer ask nothing, where the manifest says nothing else
    "inno": "/SP- /VERYSILENT /SUPPRESSMSGBOXES /NORESTART", "nullsoft": "/S", "wix": "/quiet /norestart",
    "msi": "/quiet /norestart", "burn": "/quiet /norestart",
}  # fmt: skip


def read(data: bytes, name: str = "") -> Iterator[Found | Missing]:
    """Every installer of the manifest."""
    plain = manifest(data)
    called = str(plain.get("PackageIdentifier", ""))[:100]
    if not called:
        raise BadListing("the manifest has no PackageIdentifier")
    if name and called != name:
        return
    installers = plain.get("Installers")
    if not isinstance(installers, list) or not installers:
        yield Missing(called, "the manifest lists no installers: it is another part of it")
        return
    for installer in installers[:INSTALLERS_MAX]:
        own = installer if isinstance(installer, dict) else {}
        yield checked(
            called, plain.get("PackageVersion"), str(own.get("Architecture", "any"))[:20],
            own.get("InstallerUrl", plain.get("InstallerUrl")), own.get("InstallerSha256"),
        )  # fmt: skip


def manifest(data: bytes) -> dict[str, Any]:
    """The YAML as plain values. Raises `BadListing`."""
    if len(data) > BYTES_MAX:
        raise BadListing(f"a winget manifest has at most {BYTES_MAX} bytes")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(data, Loader=yaml.BaseLoader)):
            raise BadListing("the manifest uses an alias, which no winget manifest needs: it may be a large one inside")
        plain = yaml.load(data, yaml.BaseLoader)  # noqa: S506 - builds texts, lists and mappings, and nothing else
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        raise BadListing(f"it is no YAML: {str(e)[:120]}") from None
    if not isinstance(plain, dict):
        raise BadListing("it is no winget manifest: no mapping of keys")
    return plain


def silent(plain: dict[str, Any], installer: dict[str, Any]) -> str:
    """The words that make this installer ask nothing, "" = nobody knows any (made of recordings, not run)."""
    switches = installer.get("InstallerSwitches") or plain.get("InstallerSwitches") or {}
    said = switches.get("Silent") or switches.get("SilentWithProgress") if isinstance(switches, dict) else ""
    kind = str(installer.get("InstallerType") or plain.get("InstallerType") or "").lower()
    return str(said or SILENT.get(kind, ""))[:500]
