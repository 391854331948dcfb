"""What a Mac or a Windows says of itself, recorded by hand where no agent looks: as a bill of materials. Pure.

macOS: `system_profiler -json SPApplicationsDataType SPInstallHistoryDataType SPSoftwareDataType`. Windows: the lines in
docs/how-to/sbom.md, which read both views of the registry and the installed KBs. Written after the documented formats;
*not run on the real systems*. The system itself is judged by its vendor's advisories (`systems`); no advisories of its
programs are matched yet, so they are told as not assessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from brakeline.sbom import systems

MACOS, WINDOWS = "macos", "windows"
Row = tuple[str, str, str, str]  # name, version, ecosystem, place
_JUDGED: Final = (
    "its programs are told, not assessed: no advisories of them are matched yet; the system itself is judged"
)
_UNJUDGED: Final = "neither the system nor its programs are assessed: it does not say its version, or its build"
_PROFILER: Final = ("SPApplicationsDataType", "SPInstallHistoryDataType")


def is_recorded(said: dict[str, Any]) -> bool:
    """Whether it is one of these recordings."""
    return any(isinstance(said.get(key), list) for key in (*_PROFILER, "Programs"))


def rows(said: dict[str, Any]) -> tuple[str, str, Iterator[Row]]:
    """(form, what the system calls itself, its software)."""
    if isinstance(said.get("Programs"), list):
        return "Windows, recorded", str(said.get("System") or ""), _windows(said)
    return "macOS, recorded", _mac_system(said), _mac(said)


def system(said: dict[str, Any]) -> tuple[systems.System | None, str]:
    """What the system is judged as, and what is told of the rest."""
    found = systems.windows(said) if isinstance(said.get("Programs"), list) else systems.mac(_mac_system(said))
    return found, _JUDGED if found else _UNJUDGED


def _mac_system(said: dict[str, Any]) -> str:
    known = _dicts(said.get("SPSoftwareDataType"))
    return str(known[0].get("os_version") or "") if known else ""


def _mac(said: dict[str, Any]) -> Iterator[Row]:
    """Applications, and the receipts of installers: an application of the same version is told once, by its place."""
    seen = set()
    for row in _dicts(said.get(_PROFILER[0])):
        name, version = str(row.get("_name") or ""), str(row.get("version") or "")
        seen.add((name, version))
        yield name, version, MACOS, str(row.get("path") or "")
    for row in _dicts(said.get(_PROFILER[1])):
        name, version = str(row.get("_name") or ""), str(row.get("install_version") or "")
        if version and (name, version) not in seen:
            yield name, version, MACOS, f"receipt of {row.get('package_source') or 'an installer'}"


def _windows(said: dict[str, Any]) -> Iterator[Row]:
    """Programs of both registry views, each once; parts of the system and of other programs are left to their owner."""
    seen = set()
    for row in _dicts(said["Programs"]):
        name, version = str(row.get("DisplayName") or "").strip(), str(row.get("DisplayVersion") or "").strip()
        if not name or row.get("SystemComponent") == 1 or row.get("ParentKeyName") or (name, version) in seen:
            continue
        seen.add((name, version))
        yield name, version, WINDOWS, str(row.get("InstallLocation") or "")
    for row in _dicts(said.get("HotFixes")):
        number = str(row.get("HotFixID") or "")
        if number.upper().startswith("KB"):
            yield number.upper(), "installed", WINDOWS, str(row.get("Description") or "")


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
