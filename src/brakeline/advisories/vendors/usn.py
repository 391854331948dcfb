"""Ubuntu's security notices -> rows of ubuntu:RELEASE, from either shape in which Canonical publishes them; pure.

One notice as its security team keeps it ("1005-1": releases -> sources -> version), many of them by id, or the answer
of its site ("notices", with `release_packages` and `is_source`). Invariants: sources alone give rows, because units are
sources; a release whose codename is not known here is counted and left out; one garbled notice raises `ValueError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from brakeline.advisories.osv.model import Span
from brakeline.advisories.vendors.parts import at, listed, mapped, moment, prose, text
from brakeline.core.debversion import deb_key

ID: Final = re.compile(r"(?:USN-)?([0-9]{1,5}-[0-9]{1,3})")
OTHER: Final = re.compile(r"[LS]SN-[0-9]{1,5}-[0-9]{1,3}")  # of live patches and of snaps: other lines of versions
CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{1,19}")
SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]{0,99}")
CVES_MAX: Final = 5_000
PACKAGES_MAX: Final = 20_000
RELEASES: Final[Mapping[str, str]] = MappingProxyType({
    "trusty": "14.04", "xenial": "16.04", "bionic": "18.04", "focal": "20.04", "jammy": "22.04", "kinetic": "22.10",
    "lunar": "23.04", "mantic": "23.10", "noble": "24.04", "oracular": "24.10", "plucky": "25.04",
    "questing": "25.10", "resolute": "26.04",
})  # fmt: skip


def notices(document: Any) -> Iterator[tuple[list[Span], int]]:
    """The rows of every notice in a document, and how many of its releases were left out. Raises `ValueError`."""
    said = mapped(document, "a document")
    if "notices" in said:
        for each in listed(said["notices"], "notices", PACKAGES_MAX):
            yield _of_site(mapped(each, "a notice"))
    elif "releases" in said and "id" in said:
        yield _of_team(said)
    else:
        for id_, each in said.items():
            yield _of_team({"id": id_, **mapped(each, "a notice")})


def _of_team(said: dict[str, Any]) -> tuple[list[Span], int]:
    stamp = said.get("timestamp")
    if not isinstance(stamp, (int, float)) or not 0 < stamp < 10**11:
        raise ValueError("timestamp is a number of seconds")
    head = _head(said, at(int(stamp)), said.get("cves"))
    fixes = (
        (codename, name, mapped(source, "a source").get("version"))
        for codename, release in mapped(said.get("releases"), "releases").items()
        for name, source in mapped(mapped(release, "a release").get("sources"), "sources").items()
    )
    return _rows(head, fixes)


def _of_site(said: dict[str, Any]) -> tuple[list[Span], int]:
    if type(said.get("id")) is str and OTHER.fullmatch(said["id"]):
        return [], 1
    head = _head(said, moment(said.get("published"), "published"), said.get("cves_ids"))
    fixes = (
        (codename, package.get("name"), package.get("version"))
        for codename, packages in mapped(said.get("release_packages"), "release_packages").items()
        for package in map(_package, listed(packages, "packages", PACKAGES_MAX))
        if package.get("is_source") is True
    )
    return _rows(head, fixes)


def _package(said: Any) -> dict[str, Any]:
    return mapped(said, "a package")


def _head(said: dict[str, Any], time: str, cves: Any) -> Span:
    id_ = ID.fullmatch(text(said.get("id"), "id"))
    if id_ is None:
        raise ValueError(f"no id: {said.get('id')!r:.60}")
    names = [text(cve, "a CVE") for cve in listed(cves, "cves", CVES_MAX)]
    found = tuple(sorted({cve for cve in names if CVE.fullmatch(cve)}))  # bugs of Launchpad stand there, too
    return Span(
        "", "", f"USN-{id_[1]}", aliases=found, published=time, modified=time, summary=prose(said.get("title"), "t")
    )


def _rows(head: Span, fixes: Iterator[tuple[str, Any, Any]]) -> tuple[list[Span], int]:
    rows: list[Span] = []
    elsewhere = set[str]()
    for codename, name, version in fixes:
        if codename not in RELEASES:
            elsewhere.add(codename)
            continue
        if not SOURCE.fullmatch(text(name, "a source")):
            raise ValueError(f"no source: {name[:60]!r}")
        deb_key(text(version, "a version"))
        rows.append(head._replace(ecosystem=f"ubuntu:{RELEASES[codename]}", name=name, fixed=version))
    return rows, len(elsewhere)
