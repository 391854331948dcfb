"""Node: a package.json in node_modules, as its bytes. Pure."""

from __future__ import annotations

import json

from brakeline.agent.software.model import Found, Unreadable, found


def read(data: bytes, where: str) -> tuple[Found, ...]:
    """The package that it names; () for one that is only a part of a package. Raises `Unreadable`."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        raise Unreadable("it is no JSON") from None
    if not isinstance(said, dict):
        raise Unreadable("it is no package description")
    name, version = said.get("name"), said.get("version")
    if not isinstance(name, str) or not isinstance(version, str) or not version:
        return ()  # {"type": "module"} beside compiled files, an application that was never published
    return (found("npm", name, version, where),)
