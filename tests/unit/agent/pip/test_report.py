"""What pip prints, read."""

from __future__ import annotations

import json

import pytest

from brakeline.agent.providers.pip.report import Wheel, actions, newer, normal, unreachable, wheels, why
from brakeline.protocol.messages import ActionKind

RETRY = (
    "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('x')': /simple/"
)


def test_names_come_to_one_spelling() -> None:
    assert {normal(n) for n in ("Foo.Bar", "foo__bar", "FOO-_bar")} == {"foo-bar"}


def test_an_empty_list_after_retries_is_no_answer() -> None:
    assert unreachable(f"{RETRY}\n[]\n")
    assert newer("[]\n") == ()
    assert newer("ERROR: what?\n") is None


def test_newer() -> None:
    text = 'WARNING: x\n[{"name": "Foo_Bar", "version": "1", "latest_version": "1.10", "latest_filetype": "wheel"}]\n'
    assert newer(text) == (("foo-bar", "1.10"),)


def test_report_with_warnings_around_it() -> None:
    item = {"metadata": {"name": "Tool", "version": "2"}, "download_info": {"archive_info": {"hash": "sha256=ab"}}}
    text = "WARNING: {no}\n" + json.dumps({"version": "1", "install": [item]}, indent=2) + "\n[notice] new pip\n"
    assert wheels(text) == (Wheel("tool", "2", "ab"),)
    assert wheels("{}\n") is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (RETRY, "network"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "hash_mismatch"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "no_space"),
        ("ERROR: ResolutionImpossible: for help visit", "refused"),
        ("ERROR: No matching distribution found for tool==9", "lists_stale"),
        ("Traceback", "pip_failed"),
    ],
)
def test_causes(text: str, code: str) -> None:
    found = why(text)
    assert found.code == code
    assert found.reason.endswith(".")


def test_actions() -> None:
    found = (Wheel("a", "2", ""), Wheel("b", "1", ""), Wheel("c", "1", ""), Wheel("d", "1", ""))
    made = actions(found, {"a": "1", "b": "2", "d": "1"}, "pypi-x", frozenset({("b", "1")}))
    assert [(m.kind, m.name) for m in made] == [
        (ActionKind.UPGRADE, "a"), (ActionKind.DOWNGRADE, "b"), (ActionKind.INSTALL, "c"),
    ]  # fmt: skip
