"""What is installed, what is newer, and why each that would not be installed now would not."""

import os
from typing import Any

from brakeline.agent.providers.dnf.child.base import Refuse, library
from brakeline.agent.providers.dnf.child.opening import (
    LOCKLIST,
    filled,
    here,
    installed_rows,
    newest,
    read_locks,
    recorded,
    vendor_of,
    version_of,
)
from brakeline.agent.providers.dnf.child.resolving import resolved

ALONE_MAX = 12  # updates that are resolved one by one to say why they wait
HELD = "Held on this endpoint by its owner (exclude or versionlock)."
WAS_TAKEN_BACK = "Taken back on this endpoint: an order for it, or a newer version, brings the package again."


def look(request: "dict[str, Any]") -> "dict[str, Any]":
    """What is installed and what is newer, with the reason of each that would not be installed now.

    `alone`: only what is installed; no repository's metadata is read for that.
    """
    if request.get("alone"):
        return {"installed": installed_rows(recorded(request))}
    try:
        base, lists = filled(request), ""
    except Refuse as e:
        base, lists = recorded(request), e.reason
    rows: list[dict[str, Any]] = installed_rows(base)
    answer: dict[str, Any] = {"installed": rows, "pending": [], "lists_problem": lists}
    if request.get("pending"):
        answer["pending"] = pending(base)
        labels = module_labels(request["root"])
        for found in rows:
            found["module"] = labels.get((found["name"], found["arch"], found["version"]), "")
    return answer


def module_labels(root: str) -> "dict[tuple[str, str, str], str]":
    """Label of each package that was built in a module, from rpm's records: dnf's library does not say it."""
    rpm = library("rpm")
    transaction = rpm.TransactionSet(root)
    transaction.setVSFlags(rpm._RPMVSF_NOSIGNATURES | rpm._RPMVSF_NODIGESTS)
    found = {}
    for h in transaction.dbMatch():
        label = h["modularitylabel"]
        if label:
            epoch = "" if not h["epoch"] else str(h["epoch"]) + ":"
            found[(h["name"], h["arch"], epoch + h["version"] + "-" + h["release"])] = label
    return found


def pending(base: Any) -> "list[dict[str, Any]]":
    hawkey = library("hawkey")
    have = newest(here(base))
    free = newest(base.sack.query().available())
    every = newest(base.sack.query(flags=hawkey.IGNORE_REGULAR_EXCLUDES).available())  # streams of modules stay
    rows, ask = [], []
    back = set(read_locks(os.path.join(str(base.conf.installroot), LOCKLIST))[1].values())
    for key, p in sorted(have.items(), key=lambda item: item[0]):
        candidate, best = free.get(key), every.get(key)
        if candidate is not None and candidate > p:
            rows.append(row(p, candidate, "available", ""))
            ask.append((rows[-1], candidate))
        elif best is not None and best > p:
            ours = (best.name, version_of(best)) in back
            rows.append(row(p, best, "held", WAS_TAKEN_BACK if ours else HELD))
    together = resolved(base, [c for _, c in ask], False)
    if isinstance(together, str) or any(not a[2] or not a[3] for a in together) or len(together) < len(ask):
        for found, candidate in ask[:ALONE_MAX]:
            found["state"], found["reason"] = alone(base, candidate)
    return rows


def row(p: Any, candidate: Any, state: str, reason: str) -> "dict[str, Any]":
    hawkey = library("hawkey")
    security, advisories, cves = False, [], []
    for advisory in p.get_advisories(hawkey.GT):
        mine = [x for x in advisory.packages if x.name == p.name and p.base.sack.evr_cmp(x.evr, candidate.evr) <= 0]
        if mine:
            security = security or advisory.type == hawkey.ADVISORY_SECURITY
            advisories.append(advisory.id)
            cves += [r.id for r in advisory.references if r.type == hawkey.REFERENCE_CVE]
    return {
        "name": p.name, "arch": p.arch, "installed": version_of(p), "candidate": version_of(candidate),
        "repository": candidate.reponame, "security": security, "advisories": sorted(set(advisories)),
        "cves": sorted(set(cves)), "state": state, "reason": reason, "size": candidate.downloadsize,
        "vendor": [vendor_of(p), vendor_of(candidate)],
    }  # fmt: skip


def alone(base: Any, candidate: Any) -> "tuple[str, str]":
    found = resolved(base, [candidate], False)
    if isinstance(found, list) and found:
        new = sorted({a[0] for a in found if not a[2]})
        return ("needs_new_packages", "Needs new packages: " + ", ".join(new) + ".") if new else ("available", "")
    with_removals = resolved(base, [candidate], True, strict=True)
    if isinstance(with_removals, list) and with_removals:
        gone = sorted({a[0] for a in with_removals if not a[3]})
        if gone:
            return "needs_removal", "Needs " + ", ".join(gone) + " to be removed."
    why = resolved(base, [candidate], False, strict=True)
    return "kept_back", "Kept back: " + (why if isinstance(why, str) else "dnf finds no way to install it") + "."
