"""Apple's security releases of macOS, as the SOFA feed of Mac Admins has them in JSON -> rows of macos:MAJOR; pure.

Apple publishes pages for people alone. A release is a version of one major line and the CVEs that it fixed; a CVE is
fixed from the lowest version of its line that names it. Invariants: a line without a number, or a version of another
line, raises `ValueError`; CVEs that are exploited are named there too, and CISA's catalogue decides which those are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from brakeline.advisories.osv.model import Span
from brakeline.advisories.vendors.parts import listed, mapped, moment, prose, text
from brakeline.advisories.versions.winget import winget_key

LINE: Final = re.compile(r"(?:[A-Za-z][A-Za-z .]{0,40} )?([0-9]{1,3})(?:\.[0-9]{1,3})?")
VERSION: Final = re.compile(r"([0-9]{1,3})(?:\.[0-9]{1,3}){0,3}")
CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{1,19}")
NAME: Final = "macos"
LINES_MAX: Final = 100
RELEASES_MAX: Final = 1_000
CVES_MAX: Final = 5_000


class Said(NamedTuple):
    """What a file says. `issued`: of the newest release."""

    rows: list[Span]
    issued: str
    releases: int


def read(document: Any) -> Said:
    """Raises `ValueError`."""
    said = mapped(document, "the file")
    lines = listed(said.get("OSVersions"), "OSVersions", LINES_MAX)
    if not lines:
        raise ValueError("it has no OSVersions")
    lowest: dict[tuple[str, str], Span] = {}
    issued, count = "", 0
    for row, cves in (found for line in lines for found in _line(mapped(line, "a line"))):
        issued, count = max(issued, row.published), count + 1
        for cve in cves:
            known = lowest.get((row.ecosystem, cve))
            if known is None or winget_key(row.fixed) < winget_key(known.fixed):
                lowest[row.ecosystem, cve] = row._replace(id=cve)
    return Said(list(lowest.values()), issued, count)


def _line(said: dict[str, Any]) -> Iterator[tuple[Span, list[str]]]:
    found = LINE.fullmatch(text(said.get("OSVersion"), "OSVersion"))
    if found is None:
        raise ValueError(f"no line of versions: {said.get('OSVersion')!r:.60}")
    for each in listed(said.get("SecurityReleases"), "SecurityReleases", RELEASES_MAX):
        release = mapped(each, "a release")
        version = VERSION.fullmatch(text(release.get("ProductVersion"), "ProductVersion"))
        if version is None or version[1] != found[1]:
            raise ValueError(f"no version of {found[1]}: {release.get('ProductVersion')!r:.40}")
        at = moment(release.get("ReleaseDate"), "ReleaseDate")
        row = Span(f"{NAME}:{found[1]}", NAME, "", fixed=version[0], published=at, modified=at,
                   summary=prose(release.get("UpdateName"), "UpdateName"))  # fmt: skip
        yield row, _cves(release)


def _cves(release: dict[str, Any]) -> list[str]:
    named = [*mapped(release.get("CVEs"), "CVEs"), *listed(release.get("ActivelyExploitedCVEs"), "exploited", CVES_MAX)]
    if len(named) > CVES_MAX or not all(type(cve) is str and CVE.fullmatch(cve) for cve in named):
        raise ValueError(f"no CVE, or more than {CVES_MAX}")
    return list(dict.fromkeys(named))
