"""What the pages of the curated catalogue show. Frozen words."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge, Fact, Link
from brakeline.console.views_catalog import ScriptView


@dataclass(frozen=True, slots=True)
class ProductRow:
    """One product."""

    link: Link
    about: str
    vendor: str
    platform: str
    proof: Badge  # who vouches
    drafted: str  # the newest version that a draft was made of
    own: Link | None  # as an own package that was taken in


@dataclass(frozen=True, slots=True)
class CatalogueView:
    query: str
    note: str  # how many of how many, which edition
    products: tuple[ProductRow, ...]


@dataclass(frozen=True, slots=True)
class FileToFetch:
    role: str
    address: str


@dataclass(frozen=True, slots=True)
class DraftRow:
    version: str
    architecture: str
    vouched: str
    made: str
    by: str


@dataclass(frozen=True, slots=True)
class ProductView:
    """One product: what it takes to adopt it, and every letter that it would run."""

    name: str
    title: str
    sub: str
    proof: Badge
    vouching: str
    facts: tuple[Fact, ...]
    files: tuple[FileToFetch, ...]
    command: str
    scripts: tuple[ScriptView, ...]
    drafts: tuple[DraftRow, ...]
    own: Link | None
