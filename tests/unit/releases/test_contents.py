"""What may be in endpoint content, and that its bundle is the same wherever it is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support_trust import bundle

from brakeline.core.errors import Invalid
from brakeline.releases import contents
from brakeline.releases.build import build_release, bundled
from brakeline.releases.bundles import inspect
from brakeline.releases.content_software import SOFTWARE_MAX
from brakeline.releases.faults import BadBundle

RULES = b'{"format": 1, "never_restart": ["a.service"]}'
ODD = {
    "no rules": {"scripts/a.sh": b"true"},
    "a program": {"rules.json": RULES, "agent.pyz": b"x"},
    "a script of another kind": {"rules.json": RULES, "scripts/a.exe": b"x"},
    "a folder in scripts": {"rules.json": RULES, "scripts/a/b.sh": b"x"},
    "a large script": {"rules.json": RULES, "scripts/a.sh": b"x" * (contents.SCRIPT_BYTES_MAX + 1)},
    "too many scripts": {"rules.json": RULES, **{f"scripts/{n}.sh": b"" for n in range(contents.SCRIPTS_MAX + 1)}},
    "bad rules": {"rules.json": b"{}"},
    "rules that nobody understands": {"rules.json": b'{"format": 1, "colour": "blue"}'},
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_content_is_neither_built_nor_published(name: str, tmp_path: Path) -> None:
    for path, data in ODD[name].items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    with pytest.raises(Invalid):
        build_release("content", "1.0.0", 1, package=tmp_path)
    with pytest.raises(BadBundle):
        inspect(bundled("content", "1.0.0", 1, ODD[name], contents.ENTRY).bundle)


def test_content_is_started_as_nothing() -> None:
    with pytest.raises(BadBundle):
        inspect(bundle("1.0.0", {"rules.json": RULES}, 1, "content", ("@python", "-c", "import evil")))


def test_the_project_s_own_content_is_built_alike_twice() -> None:
    one, two = build_release("content", "1.4.0", 3), build_release("content", "1.4.0", 3)
    assert (one.bundle, one.sbom, one.provenance) == (two.bundle, two.sbom, two.provenance)
    said, digest = inspect(one.bundle)
    assert (said.product, said.entry, digest) == ("content", ("rules.json",), one.sha256)
    bom = json.loads(one.sbom)
    assert [c["name"] for c in bom["components"]] == ["catalogue.json", "rules.json"]
    assert bom["metadata"]["component"]["name"] == "brakeline-content"


def test_scripts_are_kept_beside(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "rules.json").write_bytes(RULES)
    (tmp_path / "scripts" / "clean-cache.sh").write_bytes(b"#!/bin/sh\n")
    built = build_release("content", "1.0.0", 1, package=tmp_path)
    assert inspect(built.bundle)[0].version == "1.0.0"


def test_as_many_files_are_read_as_rules_catalogue_scripts_and_packages_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "refusal", lambda *_: "")
    (tmp_path / "payloads").mkdir()
    names = ("rules.json", "catalogue.json", *(f"payloads/{n}" for n in range(contents.FILES_MAX - 2)))
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert set(contents.read_source(tmp_path)) == set(names)
    assert contents.FILES_MAX == contents.SCRIPTS_MAX + 2 * SOFTWARE_MAX + 2
    (tmp_path / "payloads" / "more").write_bytes(b"x")
    with pytest.raises(Invalid, match="too many files"):
        contents.read_source(tmp_path)
