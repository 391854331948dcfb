"""A stable code names one fault: whoever handles `count-moved` needs to know what it means wherever it comes from."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"


def codes_in(text: str) -> list[str]:
    """Codes that classes of this module give themselves."""
    found = []
    for made in ast.walk(ast.parse(text)):
        for line in made.body if isinstance(made, ast.ClassDef) else ():
            found += _code(line)
    return found


def _code(line: ast.stmt) -> list[str]:
    target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
    value = getattr(line, "value", None)
    pairs = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = list(zip(target.elts, value.elts, strict=True))
    named = [v.value for t, v in pairs if isinstance(t, ast.Name) and t.id == "code" and isinstance(v, ast.Constant)]
    return [str(code) for code in named if code]  # a message's empty field is no fault's code


def test_every_code_is_given_by_one_class() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for module in SOURCE.rglob("*.py"):
        for code in codes_in(module.read_text()):
            homes[code].append(module.stem)
    assert len(homes) > 50
    assert {code: where for code, where in homes.items() if len(where) > 1} == {}


def test_all_ways_to_give_a_code_are_seen() -> None:
    text = 'class A(F):\n    code, status = "a", 409\nclass B(F):\n    code = "b"\nclass C:\n    code: str = "c"\n'
    assert codes_in(text) == ["a", "b", "c"]
