"""Package URLs of what endpoints have, and whether a package URL of a statement means a component. Pure.

The other way, from a package URL to an ecosystem, is `advisories.osv.purl`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from brakeline.advisories.ecosystems import SYSTEMS, order_of
from brakeline.protocol.managers import is_found
from brakeline.protocol.messages import Package

_TYPES: Final = {
    "pypi": "pypi", "npm": "npm", "rubygems": "gem", "golang": "golang", "go": "golang", "crates.io": "cargo",
    "maven": "maven", "nuget": "nuget",
}  # fmt: skip
_APART: Final = {"maven": ":", "npm": "/", "golang": "/"}


def of_package(p: Package, release: str) -> str:
    """The package URL of an installed package on a system of `release` ("debian:12"); "" = there is no such type."""
    ecosystem = release if p.ecosystem in SYSTEMS else p.ecosystem
    vendor, _, version = ecosystem.partition(":")
    order = order_of(ecosystem)
    if order in SYSTEMS:
        return _of_system(p, order, vendor, version)
    kind = _TYPES.get(ecosystem)
    if kind is None:
        return ""
    name = p.name.replace("_", "-").replace(".", "-").lower() if kind == "pypi" else p.name
    space, _, last = name.rpartition(_APART.get(kind, "\n"))
    path = f"{quote(space, safe='/')}/{_part(last)}" if space else _part(last)
    return f"pkg:{kind}/{path}@{_part(p.version)}"


def _of_system(p: Package, order: str, vendor: str, version: str) -> str:
    said = {} if is_found(p.architecture) or not p.architecture else {"arch": p.architecture}
    if version:
        said["distro"] = f"{vendor}-{version}"
    kept = p.version
    if order == "rpm" and ":" in kept:
        said["epoch"], _, kept = kept.partition(":")
    if p.module:
        said["rpmmod"] = p.module
    if p.source and (p.source, p.source_version) != (p.name, p.version):
        said["upstream"] = f"{p.source}@{p.source_version}" if p.source_version else p.source
    query = "&".join(f"{key}={_part(value)}" for key, value in sorted(said.items()))
    return f"pkg:{order}/{_part(vendor)}/{_part(p.name)}@{_part(kept)}" + (f"?{query}" if query else "")


def means(product: str, component: str) -> bool:
    """Whether a statement about `product` speaks of `component`: the same package, and the version that it names.

    Qualifiers are compared where the statement has them: it may speak of one architecture only.
    """
    name, version, said = _parted(product)
    other, its, has = _parted(component)
    return name == other and version in ("", its) and all(has.get(key) == value for key, value in said.items())


def _parted(text: str) -> tuple[str, str, dict[str, str]]:
    rest, _, query = text.partition("#")[0].partition("?")
    at = rest.rfind("@")
    name, version = (rest[:at], rest[at + 1 :]) if at > rest.rfind("/") else (rest, "")
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return name.lower(), version, {key: value for key, _, value in pairs}


def _part(text: str) -> str:
    return quote(text, safe="")
