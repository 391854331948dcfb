"""Which rows speak of a package that comes from a module stream (`nodejs:18`), and which of one that does not. Pure.

A release of Red Hat's family has several lines of one package at once. A fix of `nodejs:20` is above every version of
`nodejs:18`, so comparing across streams accuses what is patched; a fix of a package outside of modules says nothing
of one inside. Rows that name their stream are held to it. Rows that do not (AlmaLinux's) are held to the line that the
version of the fix belongs to: the stream, where its name begins the installed version ("18" and 18.20.4), else the
first number of the version. That is a rule of thumb, and the only one in this slice.
"""

from __future__ import annotations

from typing import Final

from brakeline.advisories.model import Advisory

SOME: Final = "?"  # a row's module stream: there is one, and which is not said


def stream_of(label: str) -> str:
    """`nodejs:18` of rpm's MODULARITYLABEL `nodejs:18:9020020240807:rhel9`; "" for a package of no module."""
    return ":".join(label.split(":")[:2])


def is_modular(version: str, module: str = "") -> bool:
    """Whether a package was built in a module, by its label or by the mark that its release carries."""
    return bool(module) or ".module_" in version or ".module+" in version


def speaks_of(row: Advisory, version: str, module: str) -> bool:
    """Whether `row` is about the line of packages that `version` belongs to."""
    mark = row.fixed or row.last_affected or row.introduced
    if not mark and not row.module:
        return True  # no version says which line: all of them
    if is_modular(mark, row.module) != is_modular(version, module):
        return False
    if not is_modular(version, module):
        return True
    if row.module not in ("", SOME) and module:
        return stream_of(row.module) == stream_of(module)
    theirs, ours, stream = _upstream(mark), _upstream(version), stream_of(module).partition(":")[2]
    if stream and _begins(ours, stream):
        return _begins(theirs, stream)
    return theirs.partition(".")[0] == ours.partition(".")[0]


def _upstream(evr: str) -> str:
    """The version without epoch and release."""
    return (evr.partition(":")[2] or evr).rpartition("-")[0] or evr


def _begins(version: str, stream: str) -> bool:
    return version == stream or version.startswith(f"{stream}.")
