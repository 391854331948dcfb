"""`core.frozen` against the standard library's own: what each makes of the same class, and of every class of ours."""

import copy
import dataclasses
import importlib
import inspect
import pickle
import typing

import pytest

from brakeline.core import frozen

OURS = (
    "agent.commands", "agent.events",
    "agent.model", "agent.providers.model", "launcher.model", "launcher.settings", "launcher.slots", "protocol.auth",
    "protocol.content", "protocol.enrolment", "protocol.inventory", "protocol.launcher_report", "protocol.messages",
    "protocol.transactions", "trust.artifacts", "trust.envelope",
    "trust.metadata", "trust.model", "trust.statements",
)  # fmt: skip
MISSING = dataclasses.MISSING


@frozen.dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    note: str = dataclasses.field(default="", compare=False, repr=False)
    seen: tuple[int, ...] = dataclasses.field(default_factory=tuple)


@frozen.dataclass(frozen=True, slots=True)
class Far(Point):
    z: int = dataclasses.field(default=3, kw_only=True)
    sum: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sum", self.x + self.y + self.z)


@frozen.dataclass(frozen=True, slots=True)
class Empty:
    pass


@frozen.dataclass(frozen=True, slots=True)
class Own:
    a: int

    def __eq__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "own"


def as_standard(cls: type) -> type:
    """The same class as the standard library makes it: the same annotations, defaults and options of fields."""
    inherited = {f for base in cls.__mro__[1:-1] for f in getattr(base, "__dataclass_fields__", {})}
    space: dict[str, typing.Any] = {
        "__annotations__": {},
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
    }
    for f in dataclasses.fields(cls):  # type: ignore[arg-type]
        assert f.name not in inherited, "give a class without dataclasses below it"
        space["__annotations__"][f.name] = f.type
        space[f.name] = dataclasses.field(default=f.default, default_factory=f.default_factory, init=f.init,
                                          repr=f.repr, hash=f.hash, compare=f.compare, kw_only=f.kw_only)  # type: ignore[call-overload] # fmt: skip
    return dataclasses.dataclass(frozen=True, slots=True)(type(cls.__name__, (), space))


def all_of_ours() -> list[type]:
    modules = [importlib.import_module(f"brakeline.{name}") for name in OURS]
    found = [c for m in modules for c in vars(m).values() if isinstance(c, type) and c.__module__ == m.__name__]
    return [c for c in found if "__dataclass_fields__" in vars(c) and c.__mro__[1:] == (object,)]


def test_every_class_of_ours_is_as_the_standard_library_makes_it() -> None:
    checked = 0
    for cls in all_of_ours():
        theirs = as_standard(cls)
        assert _shape(cls) == _shape(theirs), cls
        assert cls.__match_args__ == theirs.__match_args__  # type: ignore[attr-defined]
        assert set(vars(cls)["__slots__"]) == set(vars(theirs)["__slots__"])
        values = {f.name: f"v{n}" for n, f in enumerate(dataclasses.fields(cls)) if f.init}  # type: ignore[arg-type]
        if "__post_init__" in vars(cls):
            continue
        mine, other = cls(**values), theirs(**values)
        if vars(cls)["__repr__"] is frozen._repr:
            assert repr(mine) == repr(other)
        assert dataclasses.asdict(mine) == dataclasses.asdict(other)
        assert mine == cls(**values)
        assert mine != other
        assert hash(mine) == hash(other)
        checked += 1
    assert checked > 100


def _shape(cls: type) -> list[tuple[str, object, bool]]:
    """Parameters, their kinds, and whether they have a default: a factory's placeholder differs."""
    return [(p.name, p.kind, p.default is p.empty) for p in inspect.signature(cls).parameters.values()]


def test_defaults_factories_and_what_comes_after() -> None:
    far = Far(1, seen=(4,), z=5)
    assert (far.x, far.y, far.note, far.seen, far.z, far.sum) == (1, 2, "", (4,), 5, 8)
    assert Point(1).seen == ()
    assert Empty() == Empty()
    with pytest.raises(TypeError):
        Far(1, 2, "", (), 9)  # type: ignore[misc]
    with pytest.raises(TypeError, match=r"Point.__init__\(\) missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]


def test_it_is_frozen() -> None:
    point = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x  # type: ignore[misc]
    assert not hasattr(point, "__dict__")


def test_equal_is_the_same_class_with_the_same_compared_values() -> None:
    assert Point(1, note="a") == Point(1, note="b")
    assert hash(Point(1, note="a")) == hash(Point(1, note="b"))
    assert Point(1) != Point(2)
    assert Point(1, 2) != Far(1, 2)
    assert Point(1) != (1, 2)
    assert repr(Point(1, note="secret")) == "Point(x=1, y=2, seen=())"


def test_copies_replacements_and_patterns() -> None:
    point = Point(1, note="n")
    assert dataclasses.replace(point, y=7) == Point(1, 7)
    for again in (pickle.loads(pickle.dumps(point)), copy.deepcopy(point), copy.copy(point)):
        assert again == point
        assert again.note == "n"
    match point:
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_what_a_class_defines_itself_stays() -> None:
    assert repr(Own(1)) == "own"
    assert Own(1) == Own(2)
    assert hash(Own(1)) == hash(Own(1))


def test_the_standard_library_s_classes_can_be_made_of_ours() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Further(Point):
        w: int = 0

    assert Further(1, w=5) == Further(1, 2, "", (), 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Further(1).x = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="cannot inherit non-frozen dataclass from a frozen one"):
        dataclasses.dataclass(type("Loose", (Point,), {}))


def test_other_options_are_refused() -> None:
    with pytest.raises(TypeError, match="only frozen classes with slots"):
        frozen.dataclass(frozen=True, slots=False)
    with pytest.raises(TypeError):
        frozen.dataclass(frozen=True, slots=True, order=True)
