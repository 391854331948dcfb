"""A tree of OVAL criteria -> alternatives, each of which all of its facts make true; pure.

A definition holds where any of its alternatives does. Facts: a package of a version, a module stream, or something that
is not understood, with the reason; what is true of every system of the release (it is of that release, its packages are
signed by the vendor) vanishes. `interval` says what one alternative comes to as an interval of versions of one
package, or why it cannot. Invariants: nothing is dropped silently; what nests too deeply or has too many alternatives
becomes a fact that is not understood, so it says nothing and is told; a file that would take too long is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

ALTERNATIVES_MAX: Final = 20_000  # a kernel of Red Hat has some hundred
NESTED_MAX: Final = 40
WORK_MAX: Final = 100_000_000  # of a whole file: about a minute; Red Hat's largest take a hundredth of it
TOO_MANY: Final = "it has too many alternatives"


class Package(NamedTuple):
    """A package is installed; `operation` with `version`: and its version is. `words`: the definition's own."""

    name: str
    operation: str = ""  # "", "less than", "less than or equal", "greater than or equal", "equals"
    version: str = ""
    words: str = ""


class Module(NamedTuple):
    """A module stream is enabled: "nodejs:18"."""

    stream: str


class Unclear(NamedTuple):
    """What is not understood, and why."""

    reason: str


class Leaf(NamedTuple):
    """A reference: `kind` "test" or "definition"."""

    kind: str
    id: str
    comment: str
    negated: bool


class Rest(NamedTuple):
    """A branch of a tree, with what it joins."""

    operator: str
    negated: bool
    children: tuple[Rest | Leaf, ...]


Fact = Package | Module | Unclear
Alternative = frozenset[Fact]
Alternatives = frozenset[Alternative]
TRUE: Final[Alternatives] = frozenset((frozenset(),))
FALSE: Final[Alternatives] = frozenset()


class Interval(NamedTuple):
    """What one alternative says of one package."""

    name: str
    module: str
    introduced: str
    fixed: str
    last_affected: str
    words: str


def unclear(reason: str) -> Alternatives:
    return frozenset((frozenset((Unclear(reason),)),))


def negated(found: Alternatives) -> Alternatives:
    """The opposite, of what is always or never so; of anything else nothing that an interval could say."""
    if found in (TRUE, FALSE):
        return FALSE if found == TRUE else TRUE
    return unclear("it asks for what is not there")


class Solver:
    """Works trees out. `leaf`: what (kind, id, comment) comes to. A whole file has a bounded cost: `ValueError`."""

    def __init__(self, leaf: Callable[[str, str, str], Alternatives]) -> None:
        self._leaf, self._left = leaf, WORK_MAX

    def solve(self, tree: Rest, depth: int = 0) -> Alternatives:
        """The alternatives of a tree."""
        if depth > NESTED_MAX:
            return unclear("its criteria are nested too deeply")
        parts = (self._child(child, depth) for child in tree.children)
        if tree.operator == "OR":
            found = self._either(parts)
        elif tree.operator == "AND":
            found = TRUE
            for part in parts:
                found = self._both(found, part)
        else:
            found = unclear(f"it joins by {tree.operator[:20]}")
        return negated(found) if tree.negated else found

    def _child(self, child: Rest | Leaf, depth: int) -> Alternatives:
        if isinstance(child, Rest):
            return self.solve(child, depth + 1)
        found = self._leaf(child.kind, child.id, child.comment)
        return negated(found) if child.negated else found

    def _either(self, parts: Iterable[Alternatives]) -> Alternatives:
        found = set[Alternative]()
        for part in parts:
            self._spend(len(part))
            found |= part
        if frozenset() in found:
            return TRUE
        return frozenset(found) if len(found) <= ALTERNATIVES_MAX else unclear(TOO_MANY)

    def _both(self, one: Alternatives, other: Alternatives) -> Alternatives:
        if FALSE in (one, other) or one == TRUE:
            return FALSE if FALSE in (one, other) else other
        if other == TRUE:
            return one
        if len(one) * len(other) > ALTERNATIVES_MAX:
            return unclear(TOO_MANY)
        self._spend(sum(map(len, one)) * len(other) + sum(map(len, other)) * len(one))
        return frozenset(a | b for a in one for b in other)

    def _spend(self, work: int) -> None:
        self._left -= work + 1
        if self._left < 0:
            raise ValueError("its criteria would take too long to work out")


def interval(facts: Alternative) -> Interval | str:
    """One alternative as an interval, or why it is none."""
    why = sorted(fact.reason for fact in facts if isinstance(fact, Unclear))
    if why:
        return why[0]
    packages = [fact for fact in facts if isinstance(fact, Package)]
    streams = {fact.stream for fact in facts if isinstance(fact, Module)}
    names = {package.name for package in packages}
    if len(names) != 1 or len(streams) > 1:
        return "it asks for no package" if not names else "it asks for several packages or streams at once"
    ends: dict[str, str] = {}
    for package in packages:
        for end in {"": (), "equals": ("greater than or equal", "less than or equal")}.get(
            package.operation, (package.operation,)
        ):
            if ends.setdefault(end, package.version) != package.version:
                return "it bounds a package twice"
    fixed, last = ends.get("less than", ""), ends.get("less than or equal", "")
    if fixed and last:
        return "it bounds a package twice"
    introduced, words = ends.get("greater than or equal", ""), max(package.words for package in packages)
    return Interval(names.pop(), next(iter(streams), ""), introduced, fixed, last, words)
