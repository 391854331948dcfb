"""OVAL definitions of Red Hat and Ubuntu (XML) -> rows; pure.

A definition is a tree of tests; a test is an object (a package), a state (below a version) and how they are compared.
`oval_tests` says what a test comes to, `criteria` what a tree does. A row is one alternative of a tree that comes to
one interval of versions of one package; whatever does not is left out and counted by its reason, never guessed.
Invariants: ids of another maker refuse the file; an id twice refuses it; a definition that refers to itself, or to what
is not there, is left out. Red Hat's definitions name packages and Ubuntu's name the source in their words; a source
that is not named is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from brakeline.advisories.ecosystems import canonical, key_of
from brakeline.advisories.osv.documents import ID
from brakeline.advisories.osv.model import SPANS_MAX, Span
from brakeline.advisories.vendors import releases
from brakeline.advisories.vendors.criteria import (
    FALSE,
    NESTED_MAX,
    TRUE,
    Alternatives,
    Leaf,
    Rest,
    Solver,
    interval,
    unclear,
)
from brakeline.advisories.vendors.oval_tests import Tests
from brakeline.advisories.vendors.parts import moment, prose, text
from brakeline.advisories.vendors.xmltree import Element, parts
from brakeline.core.debversion import BadVersion

ROOT: Final = "http://oval.mitre.org/XMLSchema/oval-definitions-5 oval_definitions"
LOOKED_UP: Final = ("_test", "_object", "_state", "_variable")
CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{1,19}")
UBUNTU: Final = re.compile(r"Ubuntu ([0-9]{2}\.[0-9]{2})(?: LTS)?")
EXTENDED: Final = re.compile(r"cpe:/[oa]:redhat:rhel_(?:eus|aus|tus|e4s|els|extras_[a-z]+_els)\b")
VECTOR: Final = re.compile(r"CVSS:[34]\.[0-9]/[A-Z][A-Z0-9:/.]{1,200}")
PUBLIC: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?![0-9])")  # 20190828, 20190828:1000
UNAFFECTED: Final = "oval:com.redhat.unaffected:"
DEFINITIONS_MAX: Final = 200_000
CRITERIA_MAX: Final = 200_000  # of one definition
DEFERRED: Final = ("Will not fix", "Out of support scope", "Fix deferred")
MODULE_OF: Final = re.compile(r"[A-Za-z0-9._+-]+:[A-Za-z0-9._+-]+/(.+)")


class Release(NamedTuple):
    """Of which release a definition is; "" = of none, and why."""

    ecosystem: str
    reason: str


class Maker(NamedTuple):
    """Whose definitions are read: what its ids begin with, and the releases that one definition is of."""

    name: str
    ids: str
    release: Callable[[Element], Release]


class Definition(NamedTuple):
    """One definition as it is kept until its tests are known."""

    id: str
    kind: str  # its class: patch | vulnerability | inventory | ...
    head: Span  # id, aliases, times, severity, summary
    release: Release
    resolutions: dict[str, str]  # package -> what is to become of it; "" = of every package
    tree: Rest


class Document(NamedTuple):
    """What a file says. `left_out`: reason -> how many alternatives or definitions."""

    issued: str
    rows: list[Span]
    definitions: int
    left_out: dict[str, int]


def red_hat(definition: Element) -> Release:
    """By the CPEs of what is affected; of an extended stream, or of nothing that is assessed here: why."""
    cpes = [each.text.strip()[:200] for each in definition.walk() if each.name == "cpe"]
    if any(EXTENDED.match(cpe) for cpe in cpes):
        return Release("", "it is of an extended stream, whose fixes are another line of versions")
    return _one({release for cpe in cpes if (release := releases.red_hat(cpe))})


def ubuntu(definition: Element) -> Release:
    """By the platforms that it names."""
    said = [each.text.strip()[:200] for each in definition.walk() if each.name == "platform"]
    return _one({canonical(f"ubuntu:{of[1]}") for each in said if (of := UBUNTU.fullmatch(each))})


def _one(found: set[str]) -> Release:
    """Tests of a release vanish, so a definition is of one: else a fix of one release would count in another."""
    if len(found) > 1:
        return Release("", "it is of several releases")
    return Release(found.pop(), "") if found else Release("", "it is of no release that is assessed here")


RED_HAT: Final = Maker("Red Hat", "oval:com.redhat.", red_hat)
CANONICAL: Final = Maker("Ubuntu", "oval:com.ubuntu.", ubuntu)


def read(data: bytes, maker: Maker) -> Document:
    """Raises `ValueError` or `BadVersion`."""
    definitions: dict[str, Definition] = {}
    tests, issued = Tests(), ""
    for part in parts(data, ROOT, lambda name: name in ("generator", "definition") or name.endswith(LOOKED_UP)):
        if part.name == "generator":
            issued = moment(part.said("timestamp"), "the generator's timestamp")
        elif part.name == "definition":
            found = _definition(part, maker, issued)
            if found.id in definitions or len(definitions) >= DEFINITIONS_MAX:
                raise ValueError(f"{found.id} stands there twice, or there are over {DEFINITIONS_MAX}")
            definitions[found.id] = found
        else:
            tests.add(part)
    if not issued:
        raise ValueError("its generator does not say when it was made")
    return _Reading(definitions, tests).document(issued)


def _definition(said: Element, maker: Maker, issued: str) -> Definition:
    id_ = text(said.attributes.get("id"), "the id of a definition", 200)
    if not id_.startswith(maker.ids):
        raise ValueError(f"it is of {id_[:60]}, not of {maker.name}")
    metadata = said.first("metadata")
    if metadata is None:
        raise ValueError(f"{id_} has no metadata")
    criteria = said.first("criteria")
    tree = _tree(criteria, [0]) if criteria is not None else Rest("OR", False, ())
    kind = said.attributes.get("class", "")
    return Definition(id_, kind, _head(id_, metadata, issued), maker.release(said), _resolutions(metadata), tree)


def _head(id_: str, metadata: Element, issued: str) -> Span:
    """The advisory that a definition is of: its own reference, or its CVE."""
    named = [text(each.attributes.get("ref_id"), "a reference", 200) for each in metadata.all("reference")]
    advisory = metadata.first("advisory")
    cves = advisory.all("cve") if advisory is not None else []
    known = sorted({one for one in (*named, *(each.text.strip() for each in cves)) if CVE.fullmatch(one)})
    own = next((one for one in named if not CVE.fullmatch(one)), known[0] if known else id_)
    if not ID.fullmatch(own):
        raise ValueError(f"no id: {own[:60]!r}")
    dates = {each.name: each.attributes.get("date", "") for each in (advisory.children if advisory else ())}
    updated = moment(dates["updated"], "updated") if dates.get("updated") else ""
    published = moment(dates["issued"], "issued") if dates.get("issued") else _public(cves) or updated or issued
    modified = updated or published
    vectors = {found[0] for each in cves for said in each.attributes.values() if (found := VECTOR.search(said))}
    return Span(
        "", "", own, aliases=tuple(one for one in known if one != own), published=published, modified=modified,
        severity=vectors.pop() if len(vectors) == 1 else "", summary=prose(metadata.said("title"), "title"),
    )  # fmt: skip


def _public(cves: list[Element]) -> str:
    """When the first of an advisory's CVEs became known; "" = that is not said. What has no fix was never issued."""
    days = [found for each in cves if (found := PUBLIC.match(each.attributes.get("public", "")))]
    return min((moment("-".join(day.groups()), "public") for day in days), default="")


