"""What OVAL's tests mean: a package below a version, a module stream, or what is so on every system of a release. Pure.

Objects, states and variables are looked up when a criterion asks for a test, as files name them in any order.
Invariants: a test of a kind, an operation or a check that is not listed here comes to a fact that is not understood; a
package that is signed by its vendor, and a kernel that is running, are judged by the matcher itself (origin,
`uname -r`), so those tests vanish; architectures are not told apart.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from brakeline.advisories.vendors.criteria import FALSE, TRUE, Alternatives, Module, Package, negated, unclear
from brakeline.advisories.vendors.parts import text
from brakeline.advisories.vendors.xmltree import Element

PACKAGES: Final = frozenset(("rpminfo_test", "dpkginfo_test"))
OPERATIONS: Final = frozenset(("less than", "less than or equal", "greater than or equal", "equals"))
MODULE: Final = re.compile(r"Module ([A-Za-z0-9._+-]{1,80}:[A-Za-z0-9._+-]{1,80}) is enabled")
MODULE_FILE: Final = re.compile(r"/etc/dnf/modules\.d/(.+)\.module")
RUNNING: Final = re.compile(r"kernel.{0,80} is (?:currently running|set to boot up on next boot)")
RELEASE_FILE: Final = "/etc/redhat-release"
RELEASE_PACKAGE: Final = re.compile(r"(?:redhat|centos|oraclelinux)-release(?:-[a-z]+)?")
SOURCE_OF_VARIABLE: Final = re.compile(r"'([a-z0-9][a-z0-9+.-]{0,99})' package binaries")
SOURCE_OF_TEST: Final = re.compile(r"Does the '([a-z0-9][a-z0-9+.-]{0,99})' package exist\b.*", re.DOTALL)
SOURCE_OF_CRITERION: Final = re.compile(r"(?:\(.{0,40}\) )?([a-z0-9][a-z0-9+.-]{0,99}):? package in .*", re.DOTALL)
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
PARTS_MAX: Final = 3_000_000


class _Test(NamedTuple):
    kind: str
    check: str
    existence: str
    comment: str
    object: str
    states: tuple[str, ...]


class _Object(NamedTuple):
    name: str
    variable: str
    path: str


class _State(NamedTuple):
    """`known`: nothing in it but what is read here."""

    operation: str
    version: str
    known: bool


class Tests:
    """The tests of one file, with what they refer to."""

    def __init__(self) -> None:
        self._tests: dict[str, _Test] = {}
        self._objects: dict[str, _Object] = {}
        self._states: dict[str, _State] = {}
        self._variables: dict[str, str] = {}  # id -> its comment

    def add(self, said: Element) -> None:
        """One child of the lists of tests, objects, states and variables. Raises `ValueError`."""
        id_ = text(said.attributes.get("id"), f"the id of a {said.name[:40]}", 200)
        count = len(self._tests) + len(self._objects) + len(self._states) + len(self._variables)
        if id_ in self._tests or id_ in self._objects or id_ in self._states or count >= PARTS_MAX:
            raise ValueError(f"{id_} stands there twice, or there are over {PARTS_MAX} of them")
        if said.name.endswith("_test"):
            self._tests[id_] = _test(said)
        elif said.name.endswith("_object"):
            self._objects[id_] = _object(said)
        elif said.name.endswith("_state"):
            self._states[id_] = _state(said)
        elif said.name == "constant_variable":
            self._variables[id_] = said.attributes.get("comment", "")[:300]

    def meaning(self, id_: str, comment: str) -> Alternatives:
        """What a test comes to; `comment`: of the criterion that refers to it."""
        test = self._tests.get(id_)
        if test is None:
            return unclear("it refers to a test that is not there")
        what = self._objects.get(test.object, _Object("", "", ""))
        if what.path == RELEASE_FILE or RELEASE_PACKAGE.fullmatch(what.name) or test.kind == "family_test":
            return FALSE if test.check == "none satisfy" or test.existence == "none_exist" else TRUE
        if test.kind == "uname_test" or RUNNING.search(test.comment or comment):
            return TRUE if RUNNING.search(test.comment or comment) else unclear("it compares what runs, by uname")
        if found := MODULE.fullmatch(test.comment or comment):
            file = MODULE_FILE.fullmatch(what.path)
            fits = file is not None and file[1] == found[1].partition(":")[0]
            return _fact(Module(found[1])) if fits else unclear("its module stream and its file differ")
        if test.kind not in PACKAGES:
            return unclear(f"it asks by {test.kind[:40]}")
        return self._package(test, what, comment)

    def _package(self, test: _Test, what: _Object, comment: str) -> Alternatives:
        rpm = test.kind == "rpminfo_test"
        if test.check not in ("at least one", "none satisfy", "all" if not rpm or not test.states else ""):
            return unclear(f"it checks {test.check[:20]!r}")
        states = [self._states.get(one) for one in test.states]
        state = states[0] if states else None
        if len(states) > 1 or (states and (state is None or not state.known)):
            return unclear("it asks for more of a package than its version")
        if state is not None and not state.operation:
            return TRUE  # signed by its vendor
        name = what.name if rpm else self._source(test, what, comment)
        if not NAME.fullmatch(name):
            return unclear("it names binary packages, and not their source" if not rpm else "it names no package")
        fact = _fact(Package(name, state.operation if state else "", state.version if state else "", comment))
        no = test.check == "none satisfy" or test.existence == "none_exist"
        return negated(fact) if no else fact

    def _source(self, test: _Test, what: _Object, comment: str) -> str:
        """Ubuntu's advisories speak of sources, its tests of what was built of them."""
        said = (
            SOURCE_OF_VARIABLE.fullmatch(self._variables.get(what.variable, "")),
            SOURCE_OF_TEST.fullmatch(test.comment), SOURCE_OF_CRITERION.fullmatch(comment),
        )  # fmt: skip
        return next((found[1] for found in said if found), "")


def _fact(what: Package | Module) -> Alternatives:
    return frozenset((frozenset((what,)),))


def _test(said: Element) -> _Test:
    get, what = said.attributes.get, said.first("object")
    return _Test(
        said.name, get("check", ""), get("check_existence", "at_least_one_exists"), get("comment", "")[:300],
        what.attributes.get("object_ref", "") if what is not None else "",
        tuple(each.attributes.get("state_ref", "") for each in said.all("state")),
    )  # fmt: skip


def _object(said: Element) -> _Object:
    name, path = said.first("name"), said.said("filepath")[:200]
    if name is not None and name.attributes.get("operation", "equals") != "equals":
        return _Object("", "", path)  # a pattern: which packages it means is not known, and the file of a release is
    variable = name.attributes.get("var_ref", "") if name is not None else ""
    return _Object(said.said("name")[:200], variable, path)


def _state(said: Element) -> _State:
    """A version, or a signature; which architectures a package is built for says nothing of its version."""
    version, known = said.first("evr"), {"evr", "arch", "signature_keyid"}
    others = {each.name for each in said.children} - known
    if version is None:
        return _State("", "", said.first("signature_keyid") is not None and not others)
    operation = version.attributes.get("operation", "equals")
    evr = version.text.strip().removeprefix("0:")
    return _State(operation, evr[:500], operation in OPERATIONS and not others and bool(evr))
