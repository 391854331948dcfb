"""What pip prints, read: its list of what is newer, its report of what it would install, why it failed. Pure.

pip ends with 0 where every index was out of reach (`pip list --outdated` then lists nothing), so its words are looked
at before its answer is believed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from brakeline.agent.providers.model import Refused
from brakeline.protocol.messages import Action, ActionKind

CAUSES: Final = (
    ("hash_mismatch", "What was sent does not fit its checksum", ("DO NOT MATCH THE HASHES",)),
    ("network", "The package index could not be reached", ("Retrying (Retry(", "Max retries exceeded")),
    ("no_space", "The disk was full", ("No space left on device", "Errno 28")),
    ("refused", "pip finds no way to do this", ("ResolutionImpossible", "conflicting dependencies")),
    ("lists_stale", "The package index does not have it as a wheel that fits here",
     ("No matching distribution found", "Could not find a version that satisfies")),
)  # fmt: skip
SAID_CHARS = 160


@dataclass(frozen=True, slots=True)
class Wheel:
    """One distribution that pip would install; `sha256` as the index gives it, "" = it gives none."""

    name: str
    version: str
    sha256: str


def why(text: str) -> Refused:
    """The cause in pip's words, with the line of it that says most."""
    for code, sentence, marks in CAUSES:
        if any(mark in text for mark in marks):
            return Refused(code, f"{sentence}{_line(text)}.")
    return Refused("pip_failed", f"pip failed{_line(text)}.")


def _line(text: str) -> str:
    errors = [line.removeprefix("ERROR: ").strip() for line in text.splitlines() if line.startswith("ERROR: ")]
    return f": {errors[0][:SAID_CHARS].rstrip('.')}" if errors else ""


def unreachable(text: str) -> bool:
    """pip tried an index again and again: whatever it answered then is not the truth about what is newer."""
    return any(mark in text for mark in CAUSES[1][2])


def newer(text: str) -> tuple[tuple[str, str], ...] | None:
    """(name, newest version) of `pip list --outdated --format=json`; None = there is no such list in the text."""
    found = _json(text, "[")
    if not isinstance(found, list):
        return None
    return tuple((normal(str(x["name"])), str(x["latest_version"])) for x in found)


def wheels(text: str) -> tuple[Wheel, ...] | None:
    """What `pip install --dry-run --report -` would install; None = there is no report in the text."""
    found = _json(text, "{")
    if not isinstance(found, dict) or "install" not in found:
        return None
    return tuple(_wheel(item) for item in found["install"])


def _wheel(item: Mapping[str, Any]) -> Wheel:
    archive = item.get("download_info", {}).get("archive_info", {})
    digest = archive.get("hashes", {}).get("sha256", "") or str(archive.get("hash", "")).removeprefix("sha256=")
    return Wheel(normal(str(item["metadata"]["name"])), str(item["metadata"]["version"]), digest)


def _json(text: str, opening: str) -> Any:
    """The first JSON value that begins a line; warnings may stand before and after it."""
    for match in re.finditer(rf"^{re.escape(opening)}", text, re.MULTILINE):
        try:
            return json.JSONDecoder().raw_decode(text, match.start())[0]
        except ValueError:
            continue
    return None


def normal(name: str) -> str:
    """A name as all spellings of it come to (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def actions(
    found: Iterable[Wheel], have: Mapping[str, str], label: str, older: frozenset[tuple[str, str]]
) -> tuple[Action, ...]:
    """The wheels as actions. `have`: installed versions; `older`: (name, version) that go below what is installed."""
    made = []
    for w in found:
        before = have.get(w.name, "")
        kind = ActionKind.UPGRADE if before else ActionKind.INSTALL
        if (w.name, w.version) in older:
            kind = ActionKind.DOWNGRADE
        if before != w.version:
            made.append(Action(kind, w.name, label, before, w.version))
    return tuple(made)
