"""Canonical JSON as TUF signs it (OLPC): keys sorted, no spaces, only quote and backslash escaped, no fractions.

Byte for byte what `securesystemslib.formats.encode_canonical` makes; the tests compare the two.
"""

from __future__ import annotations

from typing import Any

DEPTH_MAX = 32  # no document of ours is nested deeper than ten


def canonical(value: Any) -> bytes:
    """The bytes that are signed. Raises `ValueError` for what canonical JSON cannot say (fractions, odd keys)."""
    parts: list[str] = []
    _write(value, parts, 0)
    return "".join(parts).encode()


def _write(value: Any, parts: list[str], depth: int) -> None:
    if depth > DEPTH_MAX:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        parts.append(_quoted(value))
    elif value is True or value is False or value is None:
        parts.append({True: "true", False: "false", None: "null"}[value])
    elif isinstance(value, int):
        parts.append(str(value))
    elif isinstance(value, (list, tuple)):
        parts.append("[")
        for n, item in enumerate(value):
            parts.append("," if n else "")
            _write(item, parts, depth + 1)
        parts.append("]")
    elif isinstance(value, dict):
        _write_object(value, parts, depth)
    else:
        raise ValueError(f"canonical JSON has no {type(value).__name__}")


def _write_object(value: dict[Any, Any], parts: list[str], depth: int) -> None:
    if not all(isinstance(key, str) for key in value):
        raise ValueError("canonical JSON has only text as keys")
    parts.append("{")
    for n, key in enumerate(sorted(value)):
        parts.append(("," if n else "") + _quoted(key) + ":")
        _write(value[key], parts, depth + 1)
    parts.append("}")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
