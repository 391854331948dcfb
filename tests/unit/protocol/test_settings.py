"""Which of two settings is narrower: one rule for cell, agent and root, and no word is outside of it."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import Any

from brakeline.core.weekly import NEVER
from brakeline.protocol.digests import SINCE_0_2, settings_digest
from brakeline.protocol.messages import Conffiles, Mode, RestartConsent, Settings
from brakeline.protocol.settings import NAMES, NONE, WIDEST, allows, for_older, narrowest, newer_words, shown, wider

VALUES: dict[str, tuple[Any, ...]] = {
    "mode": tuple(Mode), "inventory_interval_s": (10, 900, 3600), "refresh_interval_s": (900, 86400),
    "windows": ((), ("sat 00:00/sun 24:00",), ("daily 22:00/06:00",), (NEVER,)), "restart": tuple(RestartConsent),
    "conffiles": tuple(Conffiles), "restarts_a_day": (0, 1, 4), "download_kib_s": (0, 64, 5000), "nice": (0, 10, 19),
    "probes": ((), ("web http://127.0.0.1/",), ("db /usr/lib/checks/db",), ("/usr/lib/checks/db", "http:80")),
}  # fmt: skip


def some(count: int) -> list[Settings]:
    chance = random.Random(3)
    return [Settings(**{k: chance.choice(v) for k, v in VALUES.items()}) for _ in range(count)]


def test_every_word_of_settings_is_named_bounded_and_in_the_digest() -> None:
    words = {f.name for f in dataclasses.fields(Settings)} - {"check_in_interval_s"}
    assert words == set(NAMES) == set(VALUES)
    assert set(SINCE_0_2) == words - {"mode", "inventory_interval_s", "refresh_interval_s"}
    for name, values in VALUES.items():
        one, other = (dataclasses.replace(NONE, **{name: v}) for v in values[:2])
        assert settings_digest(one) != settings_digest(other), name
        assert wider(one, other) or wider(other, one), name


def test_the_narrower_of_two_is_within_both_whatever_the_order() -> None:
    found = some(40)
    for one, other in itertools.product(found, found):
        least = narrowest(one, other)
        assert allows(one, least)
        assert allows(other, least)
        assert (
            settings_digest(least) == settings_digest(narrowest(other, one)) == settings_digest(narrowest(least, one))
        )
        assert bool(wider(one, other)) is not allows(other, one)


def test_nothing_is_wider_than_the_widest() -> None:
    assert all(allows(WIDEST, one) for one in some(40))


def test_settings_that_older_agents_know_keep_their_name() -> None:
    assert settings_digest(NONE) == "b328512d89d6"


def test_an_older_agent_is_told_to_assess_rather_than_to_patch_without_the_words() -> None:
    assert for_older(Settings(Mode.PATCH)) == Settings(Mode.PATCH)
    for name in SINCE_0_2:
        told = dataclasses.replace(Settings(Mode.PATCH), **{name: VALUES[name][1]})
        if newer_words(told):
            assert for_older(told).mode is Mode.ASSESS, name


def test_values_are_shown_in_words() -> None:
    assert shown("windows", ()) == "always"
    assert shown("windows", ("sat 00:00/sun 24:00",)) == "sat 00:00/sun 24:00"
    assert shown("download_kib_s", 0) == "no bound"
    assert shown("conffiles", Conffiles.REPLACE) == "as the rollout says"
    assert shown("mode", Mode.PATCH) == "patch"
