"""Feeds the matcher with what libFuzzer makes of its coverage: `python tools/fuzz_matcher.py [-runs=N] [CORPUS]`.

Needs `atheris` (not locked: `pip install atheris`), which drives the properties that the unit tests draw at random; an
input that breaks one is printed as values and kept by libFuzzer as `crash-…`. Begin with `-len_control=0`: what has few
bytes is no whole inventory.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
with atheris.instrument_imports(include=["brakeline"]):
    from tests.unit.exposure import test_match_fuzz

atheris.Setup(
    sys.argv,
    test_match_fuzz.test_the_matcher_never_raises_and_every_package_is_judged_or_told.hypothesis.fuzz_one_input,
)
atheris.Fuzz()
