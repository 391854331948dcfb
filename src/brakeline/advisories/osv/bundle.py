"""A feed's rows as one file that another cell imports without internet, and what a file would change; pure.

A bundle is one JSON document: feed, time of issue, rows, and the SHA-256 of the rows. Invariants: it is read as
strictly as what its makers published: every field of every row is checked again, rows of another ecosystem than the
feed's are refused, and so is a bundle whose rows are not those of its digest. The digest finds damage; it is no
signature, so whoever carries a bundle compares it with what the other cell printed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from brakeline.advisories.ecosystems import belongs, ecosystem_of, name_of
from brakeline.advisories.importers import BadFeed
from brakeline.advisories.model import AdvisoryState
from brakeline.advisories.osv.documents import ALIASES_MAX, ID, RELATED_MAX, TEXT_MAX, TIME, VERSIONS_MAX
from brakeline.advisories.osv.model import SPANS_MAX, Said, Span
from brakeline.advisories.texts import encodable

MARK: Final = b'{"brakeline_bundle":'
FORMAT: Final = 1
SAMPLES: Final = 20
PARTS_MAX: Final = 1_000_000
FIELDS: Final = len(Span._fields)
FIRST: Final = 16  # fields that older cells know; those behind are written where they say something
_STATES: Final = frozenset(state.value for state in AdvisoryState)
_BLANK: Final = Span("", "", "")


def pack(feed: str, issued: str, rows: Iterable[Span]) -> bytes:
    """The bundle of these rows: the same bytes for the same rows."""
    listed = [list(row) if row[FIRST:] != _BLANK[FIRST:] else list(row[:FIRST]) for row in sorted(rows)]
    head = {"brakeline_bundle": FORMAT, "feed": feed, "issued": issued, "sha256": digest(listed), "rows": listed}
    return json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()


def digest(rows: list[Any]) -> str:
    """SHA-256 of rows, however the file around them was written."""
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def is_bundle(data: bytes) -> bool:
    """Whether these bytes begin as a bundle does, whoever wrote the spaces."""
    return data[:40].replace(b" ", b"").startswith(MARK)


def unpack(data: bytes, feed: str, wanted: str) -> Said:
    """What a bundle says. Raises `BadFeed`, which numbers the row that is wrong."""
    try:
        said = json.loads(data)
        version, of, issued, claimed, rows = (
            said[key] for key in ("brakeline_bundle", "feed", "issued", "sha256", "rows")
        )
        found = digest(rows)
    except (ValueError, RecursionError, KeyError, TypeError) as e:
        raise BadFeed("this is no whole bundle", file=feed, error=repr(e)[:80]) from None
    if version != FORMAT or of != feed:
        raise BadFeed(f"a bundle of {str(of)[:40]}, format {str(version)[:10]}; here: {feed}, {FORMAT}", file=feed)
    if type(rows) is not list or not 0 < len(rows) <= SPANS_MAX or claimed != found:
        raise BadFeed("the rows are not those of the bundle's digest", file=feed, claimed=str(claimed)[:64])
    if type(issued) is not str or not TIME.fullmatch(issued):
        raise BadFeed("the bundle does not say when it was issued", file=feed)
    spans = [_checked(row, number, feed, wanted) for number, row in enumerate(rows, 1)]
    if len({span[:4] for span in spans}) < len(spans):
        raise BadFeed("a row stands there twice", file=feed, rows=len(spans))
    return Said(spans, issued, len({span.id for span in spans}), 0)


def _checked(row: Any, number: int, feed: str, wanted: str) -> Span:
    try:
        return _span(row, wanted)
    except (ValueError, TypeError) as e:
        raise BadFeed(f"row {number}: {str(e)[:120]}", file=feed) from None


def _span(row: Any, wanted: str) -> Span:
    if type(row) is not list or not FIRST <= len(row) <= FIELDS:
        raise ValueError(f"a row has {FIRST} to {FIELDS} fields")
    span = Span(*row)
    span = span._replace(
        versions=_texts(span.versions, VERSIONS_MAX), aliases=_texts(span.aliases, ALIASES_MAX),
        related=_texts(span.related, RELATED_MAX),
    )  # fmt: skip
    if type(span.part) is not int or not 0 <= span.part < PARTS_MAX:
        raise ValueError("part counts from 0")
    for value, default in zip(span, _BLANK, strict=True):
        if type(default) is str and (type(value) is not str or len(encodable(value, "a field")) > TEXT_MAX):
            raise ValueError(f"a text of at most {TEXT_MAX} characters")
    times = (span.published, span.modified, span.withdrawn)
    if not ID.fullmatch(span.id) or span.state not in _STATES or any(t and not TIME.fullmatch(t) for t in times):
        raise ValueError("no id, no state or no time")
    span = span._replace(ecosystem=ecosystem_of(span.ecosystem))  # older cells wrote other names
    if not belongs(span.ecosystem, wanted):
        raise ValueError(f"{span.ecosystem!r} is not {wanted}")
    if not span.name or name_of(span.ecosystem, span.name) != span.name or (span.fixed and span.last_affected):
        raise ValueError("no name, or two ends")
    return span


def _texts(listed: Any, most: int) -> tuple[str, ...]:
    if type(listed) not in (list, tuple) or len(listed) > most:
        raise ValueError(f"a list of at most {most}")
    if not all(type(each) is str and 0 < len(encodable(each, "a text")) <= TEXT_MAX for each in listed):
        raise ValueError("a list of texts")
    return tuple(listed)


@dataclass(frozen=True, slots=True)
class Difference:
    """Advisories that a file would add, take away and change; of each kind the first twenty by id."""

    added: int
    removed: int
    changed: int
    same: int
    samples: dict[str, list[str]]


def difference(live: Iterable[Span], new: Iterable[Span]) -> Difference:
    """What would become of the advisories that are live."""
    before, after = _by_id(live), _by_id(new)
    added, removed = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
    changed = sorted(id_ for id_ in before.keys() & after.keys() if before[id_] != after[id_])
    samples = {"added": added[:SAMPLES], "removed": removed[:SAMPLES], "changed": changed[:SAMPLES]}
    same = len(before) - len(removed) - len(changed)
    return Difference(len(added), len(removed), len(changed), same, samples)


def _by_id(rows: Iterable[Span]) -> dict[str, frozenset[Span]]:
    found: dict[str, set[Span]] = {}
    for row in rows:
        found.setdefault(row.id, set()).add(row)
    return {id_: frozenset(spans) for id_, spans in found.items()}
