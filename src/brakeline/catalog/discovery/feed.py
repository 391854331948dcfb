"""A vendor's own JSON, by paths that a person gives: `version=releases.0.version`. Pure.

A path is names and numbers with dots between them, and nothing else: no filters, no programs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from brakeline.catalog.discovery.model import BadListing, Found, Missing, checked

KEYS: Final = ("version", "url", "sha256", "bytes")
STEPS_MAX: Final = 12


def read(data: bytes, name: str, paths: Mapping[str, str]) -> Iterator[Found | Missing]:
    """The one product that the paths lead to."""
    if not name:
        raise BadListing("a feed does not say whose it is: give a name with --name")
    odd = sorted(set(paths) - set(KEYS))
    lacking = [key for key in ("version", "url", "sha256") if key not in paths]
    if odd or lacking:
        said = f"{odd[0]!r} is none of them" if odd else f"{lacking[0]} has no path"
        raise BadListing(f"paths are given for {', '.join(KEYS)}; {said}: --path version=releases.0.version")
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise BadListing(f"it is no JSON: {str(e)[:80]}") from None
    values = {key: at(plain, path) for key, path in paths.items()}
    for key in KEYS[:3]:
        if not isinstance(values[key], str):
            yield Missing(name, f"{paths[key]} leads to no text: {key} is not there any more")
            return
    size = values.get("bytes", 0)
    yield checked(
        name, values["version"].removeprefix("v"), "any", values["url"], values["sha256"],
        size if type(size) is int and size > 0 else 0,
    )  # fmt: skip


def version_in(data: bytes, path: str) -> str:
    """Nothing but the version that a path leads to. Raises `BadListing`."""
    try:
        found = at(json.loads(data), path)
    except (ValueError, RecursionError) as e:
        raise BadListing(f"it is no JSON: {str(e)[:80]}") from None
    if not isinstance(found, str):
        raise BadListing(f"{path} leads to no text: the version is not there any more")
    return found.removeprefix("v")


def at(plain: Any, path: str) -> Any:
    """What lies at a path, None = nothing."""
    steps = path.split(".")
    if len(steps) > STEPS_MAX or not all(steps):
        raise BadListing(f"{path[:60]!r} is no path of 1 to {STEPS_MAX} names or numbers with dots between them")
    for step in steps:
        if isinstance(plain, dict):
            plain = plain.get(step)
        elif isinstance(plain, list) and step.isdecimal() and int(step) < len(plain):
            plain = plain[int(step)]
        else:
            return None
    return plain
