"""Rules from content: strictly bounded, additive, and only ever on the careful side."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.agent.test_decide import ME, ROLLOUT
from tests.unit.agent.test_releases import OLD_ID, REPORT, answers, launched

from brakeline.agent import commands, content, events, model
from brakeline.agent.providers.apt import kernel, plan, stale
from brakeline.agent.providers.apt.services import Stale
from brakeline.protocol.codec import Malformed
from brakeline.protocol.content import BUILT_IN, RULES_BYTES_MAX, BrokenVersion, Rules, parse
from brakeline.protocol.messages import Action, ActionKind, Candidate, ReleaseRef, UpdateRef

GOOD = {
    "format": 1,
    "never_restart": ["postgresql*.service", "drbd?.service"],
    "reboot_packages": ["firmware-*"],
    "broken_versions": [{"package": "openssl", "versions": ["3.0.1-1", "3.0.1-2"], "reason": "it breaks sshd"}],
}


def parsed(**changes: Any) -> tuple[Rules, tuple[str, ...]]:
    return parse(json.dumps({**GOOD, **changes}).encode())


def test_a_service_that_content_names_is_not_restarted_and_only_a_reboot_renews_it() -> None:
    rules, problems = parsed()
    assert problems == ()
    assert not stale.restartable("postgresql@15-main.service", rules)
    assert stale.restartable("postgresql@15-main.service")
    assert stale.restartable("nginx.service", rules)
    old = Stale(9, "postgres", "postgresql@15-main.service", "/usr/lib/libssl.so.3")
    assert stale.reasons([old], {}, rules) == ("libssl.so.3 in use by postgresql@15-main.service",)
    assert stale.reasons([old], {}) == ()


def test_content_cannot_allow_what_is_built_in_as_forbidden() -> None:
    rules, _ = parsed(never_restart=[])
    assert not stale.restartable("dbus.service", rules)


def test_a_known_broken_version_is_refused_with_the_reason() -> None:
    rules, _ = parsed()
    upgrade = Action(ActionKind.UPGRADE, "openssl", "amd64", "3.0.0-1", "3.0.1-2")
    refused = plan.refuse_broken(plan.make_transaction([upgrade]), rules)
    assert refused is not None
    assert (refused.code, "it breaks sshd" in refused.reason) == ("known_broken", True)
    leaving = Action(ActionKind.REMOVE, "openssl", "amd64", "3.0.1-2", "")
    assert plan.refuse_broken(plan.make_transaction([leaving]), rules) is None
    assert plan.refuse_broken(plan.make_transaction([upgrade]), BUILT_IN) is None


def test_packages_after_whose_change_a_restart_is_due() -> None:
    rules, _ = parsed()
    assert kernel.reboot_reasons(["zlib1g", "firmware-iwlwifi"], rules) == (
        "firmware-iwlwifi changed since the last start",
    )
    assert kernel.reboot_reasons(["intel-microcode"], BUILT_IN) != (), "without content the built-in rules count"


def test_what_is_not_understood_is_ignored_and_named() -> None:
    rules, problems = parsed(colour="blue", broken_versions=[{**GOOD["broken_versions"][0], "since": 3}])  # type: ignore[index]
    assert rules == parsed()[0]
    assert [p.split()[1] for p in problems] == ["broken_versions.since", "colour"]


BAD = {
    "not JSON": b"{",
    "a list": b"[]",
    "nested too deeply": b"[" * 100_000,
    "no format": b"{}",
    "another format": b'{"format": 2}',
    "true is no format": b'{"format": true}',
    "wrong type": b'{"format": 1, "never_restart": "sshd.service"}',
    "wrong type inside": b'{"format": 1, "never_restart": [7]}',
    "odd pattern": b'{"format": 1, "never_restart": ["[a-z"]}',
    "a path": b'{"format": 1, "reboot_packages": ["../etc"]}',
    "too many": json.dumps({"format": 1, "never_restart": ["a"] * 1001}).encode(),
    "no reason": b'{"format": 1, "broken_versions": [{"package": "a", "versions": ["1"], "reason": ""}]}',
    "no versions": b'{"format": 1, "broken_versions": [{"package": "a", "versions": [], "reason": "x"}]}',
    "too long": json.dumps(
        {"format": 1, "broken_versions": [{"package": "a", "versions": ["1"], "reason": "x" * 201}]}
    ).encode(),
    "too large": b" " * (RULES_BYTES_MAX + 1),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rules_are_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed) as e:
        parse(BAD[name])
    assert e.value.detail.startswith("rules.json") or "JSON" in e.value.detail
    (tmp_path / "rules.json").write_bytes(BAD[name])
    with pytest.raises(content.BadContent):
        content.load({content.WHERE: str(tmp_path)})


def test_it_is_read_where_the_launcher_says_and_nowhere_else(tmp_path: Path) -> None:
    assert content.load({}) == content.Content()
    folder = tmp_path / "1.2.0-aaaaaaaaaaaa"
    folder.mkdir()
    with pytest.raises(content.BadContent, match=r"rules\.json"):
        content.load({content.WHERE: str(folder)})
    (folder / "rules.json").write_text(json.dumps(GOOD))
    found = content.load({content.WHERE: str(folder)})
    assert found.release_id == folder.name
    assert found.rules.broken_versions[0] == BrokenVersion("openssl", ("3.0.1-1", "3.0.1-2"), "it breaks sshd")


# --- the agent's part in an update of its content -------------------------------------------------------------------

NEW = ReleaseRef("content", "2.0.0", "content/2.0.0/any/bundle.tar", "ab" * 32, 1000, 2)
OURS = Candidate(ROLLOUT, 1, (UpdateRef("brakeline-content", NEW.release_id),), release=NEW)


def test_content_is_prepared_like_a_release_and_says_what_it_replaces() -> None:
    story = launched(replace(REPORT, content="1.0.0-" + "ee" * 6)).reply(candidates=(OURS,))
    assert answers(story) == ([ROLLOUT], [])


def test_content_in_use_is_nothing_to_do_and_on_probation_it_counts_as_ready() -> None:
    story = launched(replace(REPORT, content=NEW.release_id)).reply(candidates=(OURS,))
    assert answers(story) == ([], ["nothing_to_do"])
    story = launched(replace(REPORT, trial=NEW.release_id)).reply(candidates=(OURS,))
    assert answers(story) == ([ROLLOUT], [])


def test_the_cell_hears_which_content_is_in_use() -> None:
    me = replace(ME, release_id=OLD_ID, content=NEW.release_id, content_problems=("rules.json: x",))
    from tests.unit.agent.test_decide import Story

    story = Story(model.State(me, model.Durable())).happens(events.Started, ()).secret()
    body = story.the(commands.DoCheckIn).body
    assert (body.content, body.content_problems) == (NEW.release_id, ("rules.json: x",))
