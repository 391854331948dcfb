"""Releases are built the same everywhere: real processes that differ in whatever must not matter."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from brakeline.core.errors import Invalid
from brakeline.releases.build import build_release, bundled
from brakeline.trust import artifacts
from brakeline.trust.errors import Distrust

PRINT = (
    "import hashlib, sys; from brakeline.releases.build import build_release as b; r = b(sys.argv[1], '7.1.0', 9);"
    "print(*(hashlib.sha256(x if isinstance(x, bytes) else x.encode()).hexdigest()"
    " for x in (r.bundle, r.sbom, r.provenance)))"
)


@pytest.mark.parametrize("product", ["agent", "launcher"])
def test_two_builds_are_bit_identical_whatever_the_machine_is_like(product: str, tmp_path: Path) -> None:
    said = []
    for number, (umask, zone) in enumerate(((0o022, "UTC"), (0o077, "Pacific/Kiritimati"))):
        environment = {**os.environ, "TZ": zone, "PYTHONHASHSEED": str(number + 1), "LC_ALL": "C"}
        done = subprocess.run(
            [sys.executable, "-c", PRINT, product], cwd=tmp_path if number else "/", env=environment, umask=umask,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        said.append(done.stdout)
    assert said[0] == said[1]
    assert len(said[0].split()) == 3


def test_the_bundle_says_of_itself_what_was_asked_for(tmp_path: Path) -> None:
    built = build_release("agent", "7.1.0", 9)
    assert built.sha256 == hashlib.sha256(built.bundle).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(built.bundle)) as tar:
        tar.extractall(tmp_path, filter="data")
    about = artifacts.about((tmp_path / "release.json").read_text())
    assert (about.product, about.version, about.sequence, about.platform) == ("agent", "7.1.0", 9, "any")
    command = [sys.executable, *about.entry[1:], "version"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "7.1.0\n"


def test_bill_of_materials_and_provenance_name_every_file_and_the_very_bundle() -> None:
    built = build_release("launcher", "7.1.0", 9)
    bom, statement = json.loads(built.sbom), json.loads(built.provenance)
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["component"]["hashes"][0]["content"] == built.sha256
    named = {c["name"]: c["hashes"][0]["content"] for c in bom["components"] if c["type"] == "file"}
    made_of = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    materials = {m["uri"].removeprefix("file:"): m["digest"]["sha256"] for m in made_of if "sha256" in m["digest"]}
    assert named == materials
    assert "brakeline/launcher/decide.py" in named
    assert not any(name.startswith("brakeline/server") for name in named)
    assert statement["subject"][0]["digest"]["sha256"] == built.sha256


@pytest.mark.parametrize(
    ("product", "version"), [("kernel", "1.0"), ("agent", "v1"), ("agent", "1" * 40), ("agent", "1/2")]
)
def test_what_no_launcher_would_take_is_not_built(product: str, version: str) -> None:
    with pytest.raises(Invalid):
        build_release(product, version, 1)


def test_a_file_that_climbs_out_is_not_packed() -> None:
    with pytest.raises(Distrust, match="nothing was unpacked"):
        bundled("agent", "1.0", 1, {"../x": b""}, ("@python", "x"))
