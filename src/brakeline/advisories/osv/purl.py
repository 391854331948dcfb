"""Package URLs ("pkg:pypi/jinja2@3.1.2") -> ecosystem, name, version, as rows have them; pure.

Invariants: what is not understood raises `ValueError` and is never guessed: a wrong ecosystem would answer "nothing
known" where much is. Distributions need their release in the qualifier `distro`; codenames of Debian are translated.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import unquote

PLAIN: Final[Mapping[str, str]] = MappingProxyType({
    "pypi": "pypi", "cargo": "crates.io", "gem": "rubygems", "nuget": "nuget", "hex": "hex", "pub": "pub",
})  # fmt: skip
JOINED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({  # type -> (ecosystem, what stands between the parts)
    "golang": ("go", "/"), "npm": ("npm", "/"), "composer": ("packagist", "/"), "maven": ("maven", ":"),
})  # fmt: skip
DISTRIBUTIONS: Final = frozenset(("deb", "rpm", "apk"))
CODENAMES: Final[Mapping[str, str]] = MappingProxyType({
    "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14",
})  # fmt: skip
PURL_MAX: Final = 1000


class Package(NamedTuple):
    """What a package URL names. `module`: stream of an rpm, "" = it does not say."""

    ecosystem: str
    name: str
    version: str
    module: str = ""


def package(text: str) -> Package:
    """Raises `ValueError` for what names no package whose ecosystem is known."""
    if not text.startswith("pkg:") or len(text) > PURL_MAX:
        raise ValueError("a package URL begins with pkg: and has at most 1000 characters")
    rest, _, query = text[4:].lstrip("/").partition("#")[0].partition("?")
    path, _, version = rest.rpartition("@") if "@" in rest.rpartition("/")[2] else (rest, "", "")
    kind, *parts = [unquote(part) for part in path.split("/") if part]
    if not parts:
        raise ValueError("a package URL names a type and a package")
    qualifiers = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
    said = {key: unquote(value) for key, value in qualifiers.items()}
    kind, name, version = kind.lower(), parts[-1], unquote(version)
    if not all(each.isprintable() for each in (*parts, version, *said.values())):
        raise ValueError("a package URL has signs that are no text")
    if kind in PLAIN:
        return Package(PLAIN[kind], name, version)
    if kind in JOINED:
        ecosystem, between = JOINED[kind]
        return Package(ecosystem, between.join(parts), version)
    if kind in DISTRIBUTIONS and len(parts) == 2:
        return _of_distribution(parts[0].lower(), name, version, said)
    raise ValueError(f"no ecosystem is known for packages of the type {kind[:40]!r}")


def _of_distribution(vendor: str, name: str, version: str, said: Mapping[str, str]) -> Package:
    distro = said.get("distro", "").lower()
    release = CODENAMES.get(distro, distro.removeprefix(f"{vendor}-"))
    if not release:
        raise ValueError(f"which release? say it as in ?distro={vendor}-9")
    if vendor == "alpine" and not release.startswith("v"):
        release = "v" + ".".join(release.split(".")[:2])
    epoch = said.get("epoch", "")
    if epoch and ":" not in version:
        version = f"{epoch}:{version}"
    module = ":".join(said.get("rpmmod", "").split(":")[:2])
    return Package(f"{vendor}:{release}", name, version, module)
