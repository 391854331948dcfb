"""Content through the real launcher: tried with the confirmed agent, confirmed, reverted, recalled, never executed."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from tests.support_launcher import HEALTHY, PYTHON, RAN, READY, SAY, STAY, Endpoint, release_bytes
from tests.support_trust import bundle

AGENT = (
    'import os, sys\nif sys.argv[1:] == ["where"]: sys.exit(os.environ.get("BRAKELINE_CONTENT", "built in"))\n'
    + SAY
    + RAN
    + """
where = os.environ.get("BRAKELINE_CONTENT", "")
rules = open(where + "/rules.json").read() if where else "built in"
open(os.environ["HOME"] + "/given", "a").write(rules + "\\n")
if "nonsense" in rules: sys.exit("rules.json: this is nonsense")
"""
    + READY
    + HEALTHY
    + STAY
)


def content_bytes(version: str, rules: str, sequence: int, **files: bytes) -> bytes:
    entry = (next(iter(files)),) if files else ("rules.json",)
    return bundle(version, {"rules.json": rules.encode(), **files}, sequence, "content", entry)


def offer(host: Endpoint, version: str, rules: str, sequence: int, **files: bytes) -> str:
    data = content_bytes(version, rules, sequence, **files)
    release_id = host.cell.repository.publish(version, data, sequence, product="content")
    host.cell.repository.offer(release_id)
    return release_id


def begin(host: Endpoint) -> tuple[str, str]:
    """A running agent 1.0.0 with confirmed content 1.1.0."""
    agent = host.prepare(release_bytes("1.0.0", AGENT))
    host.start()
    host.until_running(agent)
    content = offer(host, "1.1.0", "one", 1)
    until_content(host, content)
    return agent, content


def until_content(host: Endpoint, release_id: str) -> None:
    host.until(lambda: host.report().content == release_id, what=f"content {release_id} confirmed")


def until_given(host: Endpoint, agent: str, content: str) -> None:
    host.until(lambda: (host.report().running, host.report().running_content) == (agent, content), what="the pair")


def given(host: Endpoint, rules: str) -> int:
    """How often the agent was executed with these rules, as it says itself."""
    return (host.home / "given").read_text().splitlines().count(rules)


def exec_verb(host: Endpoint, **environment: str) -> str:
    places = ["--root", str(host.root), "--etc", str(host.etc), "--home", str(host.home)]
    command = [PYTHON, "-I", str(host.program), "exec", *places, "where"]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False).stderr


def test_good_content_is_confirmed_and_the_helper_gets_the_same_from_the_launcher_alone(host: Endpoint) -> None:
    agent, one = begin(host)
    two = offer(host, "1.2.0", "two", 2)
    until_content(host, two)
    report = host.report()
    assert (report.running, report.running_content, report.content_last_known_good) == (agent, two, one)
    assert report.confirmed == agent
    assert report.last_trial is not None
    assert (report.last_trial.release_id, report.last_trial.outcome) == (two, "confirmed")
    assert host.record().floors.content_sequence == 2
    folder = str(host.root / "versions" / two)
    assert exec_verb(host).strip() == folder
    assert exec_verb(host, BRAKELINE_CONTENT="/tmp/evil").strip() == folder, "not what the caller says"
    (host.root / "versions" / two / "rules.json").write_text("evil")
    assert exec_verb(host, BRAKELINE_CONTENT="/tmp/evil").strip() == "built in", "nor what is damaged"


@pytest.mark.long
def test_content_that_makes_the_agent_crash_is_reverted_after_three_executions(host: Endpoint) -> None:
    agent, one = begin(host)
    bad = offer(host, "1.2.0", "nonsense", 2)
    host.until_quarantined(bad)
    until_given(host, agent, one)
    assert given(host, "nonsense") == 3
    report, record = host.report(), host.record()
    assert (report.confirmed, report.content, report.trial) == (agent, one, "")
    assert report.last_trial is not None
    assert (report.last_trial.release_id, report.last_trial.outcome) == (bad, "reverted")
    assert "this is nonsense" in report.last_trial.log_tail
    assert record.attempt(agent).runs == 0, "the agent is not blamed"
    three = offer(host, "1.3.0", "three", 3)
    until_content(host, three)
    assert given(host, "nonsense") == 3


@pytest.mark.long
def test_agent_and_content_offered_at_once_are_both_confirmed(host: Endpoint) -> None:
    begin(host)
    repository = host.cell.repository
    agent = repository.publish("2.0.0", release_bytes("2.0.0", AGENT, 2), 2)
    content = repository.publish("1.2.0", content_bytes("1.2.0", "two", 2), 2, product="content")
    repository.leased = [{"release_id": content}, {"release_id": agent}]
    until_content(host, content)
    assert host.report().confirmed == agent
    assert host.runs("2.0.0") == 2, "first with the content before, then with the new one"


@pytest.mark.long
def test_recalled_content_leaves_and_the_agent_goes_on_with_the_one_before_and_then_without(host: Endpoint) -> None:
    agent, one = begin(host)
    two = offer(host, "1.2.0", "two", 2)
    until_content(host, two)
    host.cell.repository.recalled.append(two)
    host.cell.repository.bump("recall")
    until_given(host, agent, one)
    host.cell.repository.recalled.append(one)
    host.cell.repository.bump("recall")
    until_given(host, agent, "")
    times = given(host, "one"), given(host, "two")
    host.restart()
    until_given(host, agent, "")
    assert (given(host, "one"), given(host, "two")) == times


@pytest.mark.long
def test_damaged_content_is_never_used_and_is_fetched_again(host: Endpoint) -> None:
    agent, one = begin(host)
    host.stop()
    rules = host.root / "versions" / one / "rules.json"
    rules.write_text("tampered")
    host.cell.repository.leased = []
    host.start()
    host.until(lambda: rules.exists() and rules.read_text() == "one", what="the signed content")
    until_given(host, agent, one)
    assert given(host, "tampered") == 0


@pytest.mark.long
def test_a_program_in_content_is_never_executed(host: Endpoint) -> None:
    """Signed with the content key, leased and all: it is a file that nobody starts."""
    agent, _ = begin(host)
    program = b'#!/bin/sh\ntouch "$HOME/evil"\necho READY >&"$BRAKELINE_LAUNCHER_FD"\nexec sleep 600\n'
    two = offer(host, "1.2.0", "two", 2, evil=program)
    until_content(host, two)
    assert host.report().running == agent
    file: Path = host.root / "versions" / two / "evil"
    assert file.read_bytes() == program
    assert not file.stat().st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    assert not (host.home / "evil").exists()
