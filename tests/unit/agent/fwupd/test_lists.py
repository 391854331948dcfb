"""What a refresh of fwupd writes down where its daemon does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from brakeline.agent.providers.apt.runner import Ran
from brakeline.agent.providers.fwupd.lists import Lists
from brakeline.agent.providers.model import Refused


@dataclass(frozen=True)
class Silent:
    """A machine on which whoever asks fwupd is ended before it has answered."""

    root: Path

    def query(self, *command: str, timeout_s: float = 60.0) -> Ran:
        return Ran(-9, "", timed_out=True)

    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        return Ran(-9, "", timed_out=True)

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")


def test_daemon_that_does_not_answer_in_time_is_trouble_of_the_lists(tmp_path: Path) -> None:
    """It writes for somebody else, or hangs: the age of the lists has a reason, and what was seen stays."""
    lists = Lists(Silent(tmp_path))
    lists.asked.write(1_000, [], seen={"fwupd-1 2": ["ab"]})
    answer = lists.refresh(2_000)
    assert isinstance(answer, Refused)
    health = lists.asked.health(())
    assert (health.lists_refreshed_ms, health.lists_problem) == (1_000, answer.reason)
    assert lists.seen() == {"fwupd-1 2": ["ab"]}
