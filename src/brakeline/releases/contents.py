"""Endpoint content as a release: where its source lies, and what may be in it. The same checks at build and publish.

Stricter than the agent, which ignores what it does not know: nothing is built or published here that this version
would not understand. Catalogue scripts are only stored; own packages are looked into by
`content_software`, the curated catalogue by its own strict reader.
Next: `protocol.content` (the rules), `build` (the bundle).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from brakeline.catalog.curated.definitions import read as read_catalogue
from brakeline.catalog.curated.model import CATALOGUE, CATALOGUE_BYTES_MAX, BadCatalogue
from brakeline.core.errors import Invalid
from brakeline.protocol.codec import Malformed
from brakeline.protocol.content import RULES, RULES_BYTES_MAX, SCRIPTS, parse
from brakeline.protocol.software import FOLDER, PAYLOADS
from brakeline.protocol.software_rules import PAYLOAD_BYTES_MAX
from brakeline.releases.content_software import SOFTWARE_MAX, software_refusal
from brakeline.trust.artifacts import ABOUT

ENTRY: Final = (RULES,)  # read, never started
SCRIPT_BYTES_MAX: Final = 64 * 1024
SCRIPTS_MAX: Final = 200
FILES_MAX: Final = SCRIPTS_MAX + 2 * SOFTWARE_MAX + len((RULES, CATALOGUE))
_SCRIPT: Final = re.compile(r"scripts/[a-z0-9][a-z0-9_-]{0,59}\.(sh|ps1|py)")


def default_source() -> Path:
    """The project's own content: beside the sources in a checkout, inside the package when installed."""
    package = Path(__file__).parent
    checkout = package.parents[2] / "packaging" / "content"
    return checkout if checkout.is_dir() else package / "content_source"


def read_source(folder: Path) -> dict[str, bytes]:
    """Names inside the bundle -> bytes of everything in a folder. `Invalid` for what must not be published."""
    try:
        found = (p for p in folder.rglob("*") if not p.is_dir())
        paths = sorted(islice(found, FILES_MAX + 1))  # no more than shows that it is too many: it may be any folder
        if len(paths) > FILES_MAX or any(p.is_symlink() or p.stat().st_size > _most_bytes(folder, p) for p in paths):
            raise Invalid(f"{folder} holds too many files, a link, or a file of more than {RULES_BYTES_MAX} bytes")
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}
    except OSError as e:
        raise Invalid(f"{e.filename}: {e.strerror}") from None
    software = {name: data for name, data in files.items() if name.startswith(FOLDER)}
    sizes = {name: len(data) for name, data in files.items()}
    if reason := refusal(sizes, files.get(RULES, b""), software, files.get(CATALOGUE)):
        raise Invalid(reason)
    return files


def refusal(
    sizes: Mapping[str, int], rules: bytes, software: Mapping[str, bytes] | None = None, catalogue: bytes | None = None
) -> str:
    """Why these files are no endpoint content, "" = they are. `rules`, `catalogue`: the bytes of rules.json and of
    catalogue.json; `software`: those of everything below `software/`. Pure."""
    if RULES not in sizes:
        return f"content needs a file {RULES}"
    scripts = {name: size for name, size in sizes.items() if name.startswith(SCRIPTS)}
    odd = [
        name for name in sizes if name not in (RULES, ABOUT, CATALOGUE)
        if not _SCRIPT.fullmatch(name) and not name.startswith((FOLDER, PAYLOADS))
    ]  # fmt: skip
    if odd:
        return (
            f"content has no place for {odd[0][:60]!r}: there are {RULES}, {CATALOGUE}, {SCRIPTS}NAME.sh, .ps1 or .py, "
            f"and own packages in {FOLDER} with their artifacts in {PAYLOADS}"
        )
    if reason := software_refusal(sizes, software or {}) or _catalogue(sizes, catalogue):
        return reason
    if len(scripts) > SCRIPTS_MAX or any(size > SCRIPT_BYTES_MAX for size in scripts.values()):
        return f"at most {SCRIPTS_MAX} scripts of at most {SCRIPT_BYTES_MAX} bytes each"
    try:
        _, unknown = parse(rules)
    except Malformed as e:
        return e.detail
    return unknown[0] if unknown else ""


def _catalogue(sizes: Mapping[str, int], data: bytes | None) -> str:
    if CATALOGUE not in sizes:
        return ""
    try:
        read_catalogue(data or b"")
    except BadCatalogue as e:
        return f"{CATALOGUE}: {e.detail}"
    return ""


def _most_bytes(folder: Path, path: Path) -> int:
    inside = path.relative_to(folder).as_posix()
    if inside == CATALOGUE:
        return CATALOGUE_BYTES_MAX
    return PAYLOAD_BYTES_MAX if inside.startswith(PAYLOADS) else RULES_BYTES_MAX
