"""What a verb prints whose act now waits for a second person, or for its time: exit code 10, so that scripts notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from brakeline.cli.output import Exit, emit, say, talk, when


def emit_or_wait(answer: Any, as_json: bool, human: Callable[[], None]) -> None:
    """Print what was done; or, where a request came back instead, what waits for whom."""
    asked = answer.get("approval") if isinstance(answer, dict) else None
    if asked is None:
        emit(answer, as_json, human)
        return
    emit(answer, as_json, lambda: say(f"{asked['id']}: not done yet. {' '.join(asked['says'])}"))
    talk(who_agrees(asked))
    raise typer.Exit(Exit.PENDING)


def who_agrees(asked: dict[str, Any]) -> str:
    """One sentence: who has to agree, until when, and how."""
    how = f"brakeline approval approve {asked['id']}, or Approvals in the console"
    if asked["not_before_ms"]:
        return f"Nobody else can agree ({asked['way']}): confirm it after {when(asked['not_before_ms'])}: {how}"
    return f"A second person agrees until {when(asked['expires_ms'])}: {how}"
