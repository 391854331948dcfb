"""What `bad-update` prints: lines that can be pasted, and only those that are needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tools.fleetbox.bad_update import HARMS, REPAIRS, Ready, told
from tools.fleetbox.settings import REPOSITORY

READY = Ready("2.0", "postinst", 6, (), True, "https://127.0.0.1:8443", REPOSITORY / "var/context.json")


def test_the_lines_can_be_pasted_as_they_stand() -> None:
    lines = told(READY).splitlines()
    (policy,) = (line.strip() for line in lines if "policy create" in line)
    (create,) = (line.strip() for line in lines if "deployment create" in line)
    assert policy.endswith("brakeline policy create fleet --mode patch --filter tag:fleet-in-a-box")
    assert "--select names --name brakeline-demo --pace rehearsal --expect 6 --start" in create
    assert any("/rollouts/new?filter=tag:fleet-in-a-box&selection=names&names=brakeline-demo" in line for line in lines)


def test_only_what_is_needed_is_said() -> None:
    plain = replace(READY, needs_policy=False, skipped=("eu1: in another rollout",), count=5)
    assert "policy create" not in told(plain)
    assert "left out: eu1: in another rollout" in told(plain)
    assert "--context" not in told(plain)
    elsewhere = replace(plain, context=Path("/srv/data/context.json"))
    assert "brakeline --context /srv/data/context.json deployment create" in told(elsewhere)


def test_every_harm_has_its_repair() -> None:
    assert set(HARMS) == set(REPAIRS)
    for harm in HARMS:
        assert REPAIRS[harm] in told(replace(READY, harm=harm))
