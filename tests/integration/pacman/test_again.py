"""Real pacman takes our patterns for what they say."""

from __future__ import annotations

import pytest
from tests.archrepo import Built
from tests.pacroot import arch

from brakeline.agent.providers.pacman.again import by_directory, joined

pytestmark = pytest.mark.long


def test_files_named_by_their_directory_are_overwritten_and_no_others() -> None:
    """Files that lie there already, of no package: some deep below one directory of p's own, one of which p has not."""
    files = {f"usr/src/p/{n}/deep/header.h": b"p's\n" for n in range(20)}
    with arch() as e:
        e.install(Built("q", "1-1", files={"usr/src/q/own.h": b"q's\n"}))
        for path in (*files, "usr/src/p/0/deep/mine.h"):
            place = e.machine.path(f"/{path}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"left\n")
        patterns = by_directory([f"/{path}" for path in files], {"usr/src/q/own.h"})
        assert patterns == ["usr/src/p/*"]
        e.publish(Built("p", "1-1", files=files))
        e.sh("pacman -Sy --noconfirm; ! pacman -S --noconfirm p")
        e.sh(f"pacman -S --noconfirm --overwrite '{joined(patterns)[0]}' p")
        assert {e.machine.path(f"/{path}").read_bytes() for path in files} == {b"p's\n"}
        assert e.machine.path("/usr/src/p/0/deep/mine.h").read_bytes() == b"left\n"
