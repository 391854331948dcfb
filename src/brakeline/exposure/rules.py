"""Which rules an inventory was judged by, as a text: the code that judges, and the ecosystems that were known.

A packed row holds what an inventory came to under the rules of its day. The text is made of the judging modules' own
source, so that nobody has to remember to raise a number: after an update of the server that judges otherwise, or a feed
of an ecosystem that was unknown, every row is made anew from its inventory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from brakeline.advisories import ecosystems, versions
from brakeline.core import debversion
from brakeline.exposure import index, kernels, match, model, offers, packed, streams, units, windows
from brakeline.protocol import managers

JUDGING: tuple[ModuleType, ...] = (
    debversion, ecosystems, index, kernels, managers, match, model, offers, packed, streams, units, versions, windows,
)  # fmt: skip


def code(modules: Iterable[ModuleType] = JUDGING) -> str:
    """Names the code of these modules, packages with all that lies in them."""
    digest = hashlib.sha256()
    for module in modules:
        path = Path(str(module.__file__))
        for file in sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else (path,):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def text_of(code: str, known: Iterable[str]) -> str:
    """`code` and the ecosystems that are known."""
    return f"{code}-{hashlib.sha256(chr(0).join(sorted(known)).encode()).hexdigest()[:16]}"
