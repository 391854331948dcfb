"""Messages to canonical JSON bytes and back, with the standard library alone (the agent has nothing else).

Canonical = keys sorted, no spaces, UTF-8, no NaN; so digests and signatures over it are stable. Decoding is
strict about types and lenient about unknown keys (the protocol is additive). Raises `Malformed`.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from brakeline.core.errors import Fault

T = TypeVar("T")


class Malformed(Fault):
    """The message is not what the protocol allows."""

    code, status = "malformed", 400


def to_plain(value: Any) -> Any:
    """Dataclasses, enums and tuples as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): to_plain(v) for k, v in value.items()}
    return value


def to_sparse(value: Any) -> Any:
    """As `to_plain`, without the fields that say no more than their default: whoever does not know them yet misses
    nothing. So a default never changes its meaning; another meaning is another field."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: to_sparse(v) for f, v in fields if f.default is dataclasses.MISSING or v != f.default}
    if isinstance(value, (list, tuple)):
        return [to_sparse(v) for v in value]
    return to_plain(value)


def encode_sparse(value: Any) -> bytes:
    """Canonical JSON of what a message says beyond its defaults."""
    return _dump(to_sparse(value))


def encode(value: Any) -> bytes:
    """Canonical JSON of a message."""
    return _dump(to_plain(value))


def _dump(plain: Any) -> bytes:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def decode(kind: type[T], data: bytes) -> T:
    """A message of type `kind` from JSON bytes; `Malformed` says where it went wrong."""
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise Malformed("not JSON", error=str(e)[:80]) from None
    return typing.cast(T, from_plain(kind, plain, "$"))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def from_plain(kind: Any, value: Any, where: str = "$") -> Any:
    """`value` (plain JSON) checked and turned into `kind`."""
    if kind is Any or kind is object:
        return value
    if kind in (str, int, float, bool, type(None)):
        return _scalar(kind, value, where)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), value, where)
    if origin is tuple:
        item = get_args(kind)[0]
        _expect(isinstance(value, list), "a list", value, where)
        return tuple(from_plain(item, v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        _expect(isinstance(value, dict), "an object", value, where)
        return {k: from_plain(get_args(kind)[1], v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        values = [m.value for m in kind]  # compared, not hashed: a list may stand where a word should
        _expect(value in values, f"one of {values}", value, where)
        return kind(value)
    return _message(kind, value, where)


def _expect(ok: bool, wanted: str, got: Any, where: str) -> None:
    if not ok:
        raise Malformed(f"{where}: expected {wanted}, got {str(got)[:60]!r}")


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    _expect(type(value) is kind, kind.__name__, value, where)
    return value


def _union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    (kind,) = (k for k in kinds if k is not type(None))  # the protocol has optional values, no other unions
    return from_plain(kind, value, where)


def _message(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), f"an object ({kind.__name__})", value, where)
    fields: dict[str, Any] = {}
    for f in dataclasses.fields(kind):
        if f.name in value:
            fields[f.name] = from_plain(_hints(kind)[f.name], value[f.name], f"{where}.{f.name}")
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise Malformed(f"{where}: {f.name} is missing")
    return kind(**fields)
