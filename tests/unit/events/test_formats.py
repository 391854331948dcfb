"""An event on the wire: nothing in it can end a field, a line or a message early."""

from __future__ import annotations

import json
import re

import pytest

from brakeline.events.formats import body, cef, headers, severities, sse, syslog
from brakeline.events.model import Event

EVENT = Event("te_1", 7, 1_795_400_000_123, "rollout.brake", "ro_1", {"who": "Ada", "reason": "it burns"})
EVIL = Event("te_1", 8, 0, "risk.accept", 'a|b=c"]\n', {"who": "x=1 act=y\nCEF:0|", "text": "\r\n<34>1 \\ ]"})


def test_a_webhook_says_what_which_and_when() -> None:
    said = json.loads(body(EVENT))
    assert said == {
        "id": "te_1-7", "sequence": 7, "at": "2026-11-23T02:13:20.123Z", "kind": "rollout.brake", "subject": "ro_1",
        "organisation": "te_1", "data": {"who": "Ada", "reason": "it burns"},
    }  # fmt: skip
    sent = headers(EVENT, body(EVENT), "key", 5000)
    assert (sent["Brakeline-Event-Id"], sent["Brakeline-Timestamp"]) == ("te_1-7", "5")
    assert sent["Brakeline-Signature"].startswith("v1=")


def test_syslog_is_framed_by_its_length_in_bytes() -> None:
    for event in (EVENT, EVIL):
        framed = syslog(event, "cell 1")
        length, _, message = framed.partition(b" ")
        assert int(length) == len(message)
        assert re.match(rb"<\d+>1 \S+ cell1 brakeline - event \[brakeline@32473 ", message)
        assert b"\n" not in message
    assert syslog(EVENT, "")[: syslog(EVENT, "").index(b" b")].endswith(b" -")


def test_cef_escapes_what_would_be_another_field() -> None:
    line = cef(EVIL)
    assert line.count("\n") == 0
    head, _, extension = line.partition("|3|") if "|3|" in line else line.partition("|5|")
    assert head.count("|") == 5
    fields = dict(re.findall(r"(?<!\\)(?:^| )(\w+)=((?:\\.|[^\\=])*?)(?= \w+=|$)", extension))
    assert fields["suser"] == r"x\=1 act\=y\nCEF:0|"
    assert fields["cs1"] == 'a|b\\=c"]\\n'


@pytest.mark.parametrize(
    ("kind", "grave"),
    [("rollout.state.halted", (8, 3)), ("rollout.brake", (8, 3)), ("risk.accept", (5, 5)), ("exposure.day", (3, 6))],
)
def test_what_stops_is_graver_than_what_is_noted(kind: str, grave: tuple[int, int]) -> None:
    assert severities(kind) == grave


def test_a_server_sent_event_is_one_line_of_data() -> None:
    text = sse(EVIL).decode()
    assert text.startswith("id: 8\nevent: risk.accept\ndata: {")
    assert text.endswith("}\n\n")
    assert text.count("\n") == 4
