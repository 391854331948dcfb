"""What may be inside a release, and the manifest against which it is hashed before every start. Pure.

A bundle is a plain tar of regular files with short, plain names; `release.json` says what it is. The manifest is our
own, made from the verified bundle, so that hashing needs no tar and no signature at start.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from brakeline.core.frozen import dataclass
from brakeline.trust.envelope import is_count, text_of
from brakeline.trust.errors import Distrust
from brakeline.trust.model import Offered

FILES_MAX: Final = 4096
UNPACKED_BYTES_MAX: Final = 256 * 1024 * 1024
ABOUT: Final = "release.json"
MANIFEST: Final = "MANIFEST"
_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}){0,7}")
_RELEASE_ID = re.compile(r"[0-9][A-Za-z0-9.+]{0,30}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class About:
    """`release.json`: what a release says about itself; must agree with what was signed about it."""

    product: str
    version: str
    sequence: int
    platform: str
    entry: tuple[str, ...]  # "@python" stands for the interpreter of the launcher


def is_release_id(text: str) -> bool:
    """Whether `text` can be the name of a directory in versions/."""
    return _RELEASE_ID.fullmatch(text) is not None


def usable_name(name: str) -> str:
    """The name of a file in a bundle; raises `Distrust` for absolute, climbing, hidden or odd ones."""
    if not _NAME.fullmatch(name) or name == MANIFEST:
        raise Distrust("unsafe_name", f"the bundle has a file named {name[:60]!r}; nothing was unpacked")
    return name


def about(text: str) -> About:
    """Parse `release.json`. Raises `Distrust`."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        raise Distrust("malformed", f"{ABOUT} is not JSON") from None
    entry = plain.get("entry") if isinstance(plain, dict) else None
    if not isinstance(entry, list) or not entry or not all(isinstance(e, str) for e in entry):
        raise Distrust("malformed", f"{ABOUT} does not say how the release is started")
    sequence = plain.get("sequence")
    if not is_count(sequence):
        raise Distrust("malformed", f"{ABOUT} has no sequence")
    return About(
        text_of(plain, "product"), text_of(plain, "version"), sequence, text_of(plain, "platform"), tuple(entry)
    )


def agree(said: About, offered: Offered, platform: str) -> None:
    """Raises `Distrust` unless the bundle is what the signed targets call it, for this platform."""
    if (said.product, said.version, said.sequence) != (offered.product, offered.version, offered.sequence):
        raise Distrust(
            "mismatch", f"the bundle calls itself {said.product} {said.version}, signed was {offered.version}"
        )
    if said.platform not in ("any", platform):
        raise Distrust("wrong_platform", f"the bundle is for {said.platform}, this is {platform}")


def manifest(files: Mapping[str, tuple[str, int]], said: About) -> str:
    """Text of the manifest: (SHA-256, bytes) of every file, and how the release is started."""
    plain: dict[str, Any] = {"files": {name: list(f) for name, f in sorted(files.items())}, "entry": list(said.entry)}
    plain |= {"product": said.product, "version": said.version, "sequence": said.sequence}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def parse_manifest(text: str) -> tuple[dict[str, tuple[str, int]], tuple[str, ...], int]:
    """(files, entry, sequence). Raises `ValueError` for a torn one."""
    plain = json.loads(text)
    files = {str(name): (str(f[0]), int(f[1])) for name, f in plain["files"].items()}
    return files, tuple(str(e) for e in plain["entry"]), int(plain["sequence"])
