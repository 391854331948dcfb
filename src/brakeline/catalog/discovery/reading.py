"""Which reader a form has. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from brakeline.catalog.discovery import apt, feed, rpm, scoop, winget
from brakeline.catalog.discovery.model import FORMS, LISTING_BYTES_MAX, BadListing, Found, Missing
from brakeline.catalog.discovery.packing import unpacked


def read(
    form: str, data: bytes, name: str = "", paths: Mapping[str, str] | None = None, version: str = ""
) -> tuple[tuple[Found, ...], tuple[Missing, ...]]:
    """What can be taken, and what cannot with the reason. Raises `BadListing`. `version`: this one of a repository's
    index in the place of the newest."""
    if form not in FORMS:
        raise BadListing(f"a form is one of {', '.join(FORMS)}, not {form[:20]!r}")
    data = unpacked(data)
    if len(data) > LISTING_BYTES_MAX:
        raise BadListing(f"{len(data)} bytes; at most {LISTING_BYTES_MAX} are read")
    if form == "feed":
        answers = tuple(feed.read(data, name, paths or {}))
    elif form in ("apt", "rpm"):
        answers = tuple({"apt": apt.read, "rpm": rpm.read}[form](data, name, version))
    else:
        answers = tuple({"scoop": scoop.read, "winget": winget.read}[form](data, name))
    found = tuple(a for a in answers if isinstance(a, Found))
    return found, tuple(a for a in answers if isinstance(a, Missing))