def _resolutions(metadata: Element) -> dict[str, str]:
    """Package -> what its vendor means to do about it, of what has no fix."""
    found: dict[str, str] = {}
    for each in metadata.walk():
        if each.name == "resolution":
            state = text(each.attributes.get("state"), "a state", 100)
            components = [of.text.strip()[:200] for of in each.all("component")] or [""]
            found |= dict.fromkeys((MODULE_OF.sub(r"\1", one) for one in components), state)
    return found


def _tree(said: Element, count: list[int]) -> Rest:
    children: list[Rest | Leaf] = []
    for each in said.children:
        count[0] += 1
        if count[0] > CRITERIA_MAX:
            raise ValueError(f"a definition has more than {CRITERIA_MAX} criteria")
        no = each.attributes.get("negate") in ("true", "1")
        comment = each.attributes.get("comment", "")[:300]
        if each.name == "criteria":
            children.append(_tree(each, count))
        elif each.name in ("criterion", "extend_definition"):
            kind = "test" if each.name == "criterion" else "definition"
            children.append(Leaf(kind, each.attributes.get(f"{kind}_ref", ""), comment, no))
    return Rest(said.attributes.get("operator", "AND"), said.attributes.get("negate") in ("true", "1"), tuple(children))


class _Reading:
    """Definitions and tests of one file -> rows."""

    def __init__(self, definitions: dict[str, Definition], tests: Tests) -> None:
        self._definitions, self._tests = definitions, tests
        self._solver = Solver(self._leaf)
        self._known: dict[str, Alternatives] = {}
        self._left_out = Counter[str]()
        self._depth = 0  # of definitions that refer to each other

    def document(self, issued: str) -> Document:
        rows: list[Span] = []
        for definition in self._definitions.values():
            if definition.kind in ("patch", "vulnerability"):
                rows += self._rows(definition)
            if len(rows) > SPANS_MAX:
                raise ValueError(f"more than {SPANS_MAX} rows")
        return Document(issued, rows, len(self._definitions), dict(self._left_out))

    def _leaf(self, kind: str, id_: str, comment: str) -> Alternatives:
        if kind == "test":
            return self._tests.meaning(id_, comment)
        if id_ not in self._known:
            definition = self._definitions.get(id_)
            if definition is None:
                return unclear("it refers to a definition that is not there")
            if definition.kind == "inventory":
                return TRUE
            if self._depth > NESTED_MAX:
                return unclear("its definitions refer to each other through too many others")
            self._known[id_] = unclear("its definitions refer to each other in a circle")  # until it is worked out
            self._depth += 1
            self._known[id_] = self._solver.solve(definition.tree)
            self._depth -= 1
        return self._known[id_]

    def _rows(self, definition: Definition) -> Iterator[Span]:
        if not definition.release.ecosystem:
            self._left_out[definition.release.reason] += 1
            return
        if definition.id.startswith(UNAFFECTED):  # its criteria contradict each other, so that they are never true
            self._left_out["it names what is not affected, without saying why"] += 1
            return
        found = self._solver.solve(definition.tree)
        if found in (TRUE, FALSE):
            self._left_out["it says the same of every system"] += 1
            return
        for facts in sorted(found, key=lambda facts: sorted(map(repr, facts))):
            said = interval(facts)
            if isinstance(said, str):
                self._left_out[said] += 1
                continue
            row = definition.head._replace(
                name=said.name, module=said.module, introduced=said.introduced, fixed=said.fixed,
                last_affected=said.last_affected,
            )  # fmt: skip
            if not (said.fixed or said.last_affected):
                if definition.kind == "patch":
                    self._left_out["it names no version that closes it"] += 1
                    continue
                state, reason = _unfixed(definition, said.name, said.words)
                row = row._replace(state=state, reason=reason)
            yield _checked(row._replace(ecosystem=definition.release.ecosystem))


def _unfixed(definition: Definition, name: str, words: str) -> tuple[str, str]:
    """State and reason of what has no fix."""
    said = definition.resolutions.get(name, definition.resolutions.get("", ""))
    if said in DEFERRED or (not said and ("defer" in words or "ignored" in words)):
        return "deferred", said or prose(words, "words")
    if said == "Not affected":
        return "not_affected", said
    return "open", "" if said in ("", "Affected") else said


def _checked(row: Span) -> Span:
    """`row`, if its versions have a place in their order. Raises `BadVersion` now, not when they are compared."""
    key = key_of(row.ecosystem)
    ends = [key(end) if end and key is not None else None for end in (row.introduced, row.fixed, row.last_affected)]
    if ends[0] is not None and any(end is not None and end < ends[0] for end in ends[1:]):
        raise BadVersion("an interval ends before it begins", version=row.introduced[:80])
    return row
