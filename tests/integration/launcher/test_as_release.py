"""Little programs that run as the release's user: others of that user may meddle with them, and hold nobody up."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
from pathlib import Path

import pytest

from brakeline.launcher import supervise
from brakeline.launcher.settings import Settings

HELD = """
import os, sys, time
holder = os.fork()
if holder:
    print(holder, flush=True)
else:
    time.sleep(60)
    open(sys.argv[1], "w").close()
"""
STOPPED = "import os, signal; print('before', flush=True); os.kill(os.getpid(), signal.SIGSTOP)"
ECHO = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1])"


@pytest.fixture
def settings() -> Settings:
    return Settings(user="root" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name)


def test_who_keeps_its_output_open_is_not_waited_for(settings: Settings, tmp_path: Path) -> None:
    """Whoever runs as the same user can open it, by /proc."""
    holder = int(supervise.as_release(settings, HELD, [str(tmp_path / "over")]))
    try:
        assert not (tmp_path / "over").exists()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder, signal.SIGKILL)


def test_one_that_is_stopped_is_ended_though_no_alarm_reaches_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "SCRIPT_S", 1)
    monkeypatch.setattr(supervise, "WAIT_S", 0.2)
    assert supervise.as_release(settings, STOPPED, []) == b""


def test_what_it_is_given_and_what_it_says_go_through_whole(settings: Settings) -> None:
    data = os.urandom(3 << 20)
    assert supervise.as_release(settings, ECHO, [], data) == data[::-1]
    assert supervise.as_release(settings, "pass", [], data) == b"", "what it does not read holds nobody up"
    assert supervise.as_release(settings, "print(1); raise SystemExit(1)", []) == b""
