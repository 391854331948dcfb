"""The child of Windows' agent, with this system's processes: what it reads and waits for is the same here."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAME = "brakeline.agent.windows_child"
DEADLINE_S = 1000.0


@pytest.fixture
def windows_child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", "win32")
        module = importlib.import_module(NAME)
    monkeypatch.setattr(module, "NO_WINDOW", 0)
    yield module
    del sys.modules[NAME]


@pytest.fixture
def left(windows_child: Any, tmp_path: Path) -> Iterator[Any]:
    """A child that has ended, and left something behind that holds its output open until the test ends."""
    (tmp_path / "held").touch()
    holds = f"echo said; (while test -e {tmp_path}/held; do sleep 0.05; done) &"
    child = windows_child.Child(["/bin/sh", "-c", holds], tmp_path, DEADLINE_S)
    child._process.wait(20)
    while not child._output:
        time.sleep(0.01)
    yield child
    (tmp_path / "held").unlink(missing_ok=True)
    for reader in child._readers:
        reader.join(20)


def test_looking_at_a_child_that_left_something_behind_does_not_block(left: Any, windows_child: Any) -> None:
    assert left.over()
    assert left.look(10.0) is None
    assert all(reader.is_alive() for reader in left._readers)
    assert not left.over(), "there is nothing new to look at, so that nobody spins"
    assert left.deadline_s == 10.0 + windows_child.END_S_MAX
    assert left.look(left.deadline_s - 0.1) is None
    ended = left.look(left.deadline_s)
    assert (ended.output, ended.problem) == (b"said\n", "")


def test_its_end_comes_with_the_end_of_its_output(left: Any, tmp_path: Path) -> None:
    assert left.look(10.0) is None
    (tmp_path / "held").unlink()
    for reader in left._readers:
        reader.join(20)
    assert left.over()
    assert left.look(11.0).output == b"said\n"


def test_a_child_that_takes_too_long_is_ended(windows_child: Any, tmp_path: Path) -> None:
    child = windows_child.Child(["/bin/sleep", "60"], tmp_path, DEADLINE_S)
    assert child.look(DEADLINE_S - 1) is None
    assert child.look(DEADLINE_S).problem == "took too long"
    assert child.over()
