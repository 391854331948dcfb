"""`dataclass(frozen=True, slots=True)` as the standard library has it, made in a quarter of the time.

A process of an endpoint loads a hundred such classes at its start, and the standard library compiles six functions for
each: half of the whole start. Here one is compiled, `__init__`; the others are the same for all, over the names of the
fields. Fields, defaults, `replace`, `asdict` and patterns are the standard library's own, the rest is like it.
Invariants: what a class defines itself stays; other options than these two are an error at once. Type checkers see the
standard library's.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

__all__ = ["dataclass"]

_UNSET: Any = object()
_set = object.__setattr__

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen, slots):
        """Both must be true; they stand at each class so that they can be read there."""
        if not (frozen and slots):
            raise TypeError("only frozen classes with slots are made here; others are for `dataclasses`")
        return _made


def _made(cls: type) -> type:
    cls.__doc__ = cls.__doc__ or cls.__name__  # else a signature is made up for it, which costs more than the class
    below = any(dataclasses.is_dataclass(base) for base in cls.__mro__[1:])  # then the whole of it must be alike
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, frozen=below, slots=True)(cls)
    made.__dataclass_params__.frozen = True
    fields = dataclasses.fields(made)
    compared = _values([f.name for f in fields if f.compare])
    hashed = _values([f.name for f in fields if (f.compare if f.hash is None else f.hash)])
    methods = {"__init__": _init(made, fields), "__eq__": _eq(compared), "__hash__": _hash(hashed), "__repr__": _repr,
               "__setattr__": _refuse_set, "__delattr__": _refuse_delete, "__getstate__": _state,
               "__setstate__": _restore}  # fmt: skip
    for name, method in methods.items():
        if made.__dict__.get(name) is None:  # a class that defines `__eq__` alone has the hash None
            setattr(made, name, method)
    return cast("type", made)


def _values(names: list[str]) -> Any:
    """A function from an object to the tuple of these of its fields."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _init(cls: type, fields: tuple[dataclasses.Field[Any], ...]) -> Any:
    known: dict[str, Any] = {"_set": _set, "_unset": _UNSET}
    plain, named, body = ["self"], ["*"], []
    for field in fields:
        default, value = _value(field, known)
        if field.init:
            (named if field.kw_only else plain).append(field.name + default)
        if value:
            body.append(f" _set(self, {field.name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    arguments = ", ".join(plain + named if len(named) > 1 else plain)
    exec("\n".join([f"def __init__({arguments}):", *(body or [" pass"])]), known)  # noqa: S102 - as `dataclasses` does
    known["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    return known["__init__"]


def _value(field: dataclasses.Field[Any], known: dict[str, Any]) -> tuple[str, str]:
    """(default of its parameter, what the field becomes; "" = nothing). What these name is put into `known`."""
    name = field.name
    if field.default_factory is not dataclasses.MISSING:
        known[f"_make_{name}"] = field.default_factory
        made = f"_make_{name}()"
        return "=_unset", f"{made} if {name} is _unset else {name}" if field.init else made
    if field.default is not dataclasses.MISSING:
        known[f"_default_{name}"] = field.default
        return f"=_default_{name}", name if field.init else f"_default_{name}"
    return "", name if field.init else ""


def _eq(values: Any) -> Any:
    def equal(self: Any, other: object) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return equal


def _hash(values: Any) -> Any:
    return lambda self: hash(values(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{self.__class__.__qualname__}({shown})"


def _refuse_set(_self: Any, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(_self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, f.name) for f in dataclasses.fields(self)]


def _restore(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        _set(self, field.name, value)
