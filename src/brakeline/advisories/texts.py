"""Texts that every store can keep: PostgreSQL takes no NUL, UTF-8 no half of a pair. Pure; standard library only."""

from __future__ import annotations


def encodable(text: str, what: str) -> str:
    """`text`. Raises `ValueError`."""
    if "\0" in text or (not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text)):
        raise ValueError(f"{what} has signs that are no text")
    return text
