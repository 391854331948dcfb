"""`brakeline drill` without any server: what it replays, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brakeline.cli.__main__ import main
from brakeline.fleet.shape import shape
from brakeline.protocol.codec import to_plain

INCIDENTS = Path(__file__).resolve().parents[2] / "data/incidents/incidents.json"


def drill(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Exit code and the one document on standard output."""
    code = main(["drill", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def few(tmp_path: Path, **changes: Any) -> Path:
    """A file with the first incident alone, its fault changed."""
    told = json.loads(INCIDENTS.read_text())
    told["incidents"] = told["incidents"][:1]
    told["incidents"][0]["fault"] |= changes
    file = tmp_path / "incidents.json"
    file.write_text(json.dumps(told))
    return file


@pytest.mark.long
def test_an_incident_is_replayed_beside_other_rules(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, told = drill(capsys, "replay", str(few(tmp_path)), "--endpoints", "2000", "--seeds", "2")
    assert code == 0
    (incident,) = told["incidents"]
    assert incident["outcome"] in ("halted", "held")
    assert incident["hand_repairs"] == 0
    assert incident["harmed"]["median"] < 50 < incident["rules"]["naive"]["harmed"]
    assert {"naive", "hawkbit", "action1", "fixed_rings"} <= set(incident["rules"])
    assert told["benign"]["false_halts"] == 0


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"symptom": "sulks"}, "reboot_loop"),
        ({"onset": {"kind": "whenever"}}, "at_local_midnight"),
        ({"prevalence": 1.5}, "prevalence"),
    ],
)
def test_what_it_does_not_know_is_refused_with_what_it_knows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fault: dict[str, Any], says: str
) -> None:
    code, told = drill(capsys, "replay", str(few(tmp_path, **fault)), "--endpoints", "100", "--seeds", "1")
    assert code != 0
    assert says in json.dumps(told)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "no such fault"),
        ("run", "harmless", "--endpoints", "0"),
        ("run", "harmless", "--endpoints", "99999999999"),
        ("run", "harmless", "--seeds", "0"),
        ("replay", "/nowhere/incidents.json"),
    ],
)
def test_bad_words_are_refused(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    code, told = drill(capsys, *words)
    assert code != 0
    assert told


def test_a_plan_of_one_s_own_is_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"rings": [{"name": "all at once", "bake_s": 3600, "share": 1.0}]}))
    words = ("run", "dead at once, 100 %", "--endpoints", "2000", "--seeds", "1")
    _, careful = drill(capsys, *words)
    _, at_once = drill(capsys, *words, "--plan", str(plan))
    assert at_once["harmed"]["median"] > 10 * careful["harmed"]["median"]


def test_a_plan_in_yaml_is_used_and_one_that_cannot_work_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yaml"
    words = ["replay", str(few(tmp_path)), "--endpoints", "400", "--seeds", "1", "--plan", str(plan)]
    plan.write_text("rings:\n- {name: one, count: 40, bake_s: 1 h}\n- {name: all, share: 1, bake_s: 1 h}\n")
    code, told = drill(capsys, *words)
    assert (code, told["benign"]["completed"]) == (0, 1)
    plan.write_text("rings:\n- {name: one, count: 40, bake_s: 1 h}\n")
    code, told = drill(capsys, *words)
    assert (code, "is for 40 of 400 endpoints" in json.dumps(told)) == (2, True)
    plan.write_text("rings:\n- {name: one, size: 40, bake_s: 1 h}\n")
    code, told = drill(capsys, *words)
    assert (code, "There are name, bake_s, share, count" in json.dumps(told)) == (2, True)


def shaped(tmp_path: Path, **changes: Any) -> Path:
    """The shape of four hundred servers, as `fleet shape --json` prints it."""
    counts = {"class": {"server": 400}, "region": {"eu": 400}, "os": {"debian-12": 400}, "tag": {}}
    file = tmp_path / "shape.json"
    file.write_text(json.dumps(to_plain(shape(0, counts, ())) | changes))
    return file


def test_the_fleets_own_shape_and_plan(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("replay", str(few(tmp_path)), "--shape", str(shaped(tmp_path)), "--seeds", "1")
    code = main(["drill", *words, "--json"])
    out, said = capsys.readouterr()
    told = json.loads(out)
    assert (code, told["endpoints"]) == (0, 400)
    assert told["incidents"][0]["harmed"]["median"] < 50
    assert "its history of 0 h is too short (a week is needed), so the defaults of `sim.rates` are used" in said
    plan = tmp_path / "plan.yaml"
    plan.write_text("rings:\n  - {name: everybody, bake_s: 26 h, share: 1.0}\n")
    _, worse = drill(capsys, *words, "--plan", str(plan))
    assert worse["incidents"][0]["harmed"]["median"] > told["incidents"][0]["harmed"]["median"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--shape", "SHAPE", "--endpoints", "5"], "either --shape or --endpoints"), (["--own"], "--plan and --seeds"),
        (["--shape", "FILE"], "fleet shape --json"),
    ],
)  # fmt: skip
def test_a_shape_and_what_does_not_go_with_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], says: str
) -> None:
    names = {"SHAPE": str(shaped(tmp_path)), "FILE": str(few(tmp_path))}
    code, told = drill(capsys, "replay", names["FILE"], *(names.get(w, w) for w in words))
    assert code == 2
    assert says in json.dumps(told)


def test_a_drill_on_real_endpoints_has_no_plan_and_no_size(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("run", "real", "--endpoints", "5"), ("run", "bad-release", "--fail", "2"), ("replay",)):
        assert drill(capsys, *words)[0] == 2
