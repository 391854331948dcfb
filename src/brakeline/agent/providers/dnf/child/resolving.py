"""What dnf would do for exactly these versions; `plan` is that, and nothing is changed."""

import os
from typing import Any

from brakeline.agent.providers.dnf.child.base import Refuse, flat, library
from brakeline.agent.providers.dnf.child.opening import filled, here, installed_rows, newest, version_of


def resolved(base: Any, packages: "list[Any]", erasing: bool, strict: bool = False) -> Any:
    """Actions [name, arch, before, after] for exactly these versions; a string = why there are none."""
    dnf, selector = library("dnf"), library("dnf.selector")
    base.reset(goal=True)
    several = {p.name for p in base._get_installonly_query()}
    for p in packages:
        if strict or p.name in several:
            chosen = selector.Selector(base.sack)
            chosen.set(pkg=[p])
            base.goal.install(select=chosen, optional=False)
        else:
            base.package_upgrade(p)
    return settled(base, erasing, dnf)


def settled(base: Any, erasing: bool, dnf: Any) -> Any:
    try:
        base.resolve(allow_erasing=erasing)
    except dnf.exceptions.Error as e:
        return flat(e).rstrip(".")
    return actions_of(base)


def actions_of(base: Any) -> "list[list[str]]":
    """What the resolved transaction does. Packages that may be there several times are put beside, never replaced."""
    if base.transaction is None:
        return []
    several = {p.name for p in base._get_installonly_query()}
    new, old = list(base.transaction.install_set), list(base.transaction.remove_set)
    actions = []
    for p in new:
        replaced = [q for q in old if (q.name, q.arch) == (p.name, p.arch)] if p.name not in several else []
        for q in replaced:
            old.remove(q)
        actions.append([p.name, p.arch, version_of(replaced[0]) if replaced else "", version_of(p)])
    actions += [[q.name, q.arch, version_of(q), ""] for q in old]
    return sorted(actions)


def brought(base: Any, packages: "list[Any]", erasing: bool) -> Any:
    """As `resolved`, and all of `packages` are in it: dnf itself leaves out what it cannot do, and ends with 0."""
    wanted = {(p.name, p.arch, version_of(p)) for p in packages}
    found = resolved(base, packages, erasing)
    if isinstance(found, list) and not wanted <= {(a[0], a[1], a[3]) for a in found}:
        found = resolved(base, packages, erasing, strict=True)
    return found


def plan(request: "dict[str, Any]") -> "dict[str, Any]":
    """The exact transaction of `targets` ([name, arch or "", version]); nothing is changed."""
    base = filled(request)
    packages, skipped = chosen_targets(base, request["targets"])
    found = brought(base, packages, request["removals"])
    if isinstance(found, str):
        raise Refuse("refused", "dnf finds no way to do this: " + found + ".")
    return {"actions": found, "skipped": skipped, "installed": installed_rows(base), **figures(base, found)}


def chosen_targets(base: Any, targets: "list[list[str]]") -> "tuple[list[Any], list[str]]":
    hawkey = library("hawkey")
    packages, skipped, asked = [], [], 0
    for name, arch, version in targets:
        for key, p in newest(here(base).filter(name=name)).items():
            if (arch and key[1] != arch) or base.sack.evr_cmp(version, version_of(p)) <= 0:
                continue
            asked += 1
            raw = base.sack.query(flags=hawkey.IGNORE_REGULAR_EXCLUDES).available().filter(name=name, arch=key[1])
            there = [q for q in raw if version_of(q) == version]
            free = [q for q in base.sack.query().available().filter(name=name, arch=key[1]) if version_of(q) == version]
            if free:
                packages.append(free[0])
            elif there:
                skipped.append(name + " is held on this endpoint by its owner")
            else:
                raise missing(name, version, list(raw))
    if not asked:
        raise Refuse("nothing_to_do", "Every update is installed already, or its package is not on this endpoint.")
    if not packages:
        raise Refuse(
            "held", "Held back on this endpoint by its owner: " + ", ".join(s.split()[0] for s in skipped) + "."
        )
    return packages, skipped


def missing(name: str, version: str, there: "list[Any]") -> Refuse:
    best = max(there) if there else None
    if best is not None and best.base.sack.evr_cmp(version_of(best), version) > 0:
        now = version_of(best)
        return Refuse(
            "refused", name + " " + version + " cannot be had any more; the repositories now have " + now + "."
        )
    return Refuse("lists_stale", name + " " + version + " is not in this endpoint's package lists.")


def figures(base: Any, actions: "list[list[str]]") -> "dict[str, Any]":
    """Bytes to fetch, growth, largest; and which former versions a repository still has."""
    new, old = base.transaction.install_set, base.transaction.remove_set
    back: list[str] = []
    gone: list[str] = []
    for name, arch, before, _ in actions:
        if before:
            (back if former(base, name, arch, before) is not None else gone).append(name)
    return {
        "download": sum(0 if os.path.exists(p.localPkg()) else p.downloadsize for p in new),
        "growth": sum(p.installsize for p in new) - sum(p.installsize for p in old),
        "largest": max([p.installsize for p in new] or [0]), "back": back, "gone": gone,
    }  # fmt: skip


def former(base: Any, name: str, arch: str, version: str) -> Any:
    """The repositories' package of exactly this version, held or not; None = they have none."""
    hawkey = library("hawkey")
    for p in base.sack.query(flags=hawkey.IGNORE_EXCLUDES).available().filter(name=name, arch=arch):
        if version_of(p) == version:
            return p
    return None
