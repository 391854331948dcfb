"""Whatever stands in the launcher's two files: it starts, with the defaults and a problem that names the key."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.launcher.model import Knobs
from brakeline.launcher.settings import LEAST_S, MONTH_S, MOST_S, SPREAD, Budget, Settings, load

DEEP = '{"a":' * 20_000


def loaded(folder: Path, own: str = "{}", agent: str = "{}") -> Settings:
    (folder / "launcher.json").write_text(own)
    (folder / "agent.json").write_text(agent)
    return load(folder, folder, folder)


KNOBS: dict[str, dict[str, Any]] = {
    "several of one": {"check_s": [1, 2]},
    "one of several": {"restart_s": 5},
    "none of several": {"restart_s": []},
    "one of several is a word": {"guard_delays_s": [1, "2"]},
    "several of several": {"guard_delays_s": [[1, 2]]},
    "a look of for ever": {"check_s": 1e11},
    "a look longer than any test needs": {"check_s": 61},
    "longer than the service manager waits": {"stop_s": 21},
    "slower than the watchdog": {"calm_tick_s": 121},
    "years": {"check_every_s": 1e9},
    "nothing": {"tick_s": 0},
    "as good as nothing": {"tick_s": 1e-9},
    "negative": {"ready_s": -1},
    "no number": {"ready_s": "60"},
    "a truth": {"ready_s": True},
    "null": {"ready_s": None},
    "NaN": {"ready_s": math.nan},
    "infinite": {"ready_s": math.inf},
    "infinite in several": {"restart_s": [1, math.inf]},
    "more digits than a float has": {"ready_s": 10**400},
    "unknown": {"redy_s": 1},
}  # fmt: skip
BUDGETS: dict[str, dict[str, Any]] = {
    "a part of a process": {"processes": 1.5},
    "as a float": {"memory_bytes": 512e6},
    "no process": {"processes": 0},
    "a byte": {"memory_bytes": 1},
    "more than the system can be told": {"home_bytes": 1 << 70},
    "a list": {"free_bytes": [1 << 20]},
    "an object": {"log_bytes_per_s": {}},
}  # fmt: skip
NO_OBJECTS: list[Any] = [5, [1], "no", None]
NO_LISTS: list[Any] = [5, None, "run", {"run": 1}]
NO_TEXTS: list[Any] = [5, [], None, "a\0b", "\ud800"]
REFUSED = [
    *(pytest.param({"knobs": value}, next(iter(value)), id=name) for name, value in KNOBS.items()),
    *(pytest.param({"budget": value}, next(iter(value)), id=name) for name, value in BUDGETS.items()),
    *(pytest.param({"knobs": v}, "knobs", id=f"knobs are {v}") for v in NO_OBJECTS),
    pytest.param({"knobs": {"\ud800": 1}}, "knobs", id="a knob of no alphabet"),
    *(pytest.param({"budget": v}, "budget", id=f"budget is {v}") for v in NO_OBJECTS),
    *(pytest.param({"arguments": v}, "arguments", id=f"arguments {v!a}") for v in NO_LISTS),
    *(pytest.param({"arguments": ["run", v]}, "arguments", id=f"one argument is {v!a}") for v in NO_TEXTS),
    *(pytest.param({"user": v}, "user", id=f"user {v!a}") for v in NO_TEXTS),
]


@pytest.mark.parametrize(("own", "key"), REFUSED)
def test_what_cannot_be_obeyed_is_said_and_the_default_counts(tmp_path: Path, own: dict[str, Any], key: str) -> None:
    default = loaded(tmp_path)
    settings = loaded(tmp_path, json.dumps(own))
    assert dataclasses.replace(settings, problems=()) == default
    (problem,) = settings.problems
    assert key in problem


@pytest.mark.parametrize("text", [DEEP, "[" * 20_000, "{", "", "[]", "5", "null", "\0", "1" * 5000])
@pytest.mark.parametrize("name", ["agent.json", "launcher.json"])
def test_a_file_that_is_no_object_means_defaults_and_a_problem(tmp_path: Path, name: str, text: str) -> None:
    default = loaded(tmp_path)
    (tmp_path / name).write_text(text)
    settings = load(tmp_path, tmp_path, tmp_path)
    assert dataclasses.replace(settings, problems=()) == default
    (problem,) = settings.problems
    assert name in problem


@pytest.mark.parametrize("key", ["endpoint_id", "cell", "region", "channel", "server_url", "ca_pem"])
def test_what_the_agent_s_file_says_is_text_or_nothing(tmp_path: Path, key: str) -> None:
    for value in (5, None, ["x"], "\ud800", "\0"):
        settings = loaded(tmp_path, agent=json.dumps({key: value}))
        assert dataclasses.replace(settings, problems=()) == loaded(tmp_path)
        assert [key in problem for problem in settings.problems] == [True]


def test_what_is_in_bounds_is_obeyed(tmp_path: Path) -> None:
    own = {
        "user": "somebody", "arguments": [],
        "knobs": {"check_s": 4, "restart_s": [0.1, 1], "guard_delays_s": [4], "launcher_calm_s": 0.5},
        "budget": {"home_bytes": 64 << 20, "log_bytes_per_s": 32 << 10, "processes": 4096},
    }  # fmt: skip
    settings = loaded(tmp_path, json.dumps(own))
    assert (settings.problems, settings.user, settings.arguments) == ((), "somebody", ())
    knobs, budget = settings.knobs, settings.budget
    assert (knobs.check_s, knobs.restart_s, knobs.guard_delays_s) == (4.0, (0.1, 1.0), (4.0,))
    assert (budget.home_bytes, budget.log_bytes_per_s, budget.processes) == (64 << 20, 32 << 10, 4096)


def test_every_default_is_in_its_own_bounds(tmp_path: Path) -> None:
    own = {"knobs": dataclasses.asdict(Knobs()), "budget": dataclasses.asdict(Budget())}
    settings = loaded(tmp_path, json.dumps(own))
    assert settings == loaded(tmp_path)
    assert settings.problems == ()


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.integers(1, 1 << 40) | st.floats() | st.floats(0, 1e6) | st.text()
    | st.sampled_from(["\ud800", "run", 1e-9, 1e11, 10**400])
)  # fmt: skip
ANY = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


def changed(default: Any) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(default)]) | st.text(), ANY, max_size=6)


OWN = ANY | st.fixed_dictionaries(
    {}, optional={"knobs": ANY | changed(Knobs()), "budget": ANY | changed(Budget()), "arguments": ANY, "user": ANY}
)
AGENT = ANY | st.dictionaries(st.sampled_from(["endpoint_id", "cell", "channel", "ca_pem", "server_url"]), ANY)


@given(OWN, AGENT)
def test_whatever_is_said_it_starts_with_values_that_it_can_use(own: Any, agent: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        settings = loaded(Path(name), json.dumps(own), json.dumps(agent))
    for field in dataclasses.fields(Knobs):
        value, default = getattr(settings.knobs, field.name), getattr(Knobs(), field.name)
        assert type(value) is type(default)
        values = value if isinstance(value, tuple) else (value,)
        assert values
        for one in values:
            assert type(one) is float
            assert LEAST_S * (1 - SPREAD) <= one <= MOST_S.get(field.name, MONTH_S) * (1 + SPREAD)
    for field in dataclasses.fields(Budget):
        value, default = getattr(settings.budget, field.name), getattr(Budget(), field.name)
        assert type(value) is int
        assert 0 < value <= 1 << 40
    for text in (settings.user, settings.server_url, settings.who.endpoint_id, *settings.arguments, *settings.problems):
        assert "\0" not in text.encode().decode()
