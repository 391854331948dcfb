"""Endpoint content from publication to endpoints, or to the brake: real server, launchers and agents.

The bad content is one that every check of the server lets pass and that makes the agent on the endpoints crash at its
start, by a defect that has lain in that agent unseen: what took 8.5 million machines down in July 2024.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import require
from tools.badreleases.cell import Cell, CellError
from tools.badreleases.run import World, world

import brakeline
from brakeline.releases.build import Built, build_release, bundled

pytestmark = pytest.mark.long  # one or two minutes of waiting; `release_rollout` is in the required set

FIELDS = 21  # so many entries the agent under test cannot take, which nobody knows
DEFECT = f'    if len(rules.never_restart) == {FIELDS}:\n        raise IndexError("read beyond the end of a list")\n'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require(os.geteuid() == 0 and shutil.which("unshare") is not None, "root and unshare: endpoints are namespaces")
    package = tmp_path_factory.mktemp("source") / "brakeline"
    shutil.copytree(Path(brakeline.__file__).parent, package)
    where = package / "agent" / "content.py"
    text, returns = where.read_text(), "    return Content(Path(where)"
    assert text.count(returns) == 1
    where.write_text(text.replace(returns, DEFECT + returns))
    with world(print, 3, package=package) as made:
        yield made


def content(version: str, sequence: int, entries: int, folder: Path) -> Built:
    """Content with so many services, built as people do."""
    folder.mkdir()
    (folder / "rules.json").write_text(
        json.dumps({"format": 1, "never_restart": [f"service-{n}.service" for n in range(entries)]})
    )
    return build_release("content", version, sequence, package=folder)


def until(cell: Cell, rollout_id: str, state: str, words: str, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while True:
        found, why = cell.rollout(rollout_id)["state"], str(cell.ask("GET", f"/rollouts/{rollout_id}/why"))
        if found == state and words in why:
            return why
        assert time.monotonic() < deadline, f"{found}, not {state} with {words!r}: {why}"
        time.sleep(0.5)


def test_bad_content_is_halted_recalled_and_healed_without_a_hand(running: World, tmp_path: Path) -> None:
    cell, endpoints, seed = running.cell, running.endpoints, running.seed
    bad = cell.publish(content("1.1.0", 1, FIELDS, tmp_path / "bad").bundle)
    rollout_id = cell.promote(bad)
    why = until(cell, rollout_id, "halted", "", 180)
    tried = [e for e in endpoints if bad in e.report().quarantined]
    assert len(tried) == 1, f"only the canary has tried it: {why}"
    for e in endpoints:
        assert e.until(lambda e=e: (e.report().running, e.report().running_content) == (seed.release_id, ""), 60)  # type: ignore[misc]
        assert e.report().confirmed == seed.release_id
    end = tried[0].report().last_trial
    assert end is not None
    assert (end.release_id, end.outcome, end.runs) == (bad, "reverted", 3)
    assert "read beyond the end of a list" in end.log_tail
    states = {r["id"]: r["state"] for r in cell.ask("GET", "/releases")["items"]}
    assert states.pop(bad) == "recalled"
    assert states[seed.release_id] == "published"
    assert set(states.values()) == {"published"}, "no agent is blamed"
    with pytest.raises(CellError, match="recalled"):
        cell.promote(bad)


def test_good_content_goes_through_a_rollout_and_the_cell_hears_of_it(running: World, tmp_path: Path) -> None:
    cell, endpoints, seed = running.cell, running.endpoints, running.seed
    good = cell.publish(content("1.2.0", 2, 3, tmp_path / "good").bundle)
    rollout_id = cell.promote(good)
    until(cell, rollout_id, "rolling", "1 of 1 treated endpoints are proven", 180)
    (canary,) = [e for e in endpoints if e.report().content == good]
    report = canary.report()
    assert (report.running, report.running_content, report.confirmed) == (seed.release_id, good, seed.release_id)
    assert json.loads((canary.base / "home/status.json").read_text())["content"] == good
    cell.ask("POST", f"/rollouts/{rollout_id}/brake")
    only_that = (seed.release_id, "")  # the agent itself stays

    def left() -> bool:
        return (canary.report().running, canary.report().running_content) == only_that

    assert canary.until(left, 90), canary.report()


def test_what_is_no_content_is_refused_with_a_reason(running: World) -> None:
    cell = running.cell
    for files, reason in (
        ({"rules.json": b'{"format": 7}'}, "understands format 1"),
        ({"rules.json": b'{"format": 1, "colour": "blue"}'}, "colour is not understood"),
        ({"rules.json": b'{"format": 1}', "agent.pyz": b"x"}, "no place for"),
    ):
        with pytest.raises(CellError, match=reason):
            cell.publish(bundled("content", "1.3.0", 9, files, ("rules.json",)).bundle)
