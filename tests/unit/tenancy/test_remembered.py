"""Who may press while the database is away: whoever it vouched for lately, to brake and for nothing else."""

from __future__ import annotations

from dataclasses import replace

from brakeline.tenancy.model import ROLE_PERMISSIONS, Principal
from brakeline.tenancy.remembered import REMEMBERED_MAX, REMEMBERED_S, Remembered

OLGA = Principal("te_1", "pe_1", "person", "Olga", ROLE_PERMISSIONS["owner"], "se_1")
NOW = 1_795_400_000_000


def test_nothing_but_the_permission_to_brake_comes_out_and_not_for_long() -> None:
    seen = Remembered()
    seen.keep(b"cookie", OLGA, NOW)
    found = seen.presser(b"cookie", NOW + REMEMBERED_S * 1000)
    assert found == replace(OLGA, permissions=frozenset({"rollout.brake"}))
    assert seen.presser(b"cookie", NOW + REMEMBERED_S * 1000 + 1) is None
    assert seen.presser(b"cookie", NOW - 1) is None, "a clock that went back proves nothing"
    assert seen.presser(b"another", NOW) is None


def test_who_may_not_brake_is_not_remembered() -> None:
    seen = Remembered()
    seen.keep(b"cookie", OLGA, NOW)
    seen.keep(b"cookie", replace(OLGA, permissions=ROLE_PERMISSIONS["viewer"]), NOW + 1)
    assert seen.presser(b"cookie", NOW + 2) is None


def test_what_has_ended_is_forgotten_at_once() -> None:
    seen = Remembered()
    seen.keep(b"one", OLGA, NOW)
    seen.keep(b"two", OLGA, NOW)
    seen.keep(b"token", replace(OLGA, id="to_1", kind="token"), NOW)
    seen.forget(b"one")
    assert seen.presser(b"one", NOW) is None
    seen.forget_all(["pe_1"])
    assert seen.presser(b"two", NOW) is None
    assert seen.presser(b"token", NOW) is not None


def test_it_is_bounded_and_the_oldest_goes_first() -> None:
    seen = Remembered()
    for i in range(REMEMBERED_MAX + 1):
        seen.keep(i.to_bytes(4, "big"), OLGA, NOW)
    assert seen.presser((0).to_bytes(4, "big"), NOW) is None
    assert seen.presser((1).to_bytes(4, "big"), NOW) is not None
