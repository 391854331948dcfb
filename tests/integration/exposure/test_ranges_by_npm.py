"""Ranges of GitHub's advisories for npm and crates.io as npm's own library understands them, beside our order.

npm's `semver` is asked whether each version that stands in one of the ranges is within it; our answer is the rows that
the same range becomes. Every version that the file names in an ecosystem is tried on every range of it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from brakeline.advisories.ecosystems import canonical, key_of
from brakeline.advisories.osv.hints import full

DATA = Path(__file__).resolve().parents[2] / "data" / "feeds" / "github-ranges.jsonl"
BOUND = re.compile(r"\s*(<=|>=|<|>|=)\s*([^\s,]+)\s*")
ASK = """
const semver = require(process.argv[1]), [ranges, versions] = JSON.parse(require('fs').readFileSync(0))
const options = {includePrerelease: true}
const bound = (op, v) => ({'<': semver.lt, '<=': semver.lte, '>': semver.gt, '>=': semver.gte, '=': semver.eq})[op]
const full = v => semver.valid(v) || semver.coerce(v).version
console.log(JSON.stringify(ranges.map(range => versions.map(
  v => range.every(([op, w]) => bound(op)(full(v), full(w)))))))
"""


@pytest.mark.long  # npm is there for the long tests alone
@pytest.mark.parametrize("ecosystem", ["npm", "crates.io"])
def test_each_version_is_within_each_range_as_npm_says(ecosystem: str) -> None:
    rows = [json.loads(line) for line in DATA.read_text().splitlines()]
    ranges = [[_bound(part) for part in row["range"].split(",")] for row in rows if row["ecosystem"] == ecosystem]
    versions = sorted({version for bounds in ranges for _, version in bounds})
    theirs = _asked(ranges, versions)
    ours = [[all(_holds(ecosystem, v, *bound) for bound in bounds) for v in versions] for bounds in ranges]
    assert len(ranges) == 100
    assert ours == theirs
    assert any(map(any, ours))


def test_the_first_patched_version_is_in_no_range_of_its_own() -> None:
    rows = [json.loads(line) for line in DATA.read_text().splitlines()]
    patched = [row for row in rows if row["fixed"]]
    within = [
        row["fixed"]
        for row in patched
        if all(_holds(canonical(row["ecosystem"]), row["fixed"], *_bound(part)) for part in row["range"].split(","))
    ]
    assert len(patched) == 96
    assert within == ["9.0.1"]  # of ">= 9.0.0, < 9.0.31": a slip of the file itself


def _bound(text: str) -> tuple[str, str]:
    found = BOUND.fullmatch(text)
    assert found, text
    return found[1], found[2]


def _holds(ecosystem: str, version: str, operator: str, bound: str) -> bool:
    key = key_of(ecosystem)
    assert key is not None
    one, other = key(full(ecosystem, version)), key(full(ecosystem, bound))
    return bool(
        {"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other, "=": one == other}[operator]
    )


def _asked(ranges: list[Any], versions: list[str]) -> list[list[bool]]:
    npm = shutil.which("npm")
    if npm is None:
        pytest.fail("npm is missing: tools/debian-packages-long.txt names it")
    library = Path(npm).resolve().parents[1] / "node_modules" / "semver"
    done = subprocess.run(
        ["node", "-e", ASK, str(library)],
        input=json.dumps([ranges, versions]),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[list[bool]] = json.loads(done.stdout)
    return found
