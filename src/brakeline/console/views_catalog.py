"""What the pages of own packages show. Frozen words."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge, Fact, Link


@dataclass(frozen=True, slots=True)
class PackageRow:
    """One version of one own package."""

    link: Link
    title: str
    version: str
    what: str  # its artifact, or that it is a script
    platform: str
    signatures: int
    state: Badge
    added: str
    by: str


@dataclass(frozen=True, slots=True)
class PackagesView:
    packages: tuple[PackageRow, ...]


@dataclass(frozen=True, slots=True)
class ScriptView:
    step: str
    text: str


@dataclass(frozen=True, slots=True)
class PackageView:
    """One version: what its authors have signed, every letter of it, and what stands between it and endpoints."""

    name: str
    title: str
    sub: str
    state: Badge
    standing: str
    facts: tuple[Fact, ...]
    scripts: tuple[ScriptView, ...]
    deploy: Link | None  # None = nothing to deploy
