"""The filter of the list of vulnerabilities: `priority:act kev:yes state:fixable_now source:curl CVE-2025`. Pure.

Terms are joined by *and*; a word without a key is part of a CVE id or of a source's name; unknown keys and values are
errors with a suggestion, because a filter that is silently ignored reads as an answer.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from brakeline.core.errors import Invalid
from brakeline.exposure.index import Exposed
from brakeline.exposure.model import FindingState
from brakeline.exposure.priority import Level
from brakeline.exposure.ranks import Rank

QUERY_CHARS_MAX = 500
_VALUES = {
    "kev": ("yes", "no"), "state": tuple(s.value for s in FindingState), "role": ("active", "carrier"),
    "priority": tuple(level.value for level in Level),
}  # fmt: skip
KEYS = (*_VALUES, "source")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a query asks for; "" = anything."""

    words: tuple[str, ...] = ()
    kev: str = ""
    state: str = ""
    role: str = ""
    source: str = ""
    priority: str = ""


def parse(query: str) -> Wanted:
    """Raises `Invalid`, with what was probably meant."""
    if len(query) > QUERY_CHARS_MAX:
        raise Invalid(f"a query has at most {QUERY_CHARS_MAX} characters")
    words, terms = [], {}
    for word in query.split():
        key, colon, value = word.partition(":")
        if not colon:
            words.append(word.lower())
        elif key not in KEYS:
            raise Invalid(f"unknown key {key!r}{_meant(key, KEYS)}")
        elif key in _VALUES and value not in _VALUES[key]:
            raise Invalid(f"{key}: cannot be {value!r}{_meant(value, _VALUES[key])}")
        else:
            terms[key] = value
    return Wanted(tuple(words), **terms)


def _meant(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def selected(entries: dict[str, Exposed], wanted: Wanted, ranks: Mapping[str, Rank]) -> list[Exposed]:
    """Those that match, worst first: by priority, then as `priority.sort_key` says, then by id, newest first."""
    found = [
        entry for entry in entries.values()
        if _matches(entry, wanted) and wanted.priority in ("", ranks[entry.cve].priority.level)
    ]  # fmt: skip
    found.sort(key=lambda entry: entry.cve, reverse=True)
    found.sort(key=lambda entry: (*ranks[entry.cve].key, -len(entry.carriers)))
    return found


def _matches(entry: Exposed, wanted: Wanted) -> bool:
    return (
        (not wanted.kev or entry.kev == (wanted.kev == "yes"))
        and (not wanted.source or wanted.source in entry.sources)
        and (not wanted.role or bool(entry.endpoints) == (wanted.role == "active"))
        and (not wanted.state or any(state.value == wanted.state for state in entry.states()))
        and all(word in entry.cve.lower() or any(word in source for source in entry.sources) for word in wanted.words)
    )
