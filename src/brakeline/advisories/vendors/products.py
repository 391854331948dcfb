"""CSAF's product tree -> what a product id names: a package, its version, the release that it is of. Pure.

A CSAF document speaks of product ids alone. An id is a *component* (an rpm) within a *platform* (a release), joined by
relationships which may be nested: a build in a module stream in a repository. Invariants: a circle of relationships or
one that is nested too deeply raises `ValueError`; an id whose platform is no release that is assessed here (a
container, an extended support stream) answers None and is counted by the caller, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from brakeline.advisories.vendors.parts import listed, mapped, text

BRANCHES_MAX: Final = 500_000  # a document of the kernel has about 100,000
DEPTH_MAX: Final = 20
ID_MAX: Final = 1_000
PURL: Final = re.compile(
    r"pkg:(rpm|rpmmod)/[A-Za-z0-9._-]{1,40}/([^@?#/]{1,300})(?:@([^?#]{1,300}))?(?:\?([^#]{1,500}))?"
)
NEVRA: Final = re.compile(
    r"(?P<name>.{1,200})-(?:(?P<epoch>[0-9]{1,9}):)?(?P<version>[^-:\s]{1,100})-(?P<release>[^-:\s]{1,100}?)"
    r"(?:\.(?P<arch>src|nosrc|noarch|x86_64|i[3-6]86|aarch64|aarch64_ilp32|armv[5-8]h?l|ppc|ppc64|ppc64le|s390|s390x|ia64))?"
)
BARE: Final = re.compile(r"(?:lp|bp)?[0-9][^-]*\.[^-]*")  # a release told without an architecture: 150500.8.3.1
MODULE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+-]{0,60}):([A-Za-z0-9][A-Za-z0-9._+-]{0,40})(?::[^\s]{0,200})?")
NO_SOURCE: Final = frozenset(("src", "nosrc"))


class Build(NamedTuple):
    """What an id names. `version` "" = whichever; `source`: it is the source, not what was built of it."""

    ecosystem: str
    name: str
    version: str
    module: str = ""
    source: bool = False


class Component(NamedTuple):
    """A package or a module stream, not yet within a release."""

    name: str
    version: str
    module: str
    source: bool
    is_module: bool = False


class Tree:
    """The product tree of one document; `release_of` (a CPE -> "red-hat:9", None) is the vendor's own naming."""

    def __init__(self, said: Any, release_of: Callable[[str], str | None]) -> None:
        self._release_of = release_of
        self._products: dict[str, dict[str, Any]] = {}
        self._inside: dict[str, tuple[str, str]] = {}
        tree = mapped(said, "product_tree")
        self._walk(listed(tree.get("branches"), "branches", BRANCHES_MAX))
        for each in listed(tree.get("full_product_names"), "full_product_names", BRANCHES_MAX):
            self._keep(each)
        for each in listed(tree.get("relationships"), "relationships", BRANCHES_MAX):
            self._relate(mapped(each, "a relationship"))

    def _walk(self, branches: list[Any]) -> None:
        left = [(branch, 1) for branch in branches]
        seen = 0
        while left:
            branch, depth = left.pop()
            seen += 1
            if depth > DEPTH_MAX or seen > BRANCHES_MAX:
                raise ValueError(f"more than {BRANCHES_MAX} branches, or nested more than {DEPTH_MAX} deep")
            branch = mapped(branch, "a branch")
            if "product" in branch:
                self._keep(branch["product"])
            left += [(each, depth + 1) for each in listed(branch.get("branches"), "branches", BRANCHES_MAX)]

    def _keep(self, product: Any) -> None:
        product = mapped(product, "a product")
        self._products[text(product.get("product_id"), "product_id", ID_MAX)] = product

    def _relate(self, each: dict[str, Any]) -> None:
        whole = mapped(each.get("full_product_name"), "full_product_name")
        id_ = text(whole.get("product_id"), "product_id", ID_MAX)
        self._inside[id_] = (
            text(each.get("product_reference"), "product_reference", ID_MAX),
            text(each.get("relates_to_product_reference"), "relates_to_product_reference", ID_MAX),
        )

    def known(self, id_: str) -> bool:
        """Whether the tree has this id at all."""
        return id_ in self._products or id_ in self._inside

    def build(self, id_: str) -> Build | None:
        """What an id names; None where it is of no release, or no package, that is assessed here."""
        place = id_
        parts: list[Component] = []
        for _ in range(DEPTH_MAX):
            if place not in self._inside:
                break
            inner, place = self._inside[place]
            parts += [found] if (found := self._component(inner)) else []
        else:
            raise ValueError(f"relationships are a circle, or nested more than {DEPTH_MAX} deep: {id_[:80]!r}")
        release = self._release_of(self._cpe(place))
        packages = [part for part in parts if not part.is_module]
        if release is None or len(packages) != 1:
            return None
        package = packages[0]
        module = package.module or next((part.module for part in parts if part.is_module), "")
        return Build(release, package.name, package.version, module, package.source)

    def _helper(self, id_: str, key: str) -> str:
        helper = mapped(self._products.get(id_, {}).get("product_identification_helper"), "a helper")
        return text(helper[key], key, ID_MAX) if helper.get(key) is not None else ""

    def _cpe(self, id_: str) -> str:
        return self._helper(id_, "cpe")

    def _component(self, id_: str) -> Component | None:
        purl = self._helper(id_, "purl")
        if purl:
            return of_purl(purl)
        if id_ in self._inside:  # a component that is itself one within another: its own package counts
            return self._component(self._inside[id_][0]) if self._inside[id_][0] not in self._inside else None
        name = str(self._products.get(id_, {}).get("name", id_))
        return of_name(text(name, "a product's name", ID_MAX))


