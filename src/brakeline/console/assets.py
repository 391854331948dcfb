"""Static files: our own, and the two htmx files out of the installed wheel, never committed.

Invariants: a third-party file is served only if its SHA-256 is the one in `static/third_party.json`; a built wheel
carries copies (`hatch_build.py` at the root checks the same hash), a checkout reads them from the locked package.
Addresses carry a digest of the content, so browsers may keep them for ever.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from brakeline.core.errors import Fault

OWN = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
JAVASCRIPT = "text/javascript; charset=utf-8"
# One file, because htmx starts in a task of its own right after it was run: an extension that came as a second file,
# and came later, was registered too late, and the page never opened its stream.
BUNDLE = ("live.js", ("htmx.js", "hx-sse.js"))


class AssetMismatch(Fault):
    """A static file of the console is missing or not the one that was reviewed."""

    code = "asset-mismatch"
    hint = "Install the locked packages again (./dev up does it), or review the new file and change third_party.json."


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent. `tag`: first 16 hex digits of its SHA-256."""

    name: str
    media_type: str
    body: bytes
    tag: str


def load_assets() -> dict[str, Asset]:
    """Every static file by name. Raises AssetMismatch."""
    static = resources.files("brakeline.console") / "static"
    found = {name: _asset(name, kind, (static / name).read_bytes()) for name, kind in OWN.items()}
    third_party = json.loads((static / "third_party.json").read_text())
    bundle, parts = BUNDLE
    bodies = [read_checked(static / "third_party" / name, third_party[name]) for name in parts]
    return found | {bundle: _asset(bundle, JAVASCRIPT, b"\n;".join(bodies))}


def read_checked(packaged: Traversable, entry: dict[str, str]) -> bytes:
    """The copy in our wheel, else the file in the installed package; with the reviewed hash, else AssetMismatch."""
    try:
        source = packaged if packaged.is_file() else resources.files(entry["package"]) / entry["path"]
        body = source.read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as gone:
        raise AssetMismatch(f"{entry['path']} of the package {entry['package']} is not installed") from gone
    actual = hashlib.sha256(body).hexdigest()
    if actual != entry["sha256"]:
        raise AssetMismatch(f"{entry['path']} has another content", expected=entry["sha256"], actual=actual)
    return body


def _asset(name: str, media_type: str, body: bytes) -> Asset:
    return Asset(name, media_type, body, hashlib.sha256(body).hexdigest()[:16])
