"""A conductor of a version before knows no later signals: what it refuses is told without them from then on."""

from __future__ import annotations

import json

import pytest

from brakeline.cells import decide, links
from brakeline.cells.model import CellBets, CellPart, CellPhase, CellReport, Signed
from brakeline.platform.web import problem
from brakeline.protocol.codec import encode
from brakeline.rollout.linked import LATER, LATER_FIELDS, refused_field, without
from brakeline.trust import ed25519

SECRET = b"\x07" * 32
PUBLIC = ed25519.public_key(SECRET)
BETS = CellBets("deletions", 0, "all", 0, (0.5,))


def signed(payload: str) -> Signed:
    return Signed(payload, ed25519.sign(SECRET, payload.encode()).hex())


@pytest.mark.parametrize("field", LATER)
def test_the_refusal_is_known_by_what_a_conductor_says(field: str) -> None:
    """By name, over the wire: a conductor of this version refuses a message with a field that is still to come."""
    told = json.loads(encode(BETS)) | {field: []}
    with pytest.raises(decide.Doubt) as doubted:
        decide.opened(signed(json.dumps(told)), b"", PUBLIC.hex(), CellBets)
    answer = json.dumps(problem(doubted.value, "")).encode()
    assert links._refused(409, answer).context == {"why": "refused", "field": field}
    assert refused_field(links._refused(409, answer)) == field


@pytest.mark.parametrize("field", LATER)
def test_a_conductor_of_before_has_words_for_it_only(field: str) -> None:
    said = f"it is not understood: $.reports[0] has a field '{field}' that this version does not know"
    title = "What came over the link of a cell is not believed."
    answer = {"title": title, "detail": said, "context": {"why": "malformed"}}
    assert refused_field(links._refused(409, json.dumps(answer).encode())) == field


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"[]", b"{}", b'{"title": "t", "detail": "d", "context": "field"}',
        b'{"title": "t", "detail": "it has a field \'salt\' that this version does not know"}',
        b'{"title": "t", "detail": "d", "context": {"why": "unknown_field", "field": "salt"}}',
        b'{"title": "t", "detail": "d", "context": {"why": "malformed", "field": "harms"}}',
    ],
)  # fmt: skip
def test_other_trouble_is_not_taken_for_it(answer: bytes) -> None:
    assert not refused_field(links._refused(503, answer))


def test_nothing_else_is_left_out() -> None:
    report = CellReport("ld_1", 3, CellPhase.NOBODY, bets=(BETS,), harms=(BETS,), vitals=(BETS,))
    assert without((report,), ()) == (report,)
    assert without((report,), ("vitals",)) == (CellReport("ld_1", 3, CellPhase.NOBODY, bets=(BETS,), harms=(BETS,)),)
    assert without((report,), LATER_FIELDS) == (CellReport("ld_1", 3, CellPhase.NOBODY, bets=(BETS,)),)


def test_a_figure_that_is_refused_is_left_out_of_every_part_and_no_other() -> None:
    parts = (CellPart(0, "server", treated=3, asked=3, untaken=1), CellPart(0, "laptop", treated=1))
    report = CellReport("ld_1", 3, CellPhase.ROLLING, parts=parts, harms=(BETS,))
    (told,) = without((report,), ("untaken",))
    assert told.parts == (CellPart(0, "server", treated=3, asked=3), parts[1])
    assert told.harms == report.harms
