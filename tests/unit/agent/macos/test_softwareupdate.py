"""The lists of `softwareupdate`. Built after the two published forms (quoted in saltstack/salt, Apache-2.0); made up.

*Not run on the real system.*
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from brakeline.agent.providers.macos.softwareupdate import Update, receipts, updates

HEAD = "Software Update Tool\n\nFinding available software\n"
NEW = f"""{HEAD}Software Update found the following new or updated software:
* Label: macOS Example 15.2-24C101
\tTitle: macOS Example 15.2, Version: 15.2, Size: 3084292K, Recommended: YES, Action: restart,
* Label: Tools for Coding, Second Edition-16.0
\tTitle: Tools for Coding, Second Edition, Version: 16.0, Size: 755456KiB, Recommended: YES,
* Label: BridgeExample
\tTitle: BridgeExample, Version: 10.15.0.1.1, Size: 390674K, Recommended: YES, Action: shut down,
- Label: Calendar-1.0.2
\tTitle: Calendar, Version: 1.0.2, Size: 6520K,
"""
OLD = f"""{HEAD}Software Update found the following new or updated software:
   * Tools (version 10.14) for Coding-10.3
\tTools (version 10.14) for Coding (10.3), 199140K [recommended]
   * System 10.14.6 Update-\x20
\tSystem 10.14.6 Update ( ), 1581834K [recommended] [restart]
   - Calendar-1.0.2
\tCalendar, (1.0.2), 6520K
"""


def test_the_form_since_10_15() -> None:
    assert updates(NEW) == (
        Update("macOS Example 15.2-24C101", "macOS Example 15.2", "15.2", 3084292, True, "restart"),
        Update("Tools for Coding, Second Edition-16.0", "Tools for Coding, Second Edition", "16.0", 755456, True),
        Update("BridgeExample", "BridgeExample", "10.15.0.1.1", 390674, True, "shut down"),
        Update("Calendar-1.0.2", "Calendar", "1.0.2", 6520),
    )


def test_the_form_of_10_14() -> None:
    found = updates(OLD)
    assert found is not None
    assert [(u.title, u.version, u.recommended, u.restarts) for u in found] == [
        ("Tools (version 10.14) for Coding", "10.3", True, False), ("System 10.14.6 Update", "", True, True),
        ("Calendar", "1.0.2", False, False),
    ]  # fmt: skip


def test_nothing_waits_and_nothing_is_known() -> None:
    assert updates(f"{HEAD}No new software available.\n") == ()
    assert updates(f"{HEAD}Keine neue Software verfügbar.\n") == ()
    assert updates("") is None
    assert updates(f"{HEAD}Can’t connect to the Apple Software Update server, because you are offline.\n") is None


def test_receipts() -> None:
    text = ("package-id: org.example.a\nversion: 1.2.3\nvolume: /\nlocation: /\n\n"
            "package-id: org.example.b\nversion: 4\n")  # fmt: skip
    assert receipts(text) == {"org.example.a": "1.2.3", "org.example.b": "4"}
    assert receipts("No receipt for 'x' found at '/'.\n") == {}


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    assert updates(HEAD + text) is None or all(u.label for u in updates(HEAD + text) or ())
