"""What vendors' own files say of an inventory, read a second way: an oracle for the matcher. Slow, plain, independent.

Nothing of `brakeline` is imported. Documents are read as JSON and judged as OSV's schema tells it (events in the order
of versions), RustSec's by Cargo's requirements; versions are compared by rpm itself, by PyPA's `packaging`, and for
SemVer by its eleventh paragraph written down once more. Debian's expectation is debsecan's, kept as a file.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import zstandard
from packaging.version import Version

Pairs = set[tuple[str, str]]  # (package, CVE or the advisory's own id)
Item = dict[str, str]
Compare = Callable[[str, str], int]
PRE = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file, one a line, packed or not."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return [json.loads(line) for line in data.splitlines() if line.strip()]


def semver(a: str, b: str) -> int:
    """Point 11 of semver.org."""
    left, right = _parts(a), _parts(b)
    return (left > right) - (left < right)


def _parts(text: str) -> tuple[list[int], int, list[tuple[int, int, str]]]:
    found = PRE.fullmatch(text)
    assert found is not None, text
    pre = [(0, int(i), "") if i.isdigit() else (1, 0, i) for i in (found[4] or "").split(".") if i]
    return [int(found[n] or 0) for n in (1, 2, 3)], int(found[4] is None), pre


def pep440(a: str, b: str) -> int:
    left, right = Version(a), Version(b)
    return (left > right) - (left < right)


def by_rpm(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """rpm's own answers, all of one process."""
    asked = sorted(set(pairs))
    script = "".join(f'print(rpm.vercmp({json.dumps(a)},{json.dumps(b)}) .. " ")\n' for a, b in asked)
    said = subprocess.run(
        ["rpm", "--eval", "%{lua:" + script + "}"], capture_output=True, text=True, check=True
    ).stdout.split()
    return dict(zip(asked, map(int, said), strict=True))


def _named(document: dict[str, Any], key: str) -> list[str]:
    return [each for each in document.get(key) or [] if each.startswith("CVE-")]


def of_registry(items: list[Item], documents: list[dict[str, Any]], ecosystem: str, compare: Compare) -> Pairs:
    """OSV's documents of a language's registry."""
    wanted: dict[str, Item] = {_spelt(ecosystem, item["package"]): item for item in items}
    found: Pairs = set()
    for document in documents:
        if document.get("withdrawn"):
            continue
        for affected in document["affected"]:
            item = wanted.get(_spelt(ecosystem, affected["package"]["name"]))
            if item is None or affected["package"]["ecosystem"] != ecosystem:
                continue
            ranges = [r for r in affected.get("ranges", []) if r["type"] != "GIT"]
            if any(_within(item["version"], r["events"], compare) for r in ranges):
                found |= {(item["package"], name) for name in _named(document, "aliases") or [document["id"]]}
    return found


def _spelt(ecosystem: str, name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower() if ecosystem == "PyPI" else name


def _within(version: str, events: list[dict[str, str]], compare: Compare) -> bool:
    """The schema's own algorithm."""
    told: list[tuple[str, str]] = [(kind, at) for event in events for kind, at in event.items()]
    zero = [(kind, at) for kind, at in told if at == "0"]
    rest = [(kind, at) for kind, at in told if at != "0"]
    by_version = functools.cmp_to_key(compare)
    rest.sort(key=lambda event: by_version(event[1]))
    vulnerable = bool(zero)
    for kind, at in rest:
        if kind == "introduced" and compare(version, at) >= 0:
            vulnerable = True
        elif (kind == "fixed" and compare(version, at) >= 0) or (kind == "last_affected" and compare(version, at) > 0):
            vulnerable = False
    return vulnerable


def of_almalinux(items: list[Item], documents: list[dict[str, Any]], release: str) -> Pairs:
    """AlmaLinux's advisories: any of the builds of one advisory closes it; modules are other packages."""
    installed = {item["package"]: item["version"] for item in items}
    fixes: dict[tuple[str, str], list[str]] = {}
    cves = {document["id"]: _named(document, "related") for document in documents}
    for document in documents:
        for affected in document["affected"]:
            name = affected["package"]["name"]
            if name in installed and affected["package"]["ecosystem"] == release:
                for each in affected["ranges"]:
                    fixes.setdefault((document["id"], name), []).extend(
                        e["fixed"] for e in each["events"] if "fixed" in e and ".module" not in e["fixed"]
                    )
    order = by_rpm((installed[name], fixed) for (_, name), of in fixes.items() for fixed in of)
    return {
        (name, cve)
        for (id_, name), of in fixes.items()
        if of and all(order[installed[name], fixed] < 0 for fixed in of)
        for cve in cves[id_]
    }


def of_rustsec(items: list[Item], documents: list[dict[str, Any]]) -> Pairs:
    """RustSec: vulnerable is what is neither patched nor unaffected. A crate may stand there in several versions."""
    found: Pairs = set()
    for document in documents:
        said, versions = document["advisory"], document["versions"]
        safe = [*versions["patched"], *versions.get("unaffected", [])]
        for item in items:
            if item["package"] != said["package"] or said.get("withdrawn"):
                continue
            if not any(_lets(requirement, item["version"]) for requirement in safe):
                names = _named(said, "aliases") or [said["id"]]
                found |= {(item["package"], name) for name in names}
    return found


def _lets(requirement: str, version: str) -> bool:
    return all(_holds(part.strip(), version) for part in requirement.split(","))


def _holds(part: str, version: str) -> bool:
    found = re.fullmatch(r"(>=|<=|>|<|=|\^)?\s*(.+)", part)
    assert found is not None
    sign, bound = found[1] or "^", found[2]
    order = semver(version, bound)
    if sign != "^":
        return {">=": order >= 0, "<=": order <= 0, ">": order > 0, "<": order < 0, "=": order == 0}[sign]
    numbers = bound.partition("-")[0].split(".")
    first = next((n for n, digits in enumerate(numbers) if int(digits)), len(numbers) - 1)
    mine = re.split(r"[.+-]", version)
    return order >= 0 and mine[: first + 1] == numbers[: first + 1]
