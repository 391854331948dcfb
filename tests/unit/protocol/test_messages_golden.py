"""The wire stays what it was: every message of `/agent/v1` as it was first recorded, byte for byte where it was known.

`messages-v1.json` has one filled message of each class. A field that is added later is not in it; one that is renamed,
lost, or written otherwise is found here. A message that was recorded is still read, whatever was added since.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from brakeline.protocol import codec, messages

GOLDEN = Path(__file__).parents[2] / "data/messages-v1.json"
RECORDED: dict[str, Any] = json.loads(GOLDEN.read_text())
SCALARS: dict[object, Any] = {str: "text", int: 7, float: 0.5, bool: True}


def filled(kind: Any) -> Any:
    """A value of this type with a value in each field."""
    if kind in SCALARS:
        return SCALARS[kind]
    if get_origin(kind) in (Union, types.UnionType):
        return filled(next(k for k in get_args(kind) if k is not type(None)))
    if get_origin(kind) is tuple:
        return (filled(get_args(kind)[0]),)
    if issubclass(kind, enum.Enum):
        return next(iter(kind))  # more may follow
    hints = get_type_hints(kind)
    return kind(**{f.name: filled(hints[f.name]) for f in dataclasses.fields(kind)})


def recorded_part(plain: Any, golden: Any) -> Any:
    """What of `plain` has a place in the record."""
    if isinstance(plain, dict) and isinstance(golden, dict):
        return {k: recorded_part(v, golden[k]) for k, v in plain.items() if k in golden}
    if isinstance(plain, list) and isinstance(golden, list):
        return [recorded_part(p, g) for p, g in zip(plain, golden, strict=True)]
    return plain


@pytest.mark.parametrize("name", RECORDED)
def test_what_was_recorded_is_written_as_it_was(name: str) -> None:
    kind = getattr(messages, name)
    plain = json.loads(codec.encode(filled(kind)))
    golden = json.dumps(RECORDED[name], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert codec._dump(recorded_part(plain, RECORDED[name])) == golden


@pytest.mark.parametrize("name", RECORDED)
def test_what_was_recorded_is_still_read(name: str) -> None:
    kind = getattr(messages, name)
    read = codec.decode(kind, json.dumps(RECORDED[name]).encode())
    assert recorded_part(codec.to_plain(read), RECORDED[name]) == RECORDED[name]
