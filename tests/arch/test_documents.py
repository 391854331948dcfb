"""Documents tell the truth that a machine can check: links lead somewhere, sizes hold, nothing private is named."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from brakeline.fleet.wording import problem

ROOT = Path(__file__).resolve().parents[2]
TRACKED = [
    ROOT / line
    for line in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    if (ROOT / line).exists()
]
DOCUMENTS = [p for p in TRACKED if p.suffix == ".md"]
MODULES = [p for p in TRACKED if p.suffix == ".py" and p.is_relative_to(ROOT / "src")]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_relative_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text())
    pictures = re.findall(r'(?:src|srcset)="([^":]+)"', document.read_text())
    missing = [link for link in links + pictures if not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_paths_that_documents_name_exist(document: Path) -> None:
    named = re.findall(r"`((?:tests|src|bench|tools|docs|packaging)/[\w./-]+)`", document.read_text())
    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_kind_of_bad_input_is_proven_by_a_test_that_exists() -> None:
    rows = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?` \|$", (ROOT / "docs/reference/bad-input.md").read_text(), re.M)
    assert len(rows) > 20
    missing = [f"{file}::{test}" for file, test in rows if f"def {test}" not in (ROOT / file).read_text()]
    assert not missing


def test_every_bound_of_the_threat_model_is_shown_by_a_test_that_exists() -> None:
    text = (ROOT / "docs/threat-model.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)` \|$", text, re.M)
    assert len(named) > 20
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text()]
    assert not missing
    releases = text.partition("## Releases of our own")[2]
    unshown = [row for row in re.findall(r"^\|[^|]+\|.*\|$", releases, re.M)[2:]
               if "`tests/" not in row and "threshold is for" not in row]  # fmt: skip
    assert not unshown


def test_every_reason_of_verifier_and_launcher_has_words_for_people() -> None:
    sources = [p for p in MODULES if p.parent.name in ("trust", "launcher")]
    codes = {c for p in sources for c in re.findall(r'(?:Distrust|Problem)\(\s*"(\w+)"', p.read_text())}
    assert {"unknown_field", "hash", "widened", "metadata_expired"} <= codes
    assert not [c for c in sorted(codes) if problem(f"{c}: x").what == "The launcher says"]


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("adr", [p for p in DOCUMENTS if p.parent.name == "adr"], ids=name)
def test_decisions_are_one_page(adr: Path) -> None:
    text = adr.read_text()
    assert len(text.splitlines()) <= 60
    assert "Status:" in text
    for heading in ("## Context", "## Decision", "## Evidence", "## Consequences"):
        assert heading in text, heading


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(p.name[:4]) for p in DOCUMENTS if p.parent.name == "adr")
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_every_module_says_what_it_is_for(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text())), "module docstring: role, invariants, where to go next"


def test_no_lock_or_document_names_a_registry() -> None:
    # hosts are read at run time from the machine's own client configuration
    host = re.compile(r"(pypi|npmjs|pythonhosted|debian)\.(org|com)/|deb\.debian\.|files\.pythonhosted", re.IGNORECASE)
    allowed = ("LICENSE",)
    found = [
        f"{name(p)}: {m.group(0)}"
        for p in TRACKED
        if p.name not in allowed and p.suffix in (".md", ".lock", ".toml", ".in", ".txt", ".py", ".sh", "")
        for m in [host.search(p.read_text(errors="replace"))]
        if m and p != Path(__file__)
    ]
    assert not found
