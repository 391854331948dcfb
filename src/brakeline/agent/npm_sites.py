"""Where npm keeps global packages on this endpoint: directory reads alone, cheap enough for the resident agent.

`npm` is the folder below /usr/local, `npm-usr` the one below /usr, where some distributions let npm put them too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PREFIXES = (("npm", "usr/local"), ("npm-usr", "usr"))
PACKAGES_MAX = 500


def npm_folders(root: Path) -> Iterator[tuple[str, str]]:
    """(label, prefix) of each global folder that has packages in it."""
    for label, prefix in PREFIXES:
        if next(names(root / prefix / "lib/node_modules"), None) is not None:
            yield label, f"/{prefix}"


def npm_places(root: Path) -> Iterator[str]:
    """Directories whose time of writing changes whenever a global package comes, goes or is replaced."""
    for _, prefix in npm_folders(root):
        modules = f"{prefix}/lib/node_modules"
        yield modules
        for name in names(root / modules.lstrip("/")):
            yield f"{modules}/{name}"
            if name.startswith("@"):
                yield f"{modules}/{name.partition('/')[0]}"


def names(modules: Path) -> Iterator[str]:
    """Names of the packages of a folder of npm's, scoped ones (`@angular/cli`) as such."""
    count = 0
    for entry in _listed(modules):
        inside = [f"{entry}/{n}" for n in _listed(modules / entry)] if entry.startswith("@") else [entry]
        for name in inside:
            count += 1
            if count > PACKAGES_MAX:
                return
            yield name


def _listed(directory: Path) -> list[str]:
    try:
        return sorted(n for n in os.listdir(directory) if not n.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
