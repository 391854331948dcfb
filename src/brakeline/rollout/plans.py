"""A plan that somebody wrote (YAML, JSON, a body of the API), as a policy. Strict and pure.

Whoever mistypes a key means something by it: unknown keys are refused with those that there are, so nothing that was
written is passed over. Durations (`*_s`) are seconds or text such as `26 h` or `6 h 15 min`. `plan_lint` says whether
the plan makes sense for a fleet.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

from brakeline.core.errors import Invalid
from brakeline.protocol.codec import from_plain
from brakeline.rollout.model import Guard, Policy, Ring

UNITS_S: Final = {"d": 86_400, "h": 3_600, "min": 60, "m": 60, "s": 1}
_PART: Final = re.compile(r"(\d+)\s*(d|h|min|m|s)\s*")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
_PARTS: Final[Mapping[type, Mapping[str, type]]] = {Policy: {"rings": Ring, "guard": Guard}}


class BadPlan(Invalid):
    """A plan that says something nobody understands."""

    code = "bad-plan"
    hint = "examples/plans/ has plans to begin with; docs/how-to/plans.md explains every key."


def parse(plain: Any, where: str = "plan") -> Policy:
    """The policy. `BadPlan` names the key and those that there are, `Malformed` what has the wrong type."""
    found: Policy = from_plain(Policy, _checked(plain, Policy, where), where)
    return found


def _checked(plain: Any, kind: type, where: str) -> Any:
    """`plain` with known keys only and durations in seconds."""
    if isinstance(plain, list):
        return [_checked(item, kind, f"{where}[{i}]") for i, item in enumerate(plain)]
    if not isinstance(plain, dict):
        return plain
    known = [f.name for f in dataclasses.fields(kind)]
    for key in plain:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise BadPlan(
                f"{where}: there is no key {str(key)[:40]!r}; {meant}There are {', '.join(known)}", key=str(key)
            )
    parts = _PARTS.get(kind, {})
    return {k: _value(k, v, parts.get(k), f"{where}.{k}") for k, v in plain.items()}


def _value(key: str, value: Any, part: type | None, where: str) -> Any:
    if part is not None:
        return _checked(value, part, where)
    if not key.endswith("_s"):
        return value
    return [_seconds(v, where) for v in value] if isinstance(value, list) else _seconds(value, where)


def _seconds(value: Any, where: str) -> Any:
    if not isinstance(value, str):
        return value
    if not _DURATION.fullmatch(value.strip()):
        raise BadPlan(f"{where}: {value[:40]!r} is no duration; write seconds, or 26 h, 6 h 15 min, 30 s")
    return sum(int(n) * UNITS_S[unit] for n, unit in _PART.findall(value))
