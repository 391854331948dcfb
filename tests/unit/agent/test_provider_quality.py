"""The page about the quality of providers is what the criteria say, and each test that it names exists."""

from __future__ import annotations

import ast

import pytest
from tools import provider_quality
from tools.provider_quality import CRITERIA, ROOT, level_of

NAMED = sorted({where for c in CRITERIA for where in c.shown.values() if not where.startswith("not here: ")})


def test_the_page_is_current() -> None:
    assert provider_quality.PAGE.read_text() == provider_quality.page(), "python -m tools.provider_quality --write"


@pytest.mark.parametrize("where", NAMED)
def test_what_shows_it_exists(where: str) -> None:
    file, _, name = where.partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}


def test_a_missing_criterion_keeps_a_provider_below() -> None:
    assert (level_of("apt"), level_of("pip"), level_of("nobody")) == ("gold", "gold", "none")
    assert {level_of(name) for name in ("dnf", "zypper", "pacman")} == {"gold"}
