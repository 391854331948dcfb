"""The committed OpenAPI document is what the code says."""

from __future__ import annotations

from pathlib import Path

from brakeline.server.openapi import DOCUMENT, render

ROOT = Path(__file__).parents[3]


def test_the_committed_document_is_what_the_code_says() -> None:
    assert (ROOT / DOCUMENT).read_text(encoding="utf-8") == render(), "run: python -m brakeline.server.openapi"
