"""Stub and launchers killed, or refused, at each write and sync of selector and slots, for real, one at a time.

strace strikes one call on one of these very files during one start of the service; everything else goes on untouched.
The way has two starts: the launcher that stages, then the stub that takes the try away with the launcher on trial.
"""

from __future__ import annotations

import re
import shutil

import pytest
from tests.integration.launcher.test_slots import NEXT, begin, launcher, settled, until_in_use
from tests.support import require
from tests.support_launcher import Endpoint

PROGRAM, GOOD, ZERO, ONE = "launcher/a/launcher.pyz", "launcher/a/good.json", "launcher/sel0", "launcher/sel1"
STAGES = [(1, PROGRAM), (1, ONE), (2, ZERO)]  # by the launcher before the trial, and by the stub
CONFIRMS = [(2, GOOD), (2, ONE)]  # by the launcher on trial
CALLS = ("write", "fdatasync")
ERRORS = ("ENOSPC", "EIO", "EROFS")
STRIKE = """#!/bin/bash
echo start >> "{base}/starts"
if [ "$(wc -l < "{base}/starts")" = {start} ]; then
    exec strace -D -f -qq -o "{base}/trace" -e signal=none -e trace={call} -P "{root}/{file}" {inject} "$@"
fi
exec "$@"
"""


def offered(host: Endpoint, start: int, file: str, call: str, how: str = "") -> str:
    """A launcher is offered, and one call on one file is struck in one start of the service. Its release_id."""
    require(shutil.which("strace"), "strace: kills a program at its n-th system call")
    begin(host)
    host.until(lambda: host.selector().generation, what="a selector")
    host.stop()
    own = host.launcher_release(NEXT, 2, launcher())
    inject = f"-e inject={call}:{how}:when=1" if how else ""
    script = STRIKE.format(base=host.base, root=host.root, start=start, file=file, call=call, inject=inject)
    (host.base / "strike").write_text(script)
    host.wrap = ("bash", str(host.base / "strike"))
    host.start()
    return own


def struck(host: Endpoint, call: str) -> bool:
    text = (host.base / "trace").read_text() if (host.base / "trace").exists() else ""
    return re.search(rf"{call}\(.*(INJECTED|\?)", text) is not None or "killed by SIGKILL" in text


@pytest.mark.long
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("start", "file"), STAGES)
def test_killed_before_the_trial_it_is_tried_all_the_same(host: Endpoint, start: int, file: str, call: str) -> None:
    own = offered(host, start, file, call, "signal=KILL")
    until_in_use(host, own)
    assert struck(host, call)
    settled(host, host.record().current)


@pytest.mark.long
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("start", "file"), CONFIRMS)
def test_killed_while_it_confirms_itself_the_one_before_goes_on(
    host: Endpoint, start: int, file: str, call: str
) -> None:
    """A launcher on trial that is killed has crashed, as far as anybody can see."""
    own = offered(host, start, file, call, "signal=KILL")
    host.until(lambda: struck(host, call), 60, "the strike")
    host.until(lambda: host.report().launcher_failed == (own,) or _in_use(host, own), 60, "an end of the trial")
    host.until(lambda: host.report().launcher_trial == "", 30)
    settled(host, host.record().current)
    host.cell.repository.leased.clear()
    newer = host.launcher_release("1.2.0", 3, launcher("# newer\n"))
    until_in_use(host, newer)


def _in_use(host: Endpoint, own: str) -> bool:
    return host.report().launcher_release == own and not host.report().launcher_trial


@pytest.mark.long
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("start", "file"), STAGES + CONFIRMS)
def test_refused_by_the_disk_it_is_tried_when_the_disk_takes_it(
    host: Endpoint, start: int, file: str, call: str, error: str
) -> None:
    own = offered(host, start, file, call, f"error={error}")
    until_in_use(host, own)
    assert struck(host, call)
    settled(host, host.record().current)
