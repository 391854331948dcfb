"""Keys that signed the metadata of repositories and have expired since.

zypper warns once, when it fetches such metadata, and goes on: later runs end with 0 and say nothing. So the keys that
lie beside the metadata in its cache are looked at after every refresh. (A vendor that prolongs its key ships it there.)
"""

from __future__ import annotations

from typing import Final

from brakeline.agent.providers.zypper.tools import Tools

RAW: Final = "/var/cache/zypp/raw"
SHOW: Final = ("gpg", "--batch", "--no-default-keyring", "--no-auto-check-trustdb", "--show-keys", "--with-colons")


def expired(tools: Tools, now_ms: int) -> tuple[str, ...]:
    """Aliases of repositories whose metadata is signed by a key that has expired."""
    found = []
    for key in sorted(tools.at.path(RAW).glob("*/repodata/repomd.xml.key")):
        signed = key.with_name("repomd.xml.asc").exists()
        path = tools.at.inside("/" + str(key.relative_to(tools.at.path("/"))))
        if signed and 0 < expires_s(tools.at.query(*SHOW, path).text) <= now_ms // 1000:
            found.append(key.parent.parent.name)
    return tuple(found)


def expires_s(text: str) -> int:
    """When the first key in an answer of gpg expires, Unix time; 0 = never, or there is none."""
    primary = next((line.split(":") for line in text.splitlines() if line.startswith("pub:")), [])
    return int(primary[6]) if len(primary) > 6 and primary[6].isdigit() else 0
