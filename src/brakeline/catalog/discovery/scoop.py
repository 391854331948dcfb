"""Scoop manifests: one JSON object, or one a line with its `name`. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from brakeline.catalog.discovery.model import ITEMS_MAX, BadListing, Found, Missing, checked

ARCHITECTURES: Final = {"64bit": "x64", "32bit": "x86", "arm64": "arm64"}


def read(data: bytes, name: str = "") -> Iterator[Found | Missing]:
    """Every manifest in it, or that of one name."""
    for manifest in _manifests(data):
        called = manifest.get("name", name)
        if not isinstance(called, str) or not called:
            raise BadListing("a Scoop manifest does not say its name: give it with --name")
        if not name or called == name:
            yield from _of(called[:100], manifest)


def _manifests(data: bytes) -> Iterator[dict[str, Any]]:
    try:
        whole = json.loads(data)
    except ValueError:
        whole = None
    if isinstance(whole, dict):
        yield whole
        return
    lines = data.splitlines()
    if len(lines) > ITEMS_MAX:
        raise BadListing(f"{len(lines)} manifests; at most {ITEMS_MAX} are read")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as e:
            raise BadListing(f"line {number} is no JSON: {str(e)[:80]}") from None
        if not isinstance(found, dict):
            raise BadListing(f"line {number} is no manifest")
        yield found


def _of(name: str, manifest: dict[str, Any]) -> Iterator[Found | Missing]:
    by_kind = manifest.get("architecture")
    shared = (manifest.get("url"), manifest.get("hash"))
    parts: list[tuple[str, Any, Any]] = []
    if isinstance(by_kind, dict):
        for kind, own in sorted(by_kind.items()):
            if isinstance(own, dict):
                label = ARCHITECTURES.get(kind, str(kind)[:20])
                parts.append((label, own.get("url", shared[0]), own.get("hash", shared[1])))
    parts = parts or [("any", *shared)]
    for label, url, digest in parts:
        one = _single(url), _single(digest)
        if isinstance(one[0], list) or isinstance(one[1], list):
            yield Missing(name, f"{label}: several files make it up; a package has one artifact")
        else:
            yield checked(name, manifest.get("version"), label, *one)


def _single(value: Any) -> Any:
    """A list of one is that one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
