"""What the pages of imported bills of materials show. Frozen words."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge, Fact, Link


@dataclass(frozen=True, slots=True)
class AssetRow:
    """One image or appliance."""

    link: Link
    kind: str
    version: str
    components: int
    imported: str
    by: str


@dataclass(frozen=True, slots=True)
class VexRow:
    """A VEX file that a person has taken in."""

    file: str
    author: str
    statements: int
    taken: str
    by: str
    reason: str
    state: Badge


@dataclass(frozen=True, slots=True)
class AssetsView:
    assets: tuple[AssetRow, ...]
    vex: tuple[VexRow, ...]


@dataclass(frozen=True, slots=True)
class AssetFindingRow:
    """`said`: what a VEX file says of it and where that comes from; "" = nobody says anything."""

    link: Link
    kev: bool
    package: str
    installed: str
    fixed: str
    state: Badge
    said: str = ""


@dataclass(frozen=True, slots=True)
class ComponentRow:
    name: str
    version: str
    ecosystem: str
    where: str


@dataclass(frozen=True, slots=True)
class AssetView:
    """One asset: what stands open, what is said against it, what could not be judged."""

    id: str
    name: str
    sub: str
    facts: tuple[Fact, ...]
    findings: tuple[AssetFindingRow, ...]
    findings_note: str
    not_assessed: tuple[str, ...]
    not_assessed_note: str
    components: tuple[ComponentRow, ...]
    components_note: str
    limits: tuple[str, ...] = ()
