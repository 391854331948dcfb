"""This machine's own apt sources: where a fleet's packages come from. No archive address stands in this repository.

Both formats of sources.list(5) are read. Endpoints always use plain http towards the fleet's proxy; the proxy asks
the archive by the scheme that the machine uses.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tools.fleetbox.settings import FleetError

APT = Path("/etc/apt")
KEYRING_DEFAULT = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Settings that say how far this machine trusts its archive's dates; a frozen mirror needs them on endpoints too.
DATE_CHECKS = ("Acquire::Check-Valid-Until", "Acquire::Check-Date")


@dataclass(frozen=True, slots=True)
class Source:
    """One line of sources: `uri` without a slash at the end."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    @property
    def as_http(self) -> str:
        """The same address as endpoints see it, through the proxy."""
        parts = urlsplit(self.uri)
        return f"http://{parts.netloc}{parts.path}"


@dataclass(frozen=True, slots=True)
class Archive:
    """What a fleet needs of the sources: the main suite, and the security suite beside it."""

    main: Source
    security: Source
    keyring: Path
    origins: tuple[str, ...]  # "https://host", every origin the machine's apt may ask


def read_deb822(text: str) -> Iterator[Source]:
    """Sources of one `*.sources` file (disabled stanzas are left out)."""
    for stanza in re.split(r"\n\s*\n", text):
        fields = {
            key.lower(): " ".join(value.split())
            for key, value in re.findall(
                r"(?m)^([A-Za-z-]+):((?:.*(?:\n[ \t].*)*))", re.sub(r"(?m)^#.*\n?", "", stanza)
            )
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        for uri in fields.get("uris", "").split():
            yield Source(
                uri.rstrip("/"),
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                fields.get("signed-by", ""),
            )


def read_one_line(text: str) -> Iterator[Source]:
    """Sources of `sources.list` and `*.list`."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match:
            options, uri, suite, components = match.groups()
            signed = re.search(r"signed-by=(\S+)", options or "")
            yield Source(uri.rstrip("/"), (suite,), tuple(components.split()), signed.group(1) if signed else "")


def read_sources(root: Path = APT) -> tuple[Source, ...]:
    """Every web source that apt itself would use under `root`."""
    found: list[Source] = []
    for path in [root / "sources.list", *sorted((root / "sources.list.d").glob("*"))]:
        if path.suffix == ".sources" and path.is_file():
            found.extend(read_deb822(path.read_text()))
        elif path.suffix == ".list" and path.is_file():
            found.extend(read_one_line(path.read_text()))
    return tuple(source for source in found if urlsplit(source.uri).scheme in ("http", "https"))


def choose(sources: Iterable[Source]) -> Archive:
    """The Debian main and security sources among `sources`; FleetError says which one is missing."""
    listed = [source for source in sources if "main" in source.components]
    security = [s for s in listed if any(suite.split("/")[0].endswith("-security") for suite in s.suites)]
    main = [s for s in listed if s not in security and urlsplit(s.uri).path.rstrip("/").endswith("/debian")]
    for name, found in (("main", main), ("security", security)):
        if not found:
            raise FleetError(
                f"No Debian {name} suite among this machine's apt sources (/etc/apt): a fleet takes its packages from "
                "there. Add one and try again."
            )
    signed = main[0].signed_by
    keyring = Path(signed) if signed.startswith("/") else KEYRING_DEFAULT
    origins = {f"{urlsplit(s.uri).scheme}://{urlsplit(s.uri).netloc}" for s in (*main, *security)}
    return Archive(main[0], security[0], keyring, tuple(sorted(origins)))


def archive() -> Archive:
    """This machine's archive."""
    return choose(read_sources())


def apt_setting(name: str) -> str:
    """Value of one of this machine's apt settings, "" when unset."""
    shell = subprocess.run(["apt-config", "shell", "value", name], capture_output=True, text=True, check=True).stdout
    match = re.fullmatch(r"value='(.*)'\n?", shell)
    return match.group(1) if match else ""


def date_check_lines() -> str:
    """apt.conf lines that give endpoints this machine's own trust in archive dates."""
    return "".join(f'{name} "{value}";\n' for name in DATE_CHECKS if (value := apt_setting(name)))
