"""Results that the cell does not take: one bad one blocks no other, is not sent for ever, and is never thrown away."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.agent.crashing import result, tx
from tests.unit.agent.test_decide import ME, Story

from brakeline.agent import commands, events, model, results
from brakeline.agent.cell import _problem
from brakeline.agent.events import Exchange, FailureKind
from brakeline.agent.limits import DiskReserve
from brakeline.agent.model import State
from brakeline.agent.spool import Spool
from brakeline.agent.transport import Answer
from brakeline.protocol import codec
from brakeline.protocol.messages import Problem, TransactionResult

BAD, GOOD = tx(1), tx(2)


def connected(*spooled: str) -> Story:
    """Results wait; the first of them are under way."""
    story = Story(State(ME, model.Durable())).happens(events.Started, spooled, 0).secret().reply()
    assert story.the(commands.SendResults).transaction_ids == spooled[: results.A_BATCH]
    return story


def cell(story: Story, bad: str, *, permanent: bool = True, hours: float = 3) -> list[str]:
    """Lets time pass with a cell that takes all results but one; what became of them, in order."""
    told, until_s = [], story.now_s + hours * 3600
    while story.now_s < until_s:
        said, story.said = story.said, ()
        for command in said:
            match command:
                case commands.SendResults(transaction_ids=ids) if bad in ids:
                    told.append("rejected")
                    story.fails(Exchange.RESULTS, FailureKind.REJECTED, "invalid", permanent=permanent)
                case commands.SendResults(transaction_ids=ids):
                    told += ids
                    story.happens(events.ResultsAcknowledged, ids)
                case commands.SetAside(transaction_id=one):
                    told.append(f"aside {one}")
                case commands.RenewSecret():
                    story.secret()
                case commands.DoCheckIn():
                    story.happens(events.CheckedIn, story.now_s, None, '"e"')
                case commands.StartScan():
                    story.happens(events.Unchanged)
                case commands.StartRefresh():
                    story.happens(events.RefreshEnded, "")
        if not story.said:
            story.passes(5)
    return told


def test_one_malformed_result_is_set_aside_and_the_others_arrive() -> None:
    story = connected(BAD, GOOD)
    told = cell(story, BAD)
    assert told == ["rejected", "rejected", GOOD, *["rejected"] * 4, f"aside {BAD}"]
    assert (story.state.unsent, story.state.set_aside, story.state.alone) == ((), 1, False)


def test_it_takes_more_than_an_hour_so_that_a_faulty_cell_can_be_mended() -> None:
    story = connected(BAD)
    assert cell(story, BAD, hours=1.2) == ["rejected"] * 4
    assert cell(story, "", hours=1) == [BAD]
    assert (story.state.unsent, story.state.rejections, story.state.set_aside) == ((), (), 0)


def test_what_may_pass_is_tried_for_ever_and_blocks_nobody() -> None:
    story = connected(BAD, GOOD)
    told = cell(story, BAD, permanent=False)
    assert GOOD in told
    assert told.count("rejected") > 20
    assert story.state.unsent == (BAD,)


def test_a_result_that_is_never_acknowledged_does_not_block_the_others() -> None:
    many = tuple(tx(n) for n in range(results.A_BATCH + 1))
    story = connected(*many).happens(events.ResultsAcknowledged, ())
    story.passes(61)
    sent = story.the(commands.SendResults).transaction_ids
    assert sent[-1] == many[-1]


@pytest.mark.parametrize(
    ("status", "body", "permanent"),
    [
        (400, codec.encode(Problem("malformed", "Malformed.", 400)), True),
        (422, codec.encode(Problem("invalid", "Invalid.", 422)), True),
        (413, codec.encode(Problem("too-large", "Too large.", 413)), True),
        (400, b"<html>Bad request</html>", False),
        (404, codec.encode(Problem("not-found", "No such route.", 404)), False),
        (500, codec.encode(Problem("bug", "Broken.", 500)), False),
        (503, codec.encode(Problem("busy", "Busy.", 503)), False),
    ],
)
def test_only_the_cell_itself_can_say_that_a_body_is_wrong(status: int, body: bytes, permanent: bool) -> None:
    assert _problem(Answer(status, {}, body)).permanent is permanent


def test_set_aside_is_kept_and_counted_and_not_sent(tmp_path: Path) -> None:
    def spool() -> Spool:
        return Spool(tmp_path / "spool", DiskReserve(tmp_path / "reserve"))

    box = spool()
    box.put(result(1))
    box.put(result(2))
    box.set_aside(BAD)
    box.set_aside(BAD)  # a second time changes nothing
    assert (spool().pending(), spool().refused()) == ((GOOD,), 1)
    assert codec.decode(TransactionResult, (tmp_path / "spool/refused" / f"{BAD}.json").read_bytes()) == result(1)
