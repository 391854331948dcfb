"""What the plan child prints is what the resident agent reads."""

from __future__ import annotations

import pytest

from brakeline.agent.loop import _answer
from brakeline.agent.providers.model import Planned, Refused
from brakeline.protocol import codec
from brakeline.protocol.codec import Malformed
from brakeline.protocol.messages import Action, ActionKind, Transaction

PLANNED = Planned(Transaction((Action(ActionKind.UPGRADE, "jq", "amd64", "1", "2"),), "d", 10, -5), ("jq",), ())


@pytest.mark.parametrize(("kind", "answer"), [("planned", PLANNED), ("refused", Refused("locked", "by apt-get"))])
def test_an_answer_survives_the_pipe(kind: str, answer: Planned | Refused) -> None:
    assert _answer(codec.encode({kind: answer}) + b"\n") == answer


@pytest.mark.parametrize("output", [b"", b"[]", b"{}", b'{"planned": 1}', b"\xff"])
def test_nonsense_is_an_errand_that_failed_and_no_crash(output: bytes) -> None:
    with pytest.raises(Malformed):
        _answer(output)