class NamedTree(Tree):
    """The tree of a vendor whose products are no packages: a product is named, and its branches are its versions."""

    def __init__(self, said: Any, ecosystem: str) -> None:
        self._ecosystem = ecosystem
        self._named: dict[str, tuple[str, str]] = {}
        super().__init__(said, lambda _: None)

    def _walk(self, branches: list[Any]) -> None:
        super()._walk(branches)
        left = [(each, "") for each in branches]
        while left:  # as deep and as many as were just counted
            each, name = left.pop()
            branch = mapped(each, "a branch")
            category, said = branch.get("category"), branch.get("name")
            if category == "product_name":
                name = text(said, "a product's name")
            if name and "product" in branch:
                version = text(said, "a version") if category == "product_version" else ""
                self._named[str(branch["product"].get("product_id"))] = (name, version)
            left += [(inner, name) for inner in listed(branch.get("branches"), "branches", BRANCHES_MAX)]

    def build(self, id_: str) -> Build | None:
        """What an id names; None for a part of another product."""
        named = self._named.get(id_)
        return Build(self._ecosystem, *named, source=True) if named else None


def of_purl(purl: str) -> Component | None:
    """The package or module stream of a package URL; None for another. Raises `ValueError` for a garbled one."""
    found = PURL.fullmatch(purl)
    if found is None:
        if purl.startswith("pkg:rpm"):
            raise ValueError(f"no package URL of an rpm: {purl[:80]!r}")
        return None
    kind, name, version = found[1], unquote(found[2]), unquote(found[3] or "")
    said = dict(pair.partition("=")[::2] for pair in (found[4] or "").split("&"))
    if kind == "rpmmod":
        stream = version.partition(":")[0]
        return Component(name, version, f"{name}:{stream}" if stream else "?", source=False, is_module=True)
    epoch = unquote(said.get("epoch", ""))
    module = MODULE.fullmatch(unquote(said.get("rpmmod", "")))
    stream = f"{module[1]}:{module[2]}" if module else "?" if said.get("rpmmod") else ""
    if epoch and version and ":" not in version:
        version = f"{epoch}:{version}"
    return Component(name, version, stream, said.get("arch", "src") in NO_SOURCE)


def of_name(name: str) -> Component | None:
    """The same of a name without a package URL: "bind-9.9.4P2-0.6.1.x86_64", "curl", "nodejs:18:90200:abc"."""
    found = NEVRA.fullmatch(name)
    if found and (found["arch"] or BARE.fullmatch(found["release"])):
        epoch, arch = found["epoch"] or "0", found["arch"] or ""
        version = f"{found['version']}-{found['release']}"
        return Component(found["name"], version if epoch == "0" else f"{epoch}:{version}", "", arch in NO_SOURCE)
    if module := MODULE.fullmatch(name):
        return Component(module[1], "", f"{module[1]}:{module[2]}", source=False, is_module=True)
    return Component(name, "", "", source=True) if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}", name) else None
