"""RustSec: the front matter of an advisory (TOML above its text, or as JSON) -> rows of crates.io; pure.

RustSec says which versions are patched or never were affected; what is left of all versions is vulnerable. Invariants:
the complement is computed in the order of versions over half-open intervals, so overlapping statements do no harm; a
requirement that is not understood raises `ValueError` and the file is refused. An advisory that only informs
("unmaintained") is kept and says so in its summary.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from brakeline.advisories.osv.documents import ID
from brakeline.advisories.osv.model import Span
from brakeline.advisories.texts import encodable
from brakeline.advisories.versions.semver import semver_key
from brakeline.core.debversion import BadVersion

DAY: Final = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]")
PART: Final = re.compile(r"\s*(>=|<=|>|<|=|\^|)\s*([0-9][0-9A-Za-z.+-]{0,80})\s*")
NUMBERS: Final = re.compile(
    r"([0-9]{1,18})(?:\.([0-9]{1,18}))?(?:\.([0-9]{1,18}))?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
)
REQUIREMENTS_MAX: Final = 200
ECOSYSTEM: Final = "crates.io"
FENCE: Final = "```"


class Bound(NamedTuple):
    """A place in the order of versions. `after`: the version that it comes right behind, "" = it is one itself."""

    key: bytes
    text: str
    after: str = ""


class Interval(NamedTuple):
    """From `low` on, up to `high` and not with it; None = no bound."""

    low: Bound | None
    high: Bound | None


def front_matter(text: str) -> dict[str, Any]:
    """Of an advisory as the database publishes it: Markdown that begins with a block of TOML. Raises `ValueError`."""
    begin, fence, rest = text.partition(f"{FENCE}toml\n")
    block, end, prose = rest.partition(f"\n{FENCE}")
    if begin.strip() or not fence or not end:
        raise ValueError("it begins with no block of TOML")
    title = next((line for line in prose.splitlines() if line.startswith("# ")), "")
    return {**tomllib.loads(block), "title": title}


def spans(document: Any) -> list[Span]:
    """The rows of one advisory. Raises `ValueError`."""
    try:
        return _spans(document)
    except (KeyError, TypeError, AttributeError, BadVersion) as e:
        raise ValueError(f"a field is missing or garbled: {str(e)[:80]}") from None


def _spans(document: dict[str, Any]) -> list[Span]:
    said, versions = document["advisory"], document["versions"]
    id_, crate = said["id"], said["package"]
    if not ID.fullmatch(id_) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", crate):
        raise ValueError(f"no id or no crate: {id_[:40]!r}, {crate[:40]!r}")
    withdrawn = said.get("withdrawn")
    head = Span(
        ECOSYSTEM, crate, id_, aliases=_aliases(said.get("aliases", []), id_),
        state="open" if withdrawn is None else "withdrawn", severity=_text(said.get("cvss", ""), 300),
        published=_day(said["date"]), modified=_day(withdrawn or said["date"]),
        withdrawn=_day(withdrawn) if withdrawn else "",
        summary=_summary(said.get("informational"), document.get("title", "")),
    )  # fmt: skip
    safe = [*versions["patched"], *versions.get("unaffected", [])]
    if len(safe) > REQUIREMENTS_MAX:
        raise ValueError(f"more than {REQUIREMENTS_MAX} requirements")
    return [_row(head, part, each) for part, each in enumerate(complement(map(requirement, safe)))]


def _row(head: Span, part: int, each: Interval) -> Span:
    low, high = each
    row = head._replace(part=part, introduced=low.text if low else "")
    if high is None:
        return row
    if high.after:
        return row._replace(last_affected=high.after)
    return row._replace(fixed=high.text, state="fixed" if row.state == "open" else row.state)


def requirement(text: str) -> Interval:
    """What a requirement of Cargo lets through ("^1.2", ">= 0.3.1, < 0.4"), as one interval."""
    low: Bound | None = None
    high: Bound | None = None
    for part in text.split(","):
        found = PART.fullmatch(part)
        if found is None:
            raise ValueError(f"no requirement: {text[:60]!r}")
        least, most = _limits(found[1], found[2])
        low = least if low is None or (least and least.key > low.key) else low
        high = most if high is None or (most and most.key < high.key) else high
    return Interval(low, high)


def _limits(sign: str, version: str) -> tuple[Bound | None, Bound | None]:
    full, behind, top = _versions(version)
    here, after = Bound(semver_key(full), full), Bound(semver_key(behind), behind, full)
    match sign:
        case ">=":
            return here, None
        case ">":
            return after, None
        case "<":
            return None, here
        case "<=":
            return None, after
        case "=":
            return here, after
        case _:  # a caret, written or not
            return here, Bound(semver_key(top), top)


def _versions(text: str) -> tuple[str, str, str]:
    """(the whole version, the one right behind it, the first that a caret does not let through)."""
    found = NUMBERS.fullmatch(text)
    if found is None:
        raise ValueError(f"no version: {text[:60]!r}")
    major, minor, patch = int(found[1]), int(found[2] or 0), int(found[3] or 0)
    full = f"{major}.{minor}.{patch}{found[4] or ''}"
    behind = f"{full}.0" if found[4] else f"{major}.{minor}.{patch + 1}-0"
    if major or found[2] is None:
        return full, behind, f"{major + 1}.0.0-0"
    if minor or found[3] is None:
        return full, behind, f"0.{minor + 1}.0-0"
    return full, behind, f"0.0.{patch + 1}-0"


def complement(safe: Iterable[Interval]) -> Iterator[Interval]:
    """What no interval of `safe` has, in order."""
    reached: Bound | None = None  # everything below is told; None = nothing yet
    for low, high in sorted(safe, key=lambda i: i.low.key if i.low else b""):
        if low is not None and (reached is None or low.key > reached.key):
            yield Interval(reached, low)
        if high is None:
            return
        reached = high if reached is None or high.key > reached.key else reached
    yield Interval(reached, None)


def _aliases(listed: list[str], id_: str) -> tuple[str, ...]:
    return tuple(sorted({_text(a, 100) for a in listed} - {id_}))


def _summary(informs: Any, title: str) -> str:
    text = _text(title, 2000).lstrip("# ")[:180]
    return f"[{_text(informs, 20)}] {text}" if informs else text


def _day(day: str) -> str:
    if not DAY.fullmatch(day):
        raise ValueError(f"no day: {day[:40]!r}")
    return f"{day}T00:00:00Z"


def _text(value: str, most: int) -> str:
    if type(value) is not str or len(value) > most:
        raise ValueError(f"not a text of at most {most} characters")
    return encodable(value, "a text")
