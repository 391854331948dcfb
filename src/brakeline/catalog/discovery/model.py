"""The words of discovery, and what every form is held to. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from brakeline.core.errors import Invalid

FORMS: Final = ("scoop", "winget", "feed", "apt", "rpm")
LISTING_BYTES_MAX: Final = 64 * 1024 * 1024
ITEMS_MAX: Final = 200_000
TEXT_CHARS_MAX: Final = 2_000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_URL: Final = re.compile(r"https?://[!-~]{1,1900}")
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~:_\-]{0,127}")


class BadListing(Invalid):
    """This is no such listing of a vendor."""

    code = "bad-listing"
    hint = "Name the form that the file has: scoop, winget, feed, apt or rpm."


@dataclass(frozen=True, slots=True)
class Found:
    """The newest version of one product for one architecture. `bytes` 0 = the vendor does not say."""

    name: str
    version: str
    architecture: str
    url: str  # a repository's index names a path below it
    sha256: str
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """A product that the listing has, and of which nothing can be taken."""

    name: str
    reason: str


def checked(
    name: str, version: Any, architecture: str, url: Any, digest: Any, size: int = 0, *, relative: bool = False
) -> Found | Missing:
    """What a listing says of one artifact, if all of it is there and can be believed to be what it looks like."""
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        return Missing(name, f"its version {str(version)[:40]!r} is none")
    if not isinstance(url, str) or len(url) > TEXT_CHARS_MAX or not (_below(url) if relative else _URL.fullmatch(url)):
        return Missing(name, f"{architecture}: no address of an artifact")
    said = str(digest or "").lower()
    kind, _, bare = said.rpartition(":")
    if kind not in ("", "sha256") or not _SHA256.fullmatch(bare):
        what = kind or (f"of {len(bare)} characters" if bare else "missing")
        return Missing(name, f"{architecture}: its hash is {what[:20]}, and only SHA-256 is taken")
    return Found(name, version, architecture, url.partition("#")[0], bare, size)


def _below(path: str) -> bool:
    parts = path.split("/")
    return path.isprintable() and bool(path) and not path.startswith("/") and ".." not in parts and " " not in path
