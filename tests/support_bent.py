"""Documents bent as trees, from a seed, and what may come of them: shared by the fuzzer and by the tests."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any

ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**400,
    1e308,
    "",
    "0",
    "x" * 400,
    "\0",
    "\ud800",
    "CVE-2024-1",
    "1." * 200,
    [],
    {},
    [[]],
    {"": {}},
)


def kept(what: Any) -> None:
    """Every text that comes out can be stored: PostgreSQL takes no NUL, and UTF-8 no half of a pair."""
    if isinstance(what, str):
        assert "\0" not in what, what[:80]
        what.encode()
    elif is_dataclass(what):
        for field in fields(what):
            kept(getattr(what, field.name))
    elif isinstance(what, (tuple, list)):
        for each in what:
            kept(each)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Where each text of a tree stands: (what it is in, its key)."""
    found: list[tuple[Any, Any]] = []
    left = [tree]
    while left:
        here = left.pop()
        keys = list(here) if type(here) is dict else range(len(here)) if type(here) is list else ()
        found += [(here, key) for key in keys if type(here[key]) is str]
        left += [here[key] for key in keys]
    return found


def bent(tree: Any, draw: random.Random) -> Any:
    """`tree` with one of its values changed."""
    places: list[tuple[Any, Any]] = []
    left = [tree]
    while left and len(places) < 5_000:
        here = left.pop()
        keys = list(here) if type(here) is dict else range(len(here)) if type(here) is list else ()
        places += [(here, key) for key in keys]
        left += [here[key] for key in keys]
    if not places:
        return deepcopy(draw.choice(ODD))
    (inside, key), (other, name) = draw.choice(places), draw.choice(places)
    what = draw.randrange(5)
    if what == 0:
        inside[key] = deepcopy(draw.choice(ODD))
    elif what == 1:
        inside[key] = deepcopy(other[name])
    elif what == 2:
        del inside[key]
    elif type(inside) is list:
        inside.insert(key, deepcopy(inside[key]))
    elif type(inside[key]) is str:
        at = draw.randrange(len(inside[key]) + 1)
        inside[key] = inside[key][:at] + draw.choice(("0", " ", "~", "-1", "é", "9" * 40)) + inside[key][at:]
    else:
        inside[key] = [inside[key]]
    return tree
