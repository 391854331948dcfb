"""Digests that both sides compute: of an inventory, a transaction, settings. Stable across versions of either side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from brakeline.protocol.messages import Action, Package, Settings

SINCE_0_2 = ("windows", "restart", "conffiles", "restarts_a_day", "download_kib_s", "nice", "probes")
_DEFAULT = Settings()


def inventory_digest(packages: Iterable[Package]) -> str:
    """Hex SHA-256 over one line a package, sorted; every field counts that the first version of the protocol had.

    Later fields are left out, so that either side may be the older one: `where` is in the label that stands for the
    architecture of what was found, `owner` is told by an origin of its own, and `module` changes with the version.
    """
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
    """12 hex that name what settings let an agent do; how often it checks in is the cell's affair and not in it.

    Words that say no more than their default are left out: settings that older agents know keep their name.
    """
    line = f"{settings.mode.value}\t{settings.inventory_interval_s}\t{settings.refresh_interval_s}"
    for name in SINCE_0_2:
        value = getattr(settings, name)
        if value != getattr(_DEFAULT, name):
            line += f"\t{name}={';'.join(value) if isinstance(value, tuple) else value}"
    return hashlib.sha256(line.encode()).hexdigest()[:12]


def package_key(name: str, architecture: str) -> str:
    """`name:architecture`, the key of a package within one endpoint."""
    return f"{name}:{architecture}"
