"""Texts of others, cut and cleaned before anything is done with them. Pure."""

from __future__ import annotations

from typing import Any

from brakeline.sbom.model import TEXT_MAX


def text(value: Any, most: int = TEXT_MAX) -> str:
    """A text that may be stored and shown; "" for anything else."""
    if not isinstance(value, str):
        return ""
    cleaned = "".join(c if c.isprintable() else " " for c in value[:most])
    return cleaned.encode("utf-8", "replace").decode().strip()
