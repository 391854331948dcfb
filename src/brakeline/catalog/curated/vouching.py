"""From what a vendor has signed down to one artifact: every step is a SHA-256 that the step before has named. Pure.

`InRelease` names `Packages` by its place, `repomd.xml` names `primary.xml`, a list of sums names files. A hash under
another name proves nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from xml.etree import ElementTree

from brakeline.catalog.curated.model import NotVouched

INDEX_BYTES_MAX: Final = 8 * 1024 * 1024
SUMS_BYTES_MAX: Final = 4 * 1024 * 1024
PACKED: Final = ("", ".gz", ".xz", ".zst", ".bz2")
REPO: Final = "{http://linux.duke.edu/metadata/repo}"
_SUM: Final = re.compile(r"([0-9a-fA-F]{64}) [ *](?:\./)?(\S.*)")
_BSD: Final = re.compile(r"SHA256 \((.+)\) = ([0-9a-fA-F]{64})")
_DECLARES: Final = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def in_release(release: bytes, place: str, listing: bytes, now_ms: int) -> None:
    """Whether a signed Release names this listing at this place, and holds today. Raises `NotVouched`."""
    text = release.decode("utf-8", "replace")
    until = _field(text, "Valid-Until")
    if until and _day_ms(until) < now_ms:
        raise NotVouched(f"the vendor's index was valid until {until}: it is an old one, or the vendor's is stale")
    named = {words[2]: words[0] for line in _section(text, "SHA256") if len(words := line.split()) == 3}
    places = [place + suffix for suffix in PACKED if place + suffix in named]
    if not places:
        raise NotVouched(f"the vendor's signed index names no {place}")
    if hashlib.sha256(listing).hexdigest() not in {named[p].lower() for p in places}:
        raise NotVouched(f"the listing is not the {place} that the vendor's signed index names: fetch both again")


def in_repomd(repomd: bytes, listing: bytes) -> None:
    """Whether a signed repomd.xml names this primary.xml, packed or not. Raises `NotVouched`."""
    if _DECLARES.search(repomd) or b"\0" in repomd:
        raise NotVouched("repomd.xml declares a document type, or is not UTF-8")
    try:
        root = ElementTree.fromstring(repomd)  # noqa: S314 - without a document type there is nothing to expand
    except ElementTree.ParseError as e:
        raise NotVouched(f"repomd.xml is no XML: {str(e)[:80]}") from None
    for data in root.findall(f"{REPO}data"):
        if data.get("type") == "primary":
            for name in ("checksum", "open-checksum"):
                said = data.find(f"{REPO}{name}")
                kind = said.get("type", "") if said is not None else ""
                if said is not None and kind in ("sha256", "sha512"):
                    digest = hashlib.new(kind, listing).hexdigest()
                    if digest == (said.text or "").strip().lower():
                        return
    raise NotVouched("the listing is not the primary.xml that the vendor's signed repomd.xml names: fetch both again")


def sums(data: bytes) -> dict[str, str]:
    """SHA-256 by file name, of `sha256sum`'s lines or BSD's. Raises `NotVouched` where one name has two."""
    if len(data) > SUMS_BYTES_MAX:
        raise NotVouched(f"the list of sums has {len(data)} bytes; at most {SUMS_BYTES_MAX} are read")
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        plain, bsd = _SUM.fullmatch(line.strip()), _BSD.fullmatch(line.strip())
        name, digest = (plain[2], plain[1]) if plain else (bsd[1], bsd[2]) if bsd else ("", "")
        if name and found.setdefault(name, digest.lower()) != digest.lower():
            raise NotVouched(f"the list of sums has two for {name[:80]}")
    if not found:
        raise NotVouched("there is no SHA-256 in the list of sums")
    return found


def versions_in(names: Mapping[str, str], template: str) -> dict[str, str]:
    """(version -> file name) of every name that fits a template with `{version}` in it."""
    first, *others = [re.escape(part) for part in template.split("{version}")]
    again = "(?P=version)".join(others)
    form = re.compile(f"{first}(?P<version>[0-9][0-9A-Za-z.~-]{{0,63}}?){again}")
    fits = ((form.fullmatch(name), name) for name in names)
    return {found["version"]: name for found, name in fits if found}


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{name}:[ \t]*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _section(text: str, name: str) -> list[str]:
    lines, inside = [], False
    for line in text.splitlines():
        if inside and line.startswith((" ", "\t")):
            lines.append(line)
        else:
            inside = line.strip() == f"{name}:"
    return lines


def _day_ms(text: str) -> int:
    try:
        day = parsedate_to_datetime(text)
        return round((day if day.tzinfo else day.replace(tzinfo=UTC)).timestamp() * 1000)  # never this machine's zone
    except (ValueError, TypeError, OverflowError):
        raise NotVouched(f"the vendor's index has no readable day: {text[:40]!r}") from None
