"""The table can fail: a provider that judges by exit code, hides what waits or calls old lists new turns rows wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.correctness.registry import Situation, situations

from brakeline.agent.providers.apt import apply as apt_apply
from brakeline.agent.providers.apt import provider as apt_provider
from brakeline.agent.providers.dnf import apply as dnf_apply
from brakeline.agent.providers.model import Refreshed
from brakeline.agent.providers.pacman import apply as pacman_apply
from brakeline.agent.providers.zypper import apply as zypper_apply
from brakeline.protocol.messages import Outcome, UpdateState

Plant = Callable[[pytest.MonkeyPatch], None]


def by_exit_code(_: object, blank: Any, ran: Any, *more: object, **others: object) -> Any:
    """What a script around the manager believes."""
    if ran.rc == 0:
        return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail="It ended with 0.")
    return replace(blank, outcome=Outcome.FAILED, code="failed", detail=f"It ended with {ran.rc}.")


def judging(module: Any) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(module._Run, "_judged", by_exit_code)
        if hasattr(module._Run, "_stop_if_untouched"):
            patch.setattr(module._Run, "_stop_if_untouched", lambda *_: None)

    return plant


def all_available(patch: pytest.MonkeyPatch) -> None:
    honest = apt_provider.AptProvider.available
    lie = {"state": UpdateState.AVAILABLE, "reason": ""}
    patch.setattr(apt_provider.AptProvider, "available", lambda self: tuple(replace(u, **lie) for u in honest(self)))


def always_new(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(apt_provider.AptProvider, "refresh", lambda self: Refreshed(1))


LIES: dict[str, tuple[Plant, str]] = {
    "apt judges by exit code": (judging(apt_apply), "apt/did_nothing"),
    "dnf judges by exit code": (judging(dnf_apply), "dnf/post_fails"),
    "zypper judges by exit code": (judging(zypper_apply), "zypper/did_nothing"),
    "pacman judges by exit code": (judging(pacman_apply), "pacman/script_fails"),
    "whatever waits can be had": (all_available, "apt/kept_back"),
    "lists are always new": (always_new, "apt/no_network"),
}
QUICK = ("dnf judges by exit code",)


@pytest.mark.parametrize("lie", [pytest.param(n, marks=() if n in QUICK else pytest.mark.long) for n in LIES])
def test_a_planted_lie_turns_its_row_wrong(lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, row = LIES[lie]
    situation = next(s for s in situations() if s.id == row)
    plant(monkeypatch)
    assert not judged(situation, tmp_path)


def judged(situation: Situation, work: Path) -> bool:
    """Whether its row is right; broken off over our lie, it is not: so counts the runner."""
    try:
        return bool(situation.run(work).right)
    except AssertionError as e:
        if "It ended with" in str(e):
            return False
        raise
