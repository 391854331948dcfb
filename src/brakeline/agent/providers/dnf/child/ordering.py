"""Whether what dnf would do now is exactly the order; anything else is refused."""

from typing import Any

from brakeline.agent.providers.dnf.child.base import Refuse, library
from brakeline.agent.providers.dnf.child.opening import filled, here, version_of
from brakeline.agent.providers.dnf.child.resolving import brought, settled


def ordered(base: Any, request: "dict[str, Any]") -> None:
    """Resolve the order; `Refuse` unless that is exactly the order."""
    found = as_ordered(base, request)
    want = sorted([list(a) for a in request["actions"]])
    if isinstance(found, str):
        raise Refuse("changed", "The situation has changed since the plan: " + found + ".")
    if found != want:
        raise Refuse("changed", "The situation has changed since the plan: " + unlike(want, found) + ".")


def as_ordered(base: Any, request: "dict[str, Any]") -> Any:
    dnf, selector = library("dnf"), library("dnf.selector")
    archives = request.get("archives") or {}
    local = {tuple(k.split("\t")): p for k, p in zip(archives, base.add_remote_rpms(list(archives.values())))}  # noqa: B905
    packages = []
    if not request.get("back"):
        for name, arch, before, after in request["actions"]:
            if before and after:
                packages.append(exact(base, name, arch, after))
        several = {p.name for p in base._get_installonly_query(here(base))}
        for name, arch, before, after in request["actions"]:
            if name in several and after and not before:
                packages.append(exact(base, name, arch, after))
        return brought(base, packages, request["removals"])
    for name, arch, before, after in request["actions"]:
        if after:
            chosen = selector.Selector(base.sack)
            chosen.set(pkg=[local[(name, arch, after)]])
            base.goal.install(select=chosen, optional=False)
        else:
            for p in here(base).filter(name=name, arch=arch):
                if version_of(p) == before:
                    base.goal.erase(p)
    return settled(base, True, dnf)


def exact(base: Any, name: str, arch: str, version: str) -> Any:
    for p in base.sack.query().available().filter(name=name, arch=arch):
        if version_of(p) == version:
            return p
    raise Refuse("changed", "The situation has changed since the plan: " + name + " " + version + " is not to be had.")


def unlike(want: "list[list[str]]", found: "list[list[str]]") -> str:
    extra = ["not ordered: " + " ".join(a) for a in found if a not in want]
    less = ["ordered, but not to happen: " + " ".join(a) for a in want if a not in found]
    return "; ".join((extra + less)[:6])


def would(request: "dict[str, Any]") -> "dict[str, Any]":
    """Whether the order would go now; `Refuse` says why not. Changes nothing, fetches nothing."""
    ordered(filled(request), request)
    return {}
