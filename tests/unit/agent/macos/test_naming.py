"""Packages of a Mac by Apple's titles; the forms are published ones, the rows made up. *Not run on the real system.*"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.agent import orders
from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.macos.naming import here, named, stream
from brakeline.agent.providers.macos.softwareupdate import Update, history, updates
from brakeline.protocol.messages import Action, ActionKind

HISTORY = """Display Name                                       Version    Date
------------                                       -------    ----
macOS Example 15.2                                 15.2       01/05/2026, 09:26:50
Tools for Coding, Second Edition                   16.0       01/06/2026, 09:26:50
Tools for Coding, Second Edition                   16.1       01/07/2026, 09:26:50
Rule without a version                                        01/08/2026, 09:26:50
"""


def test_history_by_its_dashes_in_whatever_language() -> None:
    found = history(HISTORY)
    assert found[0] == ("macOS Example 15.2", "15.2")
    assert len(found) == 3
    assert history(HISTORY.replace("Display Name", "Anzeigename ")) == found
    assert history("no history") == ()
    assert {p.name: p.version for p in here("15.3", found)} == {
        "macOS": "15.3",
        "Tools-for-Coding-Second-Edition": "16.1",
    }


@pytest.mark.parametrize(
    ("title", "version", "restarts", "name"),
    [("macOS Sequoia 15.5", "15.5", True, "macOS"), ("Safari 18.4", "18.4", False, "Safari"),
     ("Command Line Tools for Xcode", "16.2", False, "Command-Line-Tools-for-Xcode"), ("…", "", False, "unknown")],
)  # fmt: skip
def test_streams(title: str, version: str, restarts: bool, name: str) -> None:
    update = Update("x", title, version, action="restart" if restarts else "")
    assert named(update) == name
    made = make_transaction([Action(ActionKind.UPGRADE, name, "macos", "1", "2")])
    assert orders.unsafe(made, "softwareupdate") is None


def test_deferred_by_device_management() -> None:
    text = ("Software Update Tool\n\n* Label: A-2\n\tTitle: A, Version: 2, Size: 1KiB, Recommended: YES, "
            "Action: restart, Deferred: YES,\n")  # fmt: skip
    found = updates(text)
    assert found is not None
    assert (found[0].deferred, found[0].restarts) == (True, True)


@given(st.text(max_size=60), st.text(max_size=10))
def test_every_title_is_a_name_that_may_reach_a_command(title: str, version: str) -> None:
    name = stream(title, version)
    made = make_transaction([Action(ActionKind.UPGRADE, name, "macos", "1", "2")])
    assert orders.unsafe(made, "softwareupdate") is None or ".." in name
