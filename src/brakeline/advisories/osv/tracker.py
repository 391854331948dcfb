"""Debian's security tracker (its JSON: source -> CVE -> releases) -> rows of debian:NUMBER; pure.

Invariants: releases whose number is not known here are left out (sid, experimental, and those to come); "0" as the
fixed version means that the release never was affected; undetermined counts as open, because nobody said that it is
not; what is no-dsa (postponed, ignored) or unimportant is deferred, with the tracker's reason. One garbled entry
raises `ValueError` and the file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from brakeline.advisories.osv.documents import TEXT_MAX
from brakeline.advisories.osv.hints import UNIMPORTANT
from brakeline.advisories.osv.model import Span
from brakeline.advisories.osv.purl import CODENAMES
from brakeline.advisories.texts import encodable
from brakeline.core.debversion import BadVersion, deb_key

ID: Final = re.compile(r"(CVE-[0-9]{4}-[0-9X]{1,19}|TEMP-[0-9A-F]{1,16}-[0-9A-F]{1,16})")
SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]{0,99}")
STATES: Final = {"resolved": "fixed", "open": "open", "undetermined": "open"}
NEVER: Final = "0"


def spans(document: Any, at: str) -> list[Span]:
    """Every row; `at` is the time of the file. Raises `ValueError`."""
    try:
        return list(_rows(document, at))
    except (KeyError, TypeError, AttributeError) as e:
        raise ValueError(f"this is not the tracker's file: {e!r:.80}") from None


def _rows(document: dict[str, dict[str, Any]], at: str) -> Iterator[Span]:
    for source, issues in document.items():
        for id_, issue in issues.items():
            if not SOURCE.fullmatch(source) or not ID.fullmatch(id_):
                raise ValueError(f"no source or no id: {source[:40]!r}, {id_[:40]!r}")
            text = encodable(str(issue.get("description", ""))[:200], "description")
            head = Span("", source, id_, modified=at, summary=text)
            for codename, said in issue["releases"].items():
                if codename in CODENAMES:
                    yield _row(head._replace(ecosystem=f"debian:{CODENAMES[codename]}"), said)


def _deferred(said: dict[str, Any]) -> str:
    """Why no fix is to come soon, in the tracker's words; "" = it does not say so."""
    if "nodsa" not in said:
        return UNIMPORTANT if said.get("urgency") == "unimportant" else ""
    why, kind = str(said["nodsa"])[:200], str(said.get("nodsa_reason", ""))[:20]
    return encodable(f"no-dsa{f', {kind}' if kind else ''}: {why}", "nodsa")


def _row(head: Span, said: dict[str, Any]) -> Span:
    state, fixed = STATES[said["status"]], said.get("fixed_version", "")
    if state == "open":
        deferred = _deferred(said)
        return head._replace(state="deferred", reason=deferred) if deferred else head._replace(state="open")
    if fixed == NEVER:
        return head._replace(state="not_affected")
    if type(fixed) is not str or not 0 < len(fixed) <= TEXT_MAX:
        raise ValueError(f"{head.id} of {head.name} is resolved, and no version says since when")
    try:
        deb_key(fixed)
    except BadVersion as e:
        raise ValueError(f"{head.id} of {head.name}: {e}") from None
    return head._replace(state="fixed", fixed=fixed)
