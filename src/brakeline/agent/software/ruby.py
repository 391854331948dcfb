"""Ruby: the gemspec that `gem install` writes, as its bytes. Pure; it is a program, and it is read, never run."""

from __future__ import annotations

import re
from typing import Final

from brakeline.agent.software.model import Found, Unreadable, found

_NAME: Final = re.compile(rb"""^\s*\w+\.name\s*=\s*["']([^"'#]{1,200})["'](?:\.freeze)?\s*$""", re.M)
_VERSION: Final = re.compile(
    rb"""^\s*\w+\.version\s*=\s*(?:Gem::Version\.new\()?\s*["']([^"'#]{1,100})["'](?:\.freeze)?\)?\s*$""", re.M
)


def read(data: bytes, where: str) -> Found:
    """The gem. Raises `Unreadable`, also for a specification whose version is computed when it runs."""
    name, version = _NAME.search(data), _VERSION.search(data)
    if name is None or version is None:
        raise Unreadable(
            "its name or version is computed, not written, so what it is cannot be told without running it"
        )
    return found("rubygems", name[1].decode("utf-8", "replace"), version[1].decode("utf-8", "replace"), where)
