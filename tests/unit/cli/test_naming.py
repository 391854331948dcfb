"""An endpoint by its id or by its host name."""

from __future__ import annotations

from typing import Any

import pytest

from brakeline.cli import naming
from brakeline.cli.faults import Ambiguous
from brakeline.core.errors import NotFound


class Fleet:
    """Answers as the list of endpoints does."""

    def __init__(self, *items: tuple[str, str]) -> None:
        self.items = [{"id": i, "state": state} for i, state in items]
        self.asked: list[str] = []

    def get(self, path: str, q: str, limit: int) -> dict[str, Any]:
        self.asked.append(q)
        return {"items": self.items[:limit]}


def called(monkeypatch: pytest.MonkeyPatch, word: str, *items: tuple[str, str]) -> tuple[str, list[str]]:
    fleet = Fleet(*items)
    monkeypatch.setattr(naming.Client, "from_context", lambda: fleet)
    return naming.endpoint_id(word), fleet.asked


@pytest.mark.parametrize("word", ["ep_01JA", "", "web 1", "host:x", "a" * 300])
def test_ids_and_what_is_no_host_name_are_left_as_they_are_and_nobody_is_asked(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    assert called(monkeypatch, word) == (word, [])


def test_a_host_name_is_exchanged_for_the_id_of_its_one_active_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    two = (("ep_old", "retired"), ("ep_new", "active"))
    assert called(monkeypatch, "web-1.example", *two) == ("ep_new", ["host:web-1.example"])
    assert called(monkeypatch, "web-1", ("ep_old", "retired"))[0] == "ep_old"  # the only one: what was of it is asked


def test_a_name_that_nobody_or_several_have_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="no endpoint is called web-9; brakeline endpoint list"):
        called(monkeypatch, "web-9")
    with pytest.raises(Ambiguous, match="called web: ep_1, ep_2; say which by its id"):
        called(monkeypatch, "web", ("ep_1", "active"), ("ep_2", "active"))
