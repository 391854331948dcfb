"""Endpoint content as a release: where its source lies, and what may be in it. The same checks at build and publish.

Stricter than the agent, which ignores what it does not know: nothing is built or published here that this version
would not understand. Catalogue scripts are only stored. Next: `protocol.content` (the rules), `build` (the bundle).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from brakeline.core.errors import Invalid
from brakeline.protocol.codec import Malformed
from brakeline.protocol.content import RULES, RULES_BYTES_MAX, SCRIPTS, parse
from brakeline.trust.artifacts import ABOUT

ENTRY: Final = (RULES,)  # read, never started
SCRIPT_BYTES_MAX: Final = 64 * 1024
SCRIPTS_MAX: Final = 200
_SCRIPT: Final = re.compile(r"scripts/[a-z0-9][a-z0-9_-]{0,59}\.(sh|ps1|py)")


def default_source() -> Path:
    """The project's own content: beside the sources in a checkout, inside the package when installed."""
    package = Path(__file__).parent
    checkout = package.parents[2] / "packaging" / "content"
    return checkout if checkout.is_dir() else package / "content_source"


def read_source(folder: Path) -> dict[str, bytes]:
    """Names inside the bundle -> bytes of everything in a folder. `Invalid` for what must not be published."""
    try:
        paths = sorted(p for p in folder.rglob("*") if not p.is_dir())
        if len(paths) > SCRIPTS_MAX + 1 or any(p.is_symlink() or p.stat().st_size > RULES_BYTES_MAX for p in paths):
            raise Invalid(f"{folder} holds too many files, a link, or a file of more than {RULES_BYTES_MAX} bytes")
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}
    except OSError as e:
        raise Invalid(f"{e.filename}: {e.strerror}") from None
    if reason := refusal({name: len(data) for name, data in files.items()}, files.get(RULES, b"")):
        raise Invalid(reason)
    return files


def refusal(sizes: Mapping[str, int], rules: bytes) -> str:
    """Why these files are no endpoint content, "" = they are. `rules`: the bytes of rules.json. Pure."""
    if RULES not in sizes:
        return f"content needs a file {RULES}"
    scripts = {name: size for name, size in sizes.items() if name.startswith(SCRIPTS)}
    odd = [name for name in sizes if name not in (RULES, ABOUT) and not _SCRIPT.fullmatch(name)]
    if odd:
        return f"content has no place for {odd[0][:60]!r}: there are {RULES} and {SCRIPTS}NAME.sh, .ps1 or .py"
    if len(scripts) > SCRIPTS_MAX or any(size > SCRIPT_BYTES_MAX for size in scripts.values()):
        return f"at most {SCRIPTS_MAX} scripts of at most {SCRIPT_BYTES_MAX} bytes each"
    try:
        _, unknown = parse(rules)
    except Malformed as e:
        return e.detail
    return unknown[0] if unknown else ""
