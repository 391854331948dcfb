"""Real files of feeds, bills and VEX, bent at random: rows that can be stored, or a refusal. `./dev fuzz feeds` too."""

from __future__ import annotations

import contextlib
import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_bent import bent, kept, places

from brakeline.advisories.arrivals import Arrival, content
from brakeline.advisories.importers import BadFeed, unpacked
from brakeline.sbom import reading, vex
from brakeline.sbom.model import BadBill

DATA = Path(__file__).resolve().parents[2] / "data" / "feeds"
FEEDS = [
    ("csaf-redhat", "csaf-rhsa-2024_1431.json.zst"), ("osv-npm", "osv-github.jsonl"), ("osv-rocky", "osv-rocky.jsonl"),
    ("cvss", "nvd-page.json.zst"), ("cisa-kev", "kev-2024-07-09.json"), ("debian-tracker", "debian-tracker.json"),
    ("alpine-v3.11-main", "alpine-v3.11-main.json"), ("arch-security", "arch-groups.json"),
    ("ubuntu-usn", "ubuntu-usn-763-1.json.bz2"), ("apple-macos", "sofa-macos.json"),
]  # fmt: skip
BILLS = ["spdx3-package.json", "spdx3-vex.json", "openvex-urllib3.json", "openvex-joblib.json"]


def arrival(feed: str) -> Arrival:
    return Arrival(feed, {"cisa-kev": "kev", "cvss": "cvss"}.get(feed, "osv"), feed, "", "file", version="2026-11-20")


@cache
def text(file: str) -> str:
    return unpacked((DATA / file).read_bytes(), file).decode()


def parsed(file: str) -> Any:
    whole = text(file)
    return [json.loads(line) for line in whole.splitlines()] if file.endswith(".jsonl") else json.loads(whole)


def damaged(file: str, seed: int) -> bytes:
    draw = random.Random(seed)
    tree = parsed(file)
    for _ in range(draw.randint(1, 4)):
        tree = bent(tree, draw)
    made = json.dumps(tree).encode("utf-8", "surrogatepass")
    if draw.random() < 0.2:
        at = draw.randrange(len(made))
        made = made[:at] + bytes([draw.randrange(256)]) + made[at + draw.randrange(2) :]
    return made


@pytest.mark.parametrize("sign", ["\0", "\ud800"])
@pytest.mark.parametrize(("feed", "file"), FEEDS)
def test_a_sign_that_no_store_keeps_refuses_the_feed_wherever_it_would_be_kept(feed: str, file: str, sign: str) -> None:
    tree = parsed(file)
    everywhere = places(tree)
    for inside, key in everywhere[:: 1 + len(everywhere) // 40]:
        was = inside[key]
        inside[key] = was + sign
        with contextlib.suppress(BadFeed):
            kept(content(arrival(feed), json.dumps(tree).encode()))
        inside[key] = was


@pytest.mark.parametrize(("feed", "file"), FEEDS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_a_bent_feed_is_rows_or_a_refusal(feed: str, file: str, seed: int) -> None:
    with contextlib.suppress(BadFeed):
        kept(content(arrival(feed), damaged(file, seed)))


@pytest.mark.parametrize("file", BILLS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_a_bent_bill_is_components_or_statements_or_a_refusal(file: str, seed: int) -> None:
    for reader in (reading.read, vex.read):
        with contextlib.suppress(BadBill):
            kept(reader(damaged(file, seed)))
