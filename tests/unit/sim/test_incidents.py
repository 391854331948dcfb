"""What a file of incidents may say, what is refused and how, and that every real one is read as it is meant."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from brakeline.core.errors import BrakelineError
from brakeline.sim.incidents import (
    After,
    AtDate,
    AtLocalMidnight,
    AtReboot,
    AtUtcWindow,
    BadIncidents,
    Creep,
    Fault,
    Immediate,
    Onset,
    Subset,
    Symptom,
    Vector,
    parse,
)

FILE = Path(__file__).parents[2] / "data" / "incidents" / "incidents.json"
GOOD: dict[str, Any] = {
    "schema": "incidents/1",
    "incidents": [
        {
            "id": "a-2024",
            "title": "Something",
            "vector": "code",
            "fault": {
                "symptom": "silent",
                "prevalence": 0.5,
                "subset": {"attribute": "os_build", "share": 0.1},
                "onset": {"kind": "after", "hours": 2},
            },
        }
    ],
}


def test_all_sixteen_are_read_in_their_order() -> None:
    incidents = parse(FILE.read_text("utf-8"))
    assert len(incidents) == 16
    assert [x.id for x in incidents][:2] == ["crowdstrike-2024-cf291", "crowdstrike-2024-debian"]
    by_id = {x.id: x for x in incidents}
    assert by_id["crowdstrike-2024-cf291"].fault == Fault(Symptom.SILENT, 1.0, None, Immediate())
    assert by_id["exchange-2022-y2k22"].fault == Fault(Symptom.SERVICE_FAILED, 1, Subset("role", 0.01), AtDate(24))
    assert by_id["mcafee-2010-dat5958"].fault.onset == After(0.25)
    assert by_id["ms-2018-amd"].fault.onset == AtReboot()
    assert [x.vector for x in incidents].count(Vector.CONTENT) == 10
    assert sorted(x.id for x in incidents if not x.ours) == [
        "ms-2018-amd",
        "ms-2022-dc-bootloop",
        "ms-2026-kb5082063",
        "rhel-2020-boothole",
    ]


def test_a_fault_knows_its_share_of_the_fleet() -> None:
    assert parse(json.dumps(GOOD))[0].fault.share == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("onset", "value"),
    [
        ({"kind": "immediate"}, Immediate()),
        ({"kind": "after", "hours": 0.5}, After(0.5)),
        ({"kind": "at_reboot"}, AtReboot()),
        ({"kind": "at_local_midnight"}, AtLocalMidnight()),
        ({"kind": "creep", "hours": 48}, Creep(48)),
        ({"kind": "at_utc_window", "hours": [22, 2]}, AtUtcWindow(22, 2)),
        ({"kind": "at_date", "hours": 24}, AtDate(24)),
    ],
)
def test_every_onset_is_read(onset: dict[str, Any], value: Onset) -> None:
    assert parse(json.dumps(_with(_fault, "onset", onset)))[0].fault.onset == value


def _head(file: dict[str, Any]) -> dict[str, Any]:
    return file


def _incident(file: dict[str, Any]) -> dict[str, Any]:
    return file["incidents"][0]  # type: ignore[no-any-return]


def _fault(file: dict[str, Any]) -> dict[str, Any]:
    return _incident(file)["fault"]  # type: ignore[no-any-return]


def _subset(file: dict[str, Any]) -> dict[str, Any]:
    return _fault(file)["subset"]  # type: ignore[no-any-return]


def _onset(file: dict[str, Any]) -> dict[str, Any]:
    return _fault(file)["onset"]  # type: ignore[no-any-return]


GONE = object()
Where = Callable[[dict[str, Any]], dict[str, Any]]


def _with(where: Where, field: str, value: Any) -> dict[str, Any]:
    file = copy.deepcopy(GOOD)
    if value is GONE:
        del where(file)[field]
    else:
        where(file)[field] = value
    return file


@pytest.mark.parametrize(
    ("where", "field", "value", "says"),
    [
        (_head, "schema", "incidents/2", "schema: 'incidents/2' is unknown; known: incidents/1."),
        (_head, "schema", GONE, "the file: schema is missing"),
        (_head, "incidents", {}, "incidents: {} is no list"),
        (_head, "incidents", [None], "incidents[0]: None is no object with fault, id, title, vector"),
        (_head, "symptoms", ["silent: x", "haunted: y"], "symptoms[1]: 'haunted' is unknown; known: silent"),
        (_head, "onsets", ["eclipse (hours)"], "onsets[0]: 'eclipse' is unknown; known: immediate, after"),
        (_incident, "id", GONE, "incidents[0]: id is missing"),
        (_incident, "id", "A B", "incidents[0].id: 'A B' is no name"),
        (_incident, "title", 7, "incidents[0] (a-2024).title: 7 is no text"),
        (_incident, "title", "", "is no text"),
        (_incident, "vector", "rumour", "'rumour' is unknown; known: content, code, config, patch"),
        (_incident, "fault", GONE, "incidents[0]: fault is missing"),
        (_incident, "fault", [], "incidents[0] (a-2024).fault: [] is no object"),
        (_fault, "symptom", "haunted", "(a-2024).fault.symptom: 'haunted' is unknown; known: silent, reboot_loop,"),
        (_fault, "symptom", None, "fault.symptom: None is unknown"),
        (_fault, "prevalence", 1.5, "fault.prevalence: 1.5 is no number from 0 to 1"),
        (_fault, "prevalence", -0.1, "is no number from 0 to 1"),
        (_fault, "prevalence", True, "True is no number"),
        (_fault, "prevalence", "1", "'1' is no number"),
        (_fault, "subset", GONE, "fault: subset is missing"),
        (_fault, "subset", "servers", "fault.subset: 'servers' is no object with attribute, share"),
        (_fault, "colour", "red", "fault: colour is unknown; known: onset, prevalence, subset, symptom"),
        (_subset, "share", 0, "subset.share: 0 is nobody"),
        (_subset, "share", 2, "subset.share: 2 is no number from 0 to 1"),
        (_subset, "attribute", "", "subset.attribute: '' is no name"),
        (_onset, "kind", "eclipse", "onset.kind: 'eclipse' is unknown; known: immediate, after, at_reboot,"),
        (_onset, "kind", GONE, "onset: kind is missing"),
        (_onset, "kind", "at_reboot", "onset: hours is unknown; known: kind"),
        (_onset, "hours", GONE, "onset: hours is missing"),
        (_onset, "hours", 0, "onset.hours: 0 hours is no delay"),
        (_onset, "hours", -1, "onset.hours: -1 is no number from 0 to 2160"),
        (_onset, "hours", 1e9, "onset.hours: 1000000000.0 is no number from 0 to 2160"),
        (_onset, "hours", [1], "onset.hours: [1] is no number"),
        (_fault, "onset", {"kind": "at_utc_window", "hours": 3}, "onset.hours: 3 is no list"),
        (_fault, "onset", {"kind": "at_utc_window", "hours": [3]}, "[3] is no"),
        (_fault, "onset", {"kind": "at_utc_window", "hours": [3, 3]}, "is not two different hours of a day"),
        (_fault, "onset", {"kind": "at_utc_window", "hours": [3, 25]}, "onset.hours[1]: 25 is no number from 0 to 24"),
    ],
)
def test_what_is_not_understood_is_refused_and_named(where: Where, field: str, value: Any, says: str) -> None:
    with pytest.raises(BadIncidents) as e:
        parse(json.dumps(_with(where, field, value)))
    assert says in str(e.value)


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, '{"schema": NaN}', "9" * 5000, "[]", "null", '"x"'])
def test_what_is_no_such_file_is_refused_in_our_words(text: str) -> None:
    with pytest.raises(BrakelineError):
        parse(text)


def test_one_id_names_one_incident() -> None:
    file = copy.deepcopy(GOOD)
    file["incidents"] *= 2
    with pytest.raises(BadIncidents, match="a-2024 is there twice"):
        parse(json.dumps(file))
