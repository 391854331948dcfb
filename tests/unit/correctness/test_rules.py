"""By which rules a peer's answer counts, and that the register and the page are whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.correctness import registry, runner
from tests.correctness.document import document, sums
from tests.correctness.missing import MISSING
from tests.correctness.row import Row
from tests.correctness.standin import (
    Answered,
    Claim,
    Said,
    Trait,
    judged_refresh,
    judged_run,
    judged_waits,
    playing,
    staged,
)

P = frozenset({"p"})
NONE: frozenset[str] = frozenset()
PLAIN = Trait()


@pytest.mark.parametrize(
    ("claim", "moved", "left", "sound", "trait", "word"),
    [
        (Claim.DONE, P, NONE, True, PLAIN, "right"),
        (Claim.DONE, NONE, P, True, PLAIN, "wrong"),
        (Claim.DONE, P, NONE, False, PLAIN, "wrong"),
        (Claim.DONE, P, NONE, True, Trait(unwell=True), "wrong"),
        (Claim.DONE, NONE, P, True, Trait(hidden=True), "not applicable"),
        (Claim.FAILED, NONE, P, True, PLAIN, "right"),
        (Claim.FAILED, P, NONE, True, PLAIN, "wrong"),
        (Claim.NOTHING, NONE, P, True, Trait(impossible=True), "right"),
        (Claim.NOTHING, NONE, P, True, PLAIN, "wrong"),
        (Claim.NOTHING, P, NONE, True, PLAIN, "wrong"),
    ],
)
def test_told_to_upgrade(
    claim: Claim, moved: frozenset[str], left: frozenset[str], sound: bool, trait: Trait, word: str
) -> None:
    assert judged_run(Said(claim, ""), moved, left, sound, trait).word == word


def test_a_peer_that_says_what_it_changed_is_held_to_it() -> None:
    assert judged_run(Said(Claim.DONE, "", changed=P), P, NONE, True, PLAIN).word == "right"
    assert judged_run(Said(Claim.DONE, "", changed=P), P | {"q"}, NONE, True, PLAIN).word == "wrong"


def test_asked_what_waits() -> None:
    nothing = Said(Claim.DONE, "")
    assert judged_waits(Said(Claim.DONE, "", P), P, PLAIN).word == "right"
    assert judged_waits(nothing, P, PLAIN).word == "wrong"
    for trait in (Trait(hidden=True), Trait(impossible=True)):
        assert judged_waits(nothing, P, trait).word == "not applicable"
    assert judged_waits(Said(Claim.DONE, "", partial=True), P, PLAIN).word == "not applicable"


def test_asked_to_refresh() -> None:
    assert judged_refresh(Said(Claim.DONE, ""), PLAIN).word == "wrong"
    assert judged_refresh(Said(Claim.FAILED, ""), PLAIN).word == "right"
    assert judged_refresh(Said(Claim.DONE, ""), Trait(renewed=True)).word == "right"


def test_the_register_is_whole() -> None:
    every = registry.situations()
    assert len({s.id for s in every}) == len(every) >= 165
    for manager, module in ((m, getattr(registry, m)) for m in registry.MANAGERS):
        keys = {s.key for s in every if s.manager == manager}
        assert set(module.TRAITS) | set(module.QUICK) <= keys, f"{manager}: traits of situations that there are not"
        assert module.QUICK or manager == "npm"  # which the long set alone installs
        assert MISSING[manager]
        assert manager in runner.PEERS


def test_the_page_says_who_was_right_and_why_not() -> None:
    rows = [
        Row("apt", "one", "p: ii 1", "refused | <b>", True, {"other": "wrong"}, {"other": "says done"}),
        Row("apt", "two", "a", "b"),
    ]
    page = document([rows[0]], {"apt": "2.6.1"}, "2026-11-26", {"apt": ("snow",)})
    assert "| one | p: ii 1 | refused / ‹b› | right | **wrong** |" in page
    assert "- apt, one: other: says done" in page
    assert "- snow" in page
    assert sums(rows)["apt"]["Brakeline"] == {"right": 1, "wrong": 1}


def test_without_a_word_of_its_own_a_row_is_right_where_both_are_the_same() -> None:
    assert Row("m", "s", "x", "x").right
    assert not Row("m", "s", "x", "y").right


class Fake:
    """A root, its records and a peer in one."""

    name, path = "fake", "/root"

    def __init__(self) -> None:
        self.installed, self.provider = {"p": "1"}, self

    def versions(self) -> dict[str, str]:
        return dict(self.installed)

    def waiting(self) -> frozenset[str]:
        return P if self.installed["p"] == "1" else NONE

    def sound(self) -> bool:
        return True

    def refresh(self, _: object = None) -> Said | None:
        return None

    def waits(self, _: object) -> Said:
        return Said(Claim.DONE, "", P)

    def run(self, _: object) -> Said:
        self.installed["p"] = "2"
        return Said(Claim.DONE, "")


@pytest.mark.parametrize(
    ("ask", "word"),
    [
        (lambda root: root.apply(root.plan(("p", "2"))), "right"),
        (lambda root: root.provider.available(), "right"),
        (lambda root: root.provider.refresh(), "not applicable"),
        (lambda root: root.provider.recover(), "not applicable"),
    ],
    ids=["run", "waits", "refresh", "own"],
)
def test_the_first_question_to_the_provider_goes_to_the_peer(ask: Callable[[Any], object], word: str) -> None:
    fake = Fake()
    assert staged(fake, fake) is fake, "nobody plays"
    with playing(fake, PLAIN):
        root = staged(fake, fake)
        assert root.path == "/root"
        with pytest.raises(Answered) as answered:
            ask(root)
    assert answered.value.verdict.word == word
