"""Digests that both sides compute: of an inventory, a transaction, settings. Stable across versions of either side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from brakeline.protocol.messages import Action, Package, Settings


def inventory_digest(packages: Iterable[Package]) -> str:
    """Hex SHA-256 over one line a package, sorted; every field counts."""
    lines = sorted(
        "\t".join((p.ecosystem, p.name, p.architecture, p.version, p.source, p.source_version, p.state, p.origin))
        for p in packages
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def transaction_digest(actions: Iterable[Action]) -> str:
    """Hex SHA-256 over one line an action, sorted: equal digests mean exactly the same transaction."""
    lines = sorted("\t".join((a.kind.value, a.name, a.architecture, a.before, a.after)) for a in actions)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def settings_digest(settings: Settings) -> str:
    """12 hex that name what settings let an agent do; how often it checks in is the cell's affair and not in it."""
    line = f"{settings.mode.value}\t{settings.inventory_interval_s}\t{settings.refresh_interval_s}"
    return hashlib.sha256(line.encode()).hexdigest()[:12]


def package_key(name: str, architecture: str) -> str:
    """`name:architecture`, the key of a package within one endpoint."""
    return f"{name}:{architecture}"
