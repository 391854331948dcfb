"""The filter language of console, CLI, API and policies: `os:debian -tag:lab missing:security seen:<1h "web 01"`.

Terms are joined by *and*; `key:a,b` means a or b; a leading `-` negates a term; anything without a key is free text.
Unknown keys and values are errors with a suggestion, never silently ignored (an ignored key widens a deployment).
`parse` and `render` are inverse to each other; SQL is made in `store.filters`. Pure.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Invalid

AGE_S_MAX: Final = 100 * 365 * 86400  # a century: beyond it somebody mistyped
QUERY_CHARS_MAX: Final = 2000  # a filter is typed by people or stored in a policy; longer is a mistake
TERMS_MAX: Final = 50

UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
YES_NO: Final = ("yes", "no")

# Keys and the values they allow; None = any text, "age" = <1h or >3d.
KEYS: Final[dict[str, tuple[str, ...] | str | None]] = {
    "os": None,  # "debian" or "debian-12"
    "tag": None,
    "region": None,
    "state": ("active", "cloned", "retired"),
    "missing": ("security", "any", "none"),  # pending updates; "none" = an inventory that has none
    "seen": "age",
    "enrolled": "age",
    "reboot": YES_NO,
    "healthy": YES_NO,  # package manager able to work
    "asleep": YES_NO,
    "class": ("server", "desktop", "laptop"),
    "agent": None,  # agent version
    "launcher": YES_NO,  # a launcher runs the agent: only then it takes releases
    "running": None,  # by what the launcher reports: release id that is executed now
    "confirmed": None,  # release id that passed its probation last
    "probation": None,  # release id on probation
    "quarantined": None,  # release id that failed there and is not tried again
    "kernel": None,
    "arch": None,
    "host": None,  # exact host name, or with * as wildcard
    "id": None,
    "package": None,  # installed package by name, or name=version
    "update": None,  # pending update by package name
}


class InvalidQuery(Invalid):
    """The filter cannot be understood."""

    code = "invalid-query"
    hint = 'Filters look like: os:debian -tag:lab missing:security seen:<1h "free text"'


@dataclass(frozen=True, slots=True)
class Match:
    """`key:value,value`: any of the values."""

    key: str
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Age:
    """`seen:<1h` (`newer`) or `seen:>3d`: compared with the time since."""

    key: str
    newer: bool
    seconds: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Free text: part of the host name or of the operating system's name, or the beginning of an id with its `ep_`.

    Without regard to case. Never a part of an id: those are drawn at random, and a filter that hits an endpoint by
    chance would widen a deployment.
    """

    text: str
    negated: bool = False


Term = Match | Age | Text


@dataclass(frozen=True, slots=True)
class Query:
    """All terms must hold; no terms = every endpoint that is not retired."""

    terms: tuple[Term, ...] = ()


_TOKEN = re.compile(r'\s*(?P<neg>-?)(?:(?P<key>[A-Za-z_]+):)?(?P<value>(?:"[^"]*"|[^\s"])*)')
_AGE = re.compile(r"([<>])(\d{1,10})([smhdw])")
_SAFE = re.compile(r'[^\s",:<>*-][^\s",:]*')


def parse(text: str) -> Query:
    """The filter that `text` means; `InvalidQuery` says which part is wrong and what was probably meant."""
    if len(text) > QUERY_CHARS_MAX:
        raise InvalidQuery(f"longer than {QUERY_CHARS_MAX} characters")
    if "\x00" in text:
        raise InvalidQuery("contains a NUL character")
    if text.count('"') % 2:
        raise InvalidQuery('a quotation mark (") is missing')
    terms: list[Term] = []
    position = 0
    rest = text.rstrip()
    while position < len(rest):
        found = _TOKEN.match(rest, position)
        assert found is not None, "the pattern matches anything"
        assert found.end() > position, "every character belongs to a token"
        terms.append(_term(found["key"], found["value"], bool(found["neg"]), found[0].strip()))
        position = found.end()
    if len(terms) > TERMS_MAX:
        raise InvalidQuery(f"more than {TERMS_MAX} terms")
    return Query(tuple(terms))


def _term(key: str | None, raw: str, negated: bool, shown: str) -> Term:
    if key is None:
        text = raw.replace('"', "")
        if not text.strip():
            raise InvalidQuery("an empty term", term=shown[:40])
        return Text(text, negated)
    key = key.lower()
    if key not in KEYS:
        raise InvalidQuery(f"unknown key {key!r}{_suggest(key, tuple(KEYS))}")
    values = _values(raw)
    if not all(values):
        raise InvalidQuery(f"{key}: needs a value", term=shown[:40])
    allowed = KEYS[key]
    if allowed == "age":
        return _age(key, values, negated)
    if isinstance(allowed, tuple):
        values = tuple(v.lower() for v in values)
        for value in values:
            if value not in allowed:
                raise InvalidQuery(f"{key}:{value} is unknown{_suggest(value, allowed)}")
    return Match(key, values, negated)


def _values(raw: str) -> tuple[str, ...]:
    """Split at commas outside quotation marks; the marks themselves go."""
    parts = re.findall(r'((?:"[^"]*"|[^",])*)(?:,|$)', raw)
    values = [p.replace('"', "") for p in parts]
    if len(values) > 1 and values[-1] == "" and not raw.endswith(","):
        values.pop()  # findall sees an empty match at the end
    return tuple(values)


def _age(key: str, values: tuple[str, ...], negated: bool) -> Age:
    found = _AGE.fullmatch(values[0]) if len(values) == 1 else None
    if not found:
        raise InvalidQuery(f"{key}:{','.join(values)} is no age; write {key}:<1h or {key}:>3d (s, m, h, d, w)")
    seconds = int(found[2]) * UNITS_S[found[3]]
    if seconds > AGE_S_MAX:
        raise InvalidQuery(f"{key}:{values[0]} is more than a century")
    return Age(key, found[1] == "<", seconds, negated)


def _suggest(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def render(query: Query) -> str:
    """The canonical text of a filter; `parse(render(q)) == q`."""
    return " ".join(_render_term(t) for t in query.terms)


def _render_term(term: Term) -> str:
    sign = "-" if term.negated else ""
    if isinstance(term, Text):
        return sign + (term.text if _SAFE.fullmatch(term.text) else f'"{term.text}"')
    if isinstance(term, Age):
        return f"{sign}{term.key}:{'<' if term.newer else '>'}{term.seconds}s"
    return f"{sign}{term.key}:" + ",".join(v if _SAFE.fullmatch(v) else f'"{v}"' for v in term.values)
