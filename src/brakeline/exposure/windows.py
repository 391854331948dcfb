"""A Windows as its agent reports it, and Microsoft's advisories, brought to one name. Pure; *not run on real systems*.

Microsoft's rows name a product and a build; an agent tells the build that runs. So each Windows of Microsoft is a
release of its own here (`microsoft:windows-10-version-22h2-for-x64-based-systems`), in which one package, `windows`, is
judged by its build; an update (KB) is the advisory, its CVEs are aliases. Invariants: a build of which no product is
known makes no package, and is told as not assessed; a product of which no month is loaded is without data, not clean.
Updates of Windows 10 and later are cumulative: a row that names an update and no build (as months did before builds
were told, and as a browser's part does) is closed by the first build of a month that is not older; where none is known
it stands open. What names no CVE (ADV…) is guidance and gives no row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from brakeline.advisories.vendors.kb import LINES
from brakeline.advisories.vendors.windows import folded, system_of
from brakeline.advisories.versions.winget import winget_key
from brakeline.exposure.model import Installed

if TYPE_CHECKING:
    from brakeline.advisories.osv.model import Span

MICROSOFT, SOURCE = "microsoft", "windows"
BUILD: Final = re.compile(r"(?:10\.0|6\.3)\.([0-9]{4,6})\.[0-9]{1,6}")
CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{1,19}")
CUMULATIVE: Final = ["10", "0"]  # the line of builds whose every update has all before it
CLIENTS: Final[Mapping[str, str]] = MappingProxyType({  # build -> what Microsoft calls it
    "9600": "Windows 8.1", "10240": "Windows 10 Version 1507", "10586": "Windows 10 Version 1511",
    "14393": "Windows 10 Version 1607", "15063": "Windows 10 Version 1703", "16299": "Windows 10 Version 1709",
    "17134": "Windows 10 Version 1803", "17763": "Windows 10 Version 1809", "18362": "Windows 10 Version 1903",
    "18363": "Windows 10 Version 1909", "19041": "Windows 10 Version 2004", "19042": "Windows 10 Version 20H2",
    "19043": "Windows 10 Version 21H1", "19044": "Windows 10 Version 21H2", "19045": "Windows 10 Version 22H2",
    "22000": "Windows 11 Version 21H2", "22621": "Windows 11 Version 22H2", "22631": "Windows 11 Version 23H2",
    "26100": "Windows 11 Version 24H2", "26200": "Windows 11 Version 25H2",
})  # fmt: skip
SERVERS: Final[Mapping[str, str]] = MappingProxyType({
    "9600": "Windows Server 2012 R2", "14393": "Windows Server 2016", "17763": "Windows Server 2019",
    "20348": "Windows Server 2022", "25398": "Windows Server 2022, 23H2 Edition (Server Core installation)",
    "26100": "Windows Server 2025",
})  # fmt: skip
PROCESSORS: Final[Mapping[str, str]] = MappingProxyType({
    "amd64": "x64-based", "x64": "x64-based", "x86_64": "x64-based", "x86": "32-bit", "i386": "32-bit",
    "arm64": "ARM64-based", "aarch64": "ARM64-based",
})  # fmt: skip


def product_of(os_name: str, kernel: str, architecture: str) -> str:
    """Microsoft's name of the Windows whose `kernel` is a whole build ("10.0.19045.4170"); "" = not certain."""
    build = BUILD.fullmatch(kernel)
    if build is None:
        return ""
    if "server" in os_name.casefold():
        return SERVERS.get(build[1], "")
    client, processor = CLIENTS.get(build[1], ""), PROCESSORS.get(architecture.casefold(), "")
    return f"{client} for {processor} Systems" if client and processor else ""


def ecosystem_of(product: str) -> str:
    """`product` as a release of Microsoft's, in the one spelling of all its names."""
    return f"{MICROSOFT}:{folded(product).replace(' ', '-')}"


def system_item(os_name: str, kernel: str, architecture: str) -> Installed | None:
    """The system itself as a package that is judged; None = which product it is is not known."""
    product = product_of(os_name, kernel, architecture)
    return Installed(os_name, SOURCE, kernel, kernel, ecosystem=ecosystem_of(product)) if product else None


def laid(spans: Iterable[Span]) -> Iterator[Span]:
    """Spans under the names that units have: those of a Windows as above, one for each update and build; of an update
    without a build one for each month that names it, because `bounded` asks for the last."""
    found: dict[tuple[str, str, str, str], list[Span]] = {}
    for span in spans:
        system = system_of(span.name) if span.ecosystem == MICROSOFT else ""
        if not system:
            yield span
        elif span.state not in ("fixed", "open"):  # not affected, withdrawn, deferred: as its vendor says it
            yield span._replace(ecosystem=ecosystem_of(system), name=SOURCE)
        elif CVE.fullmatch(span.id):
            fixed = span.fixed if span.fixed.split(".")[:2] in LINES else ""
            id_ = " ".join(span.aliases) or span.id
            month = "" if fixed else span.published[:7]
            found.setdefault((ecosystem_of(system), id_, fixed, month), []).append(span)
    for (ecosystem, id_, fixed, _), same in found.items():
        cves = {span.id for span in same} - {id_}
        yield same[0]._replace(
            ecosystem=ecosystem, name=SOURCE, id=id_, part=0, fixed=fixed, aliases=tuple(sorted(cves)), related=(),
            state="fixed" if fixed else "open", published=min(span.published for span in same), severity="",
            reason="" if fixed else same[0].reason if id_.startswith("CVE-") else f"closed by {id_}",
        )  # fmt: skip


def bounded(spans: Sequence[Span]) -> list[Span]:
    """The spans of one Windows; one that names an update and no build has the first of its month or a later one.

    A month may name an update again that another brought, for a CVE that was known earlier or became known later. So
    an update is taken for as new as the newest that names it, and a build for as old as the oldest: never closed early.
    """
    newest: dict[str, str] = {}
    oldest: dict[str, str] = {}
    for span in spans:
        month = span.published[:7]
        newest[span.id] = max(month, newest.get(span.id, month))
        if span.fixed.split(".")[:2] == CUMULATIVE:
            oldest[span.fixed] = min(month, oldest.get(span.fixed, month))
    return [_bounded(span, newest[span.id], oldest) for span in spans]


def _bounded(span: Span, newest: str, oldest: Mapping[str, str]) -> Span:
    if span.fixed or span.id.startswith("CVE-"):
        return span
    later = [build for build, month in oldest.items() if month >= newest]
    return span._replace(fixed=min(later, key=winget_key), state="fixed", reason="") if later else span
