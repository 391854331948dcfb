"""Who gets an event, when again, when never; how it is signed; which addresses nothing is sent to."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.core.errors import Invalid
from brakeline.events.decide import (
    LONGEST_S,
    SPREAD,
    TRIES_MAX,
    checked_address,
    checked_kinds,
    delay_s,
    gives_up,
    key_of,
    networks_of,
    refused,
    signature,
    wants,
)


@given(st.integers(1, 60), st.text(max_size=10))
def test_the_delay_grows_and_ends_at_an_hour(tries: int, seed: str) -> None:
    exact = min(LONGEST_S, 5 * 2 ** (tries - 1))
    assert exact * (1 - SPREAD) <= delay_s(tries, seed) <= exact * (1 + SPREAD)
    assert delay_s(tries, seed) == delay_s(tries, seed)


def test_two_receivers_do_not_come_back_at_the_same_moment() -> None:
    assert len({round(delay_s(5, f"sk_{i}"), 3) for i in range(50)}) > 45


def test_it_is_given_up_after_about_half_a_day() -> None:
    assert not gives_up(TRIES_MAX - 1)
    assert gives_up(TRIES_MAX)
    hours = sum(delay_s(tries, "x") for tries in range(1, TRIES_MAX)) / 3600
    assert 8 < hours < 14


@pytest.mark.parametrize(
    ("kinds", "kind", "gets"),
    [
        ((), "rollout.brake", True), (("rollout.*",), "rollout.brake", True), (("rollout.*",), "rollouts.x", False),
        (("rollout.brake",), "rollout.brakes", False), (("risk.*", "rollout.brake"), "rollout.brake", True),
        (("*",), "person.add", True),
    ],
)  # fmt: skip
def test_who_gets_what(kinds: tuple[str, ...], kind: str, *, gets: bool) -> None:
    assert wants(kinds, kind) is gets


@pytest.mark.parametrize("kinds", [[""], ["rollout brake"], ["ünder"], ["a"] * 21, ["x" * 81]])
def test_kinds_that_are_none(kinds: list[str]) -> None:
    with pytest.raises(Invalid):
        checked_kinds(kinds)


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "127.0.0.1", "0.0.0.0", "169.254.169.254", "192.168.1.1", "172.16.0.1", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
        "2002:a00:1::1", "64:ff9b::a9fe:a9fe", "::10.0.0.1", "64:ff9b:1::a00:1", "fec0::1",
    ],
)  # fmt: skip
def test_nothing_is_sent_to_private_addresses_however_they_are_written(address: str) -> None:
    assert "no public address" in refused(address, (), plain=False)
    assert refused(address, (), plain=True)


def test_a_network_that_settings_name_is_allowed_and_no_other() -> None:
    allowed = networks_of(["10.2.0.0/16", "fd00::/8"])
    assert refused("10.2.3.4", allowed, plain=True) == ""
    assert refused("::ffff:10.2.3.4", allowed, plain=False) == ""
    assert refused("fd00::1", allowed, plain=True) == ""
    assert refused("10.3.0.1", allowed, plain=False)
    assert refused("93.184.216.34", allowed, plain=False) == ""
    assert "without TLS" in refused("93.184.216.34", allowed, plain=True)
    with pytest.raises(Invalid, match="event_networks"):
        networks_of(["10.2.0.1/16"])


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("https://siem.example.org/in?a=1", ("https", "siem.example.org", 443)),
        ("http://10.2.0.1:8080", ("http", "10.2.0.1", 8080)),
        ("syslog+tls://log.example.org", ("syslog+tls", "log.example.org", 6514)),
        ("syslog+tcp://[fd00::1]:1601", ("syslog+tcp", "fd00::1", 1601)),
    ],
)
def test_addresses(address: str, parts: tuple[str, str, int]) -> None:
    assert checked_address(address) == parts


@pytest.mark.parametrize(
    "address",
    [
        "ftp://x/",
        "https://",
        "https://user@x/",
        "https://x:99999/",
        "file:///etc/passwd",
        "x",
        "https://" + "x" * 600,
        "https://[::1/",
        "https://x/ü",
        "https://ü.example.org/",
        "https://x/a b",
        "https://x/\x7f",
    ],
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(Invalid, match="an address is"):
        checked_address(address)


def test_a_signature_is_over_time_and_body_and_the_key_is_of_one_receiver() -> None:
    key = key_of(b"server", "sk_1", 1)
    assert len({key, key_of(b"server", "sk_2", 1), key_of(b"server", "sk_1", 2), key_of(b"other", "sk_1", 1)}) == 4
    wanted = hmac.new(key.encode(), b"17." + b"{}", hashlib.sha256).hexdigest()
    assert signature(key, 17, b"{}") == f"v1={wanted}"
    assert len({signature(key, 17, b"{}"), signature(key, 18, b"{}"), signature(key, 17, b"{ }")}) == 3
