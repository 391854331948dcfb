"""A restart by order at the root helper: what no order can widen, over its real socket and its real record on disk.

The machine itself is the helper's port (`reboots.Machine`): a test must not restart the machine that it runs on.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from brakeline.agent import helper as serving
from brakeline.agent import helper_socket
from brakeline.agent.config import Config
from brakeline.agent.helper_client import Declined, Going, HelperClient
from brakeline.agent.reboots import A_DAY_MAX, DAY_MS, SETTLED_S, Machine, No, Reboots, restarts_a_day
from brakeline.agent.transactions import Transactions
from brakeline.protocol import codec
from brakeline.protocol.messages import ORDER_CONTEXT, RESTART_CONTEXT, RestartOrder, SignedOrder

CELL = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
ENDPOINT = "ep_01JD0000000000000000000001"
NOW_MS = 1_800_000_000_000
ORDER = RestartOrder(ENDPOINT, "ro_x", "boot-1", NOW_MS, NOW_MS + 6 * 3600 * 1000)


def sign(order: RestartOrder, context: bytes = RESTART_CONTEXT, key: Ed25519PrivateKey = CELL) -> SignedOrder:
    payload = codec.encode(order)
    return SignedOrder(payload.decode(), key.sign(context + payload).hex())


@dataclass
class Fake:
    """A machine that counts its restarts instead of having them."""

    boot: int = 1
    up: float = SETTLED_S + 1
    says: str = ""
    reboots: list[int] = field(default_factory=list)

    def machine(self) -> Machine:
        return Machine(f"boot-{self.boot}", lambda: self.up, self.reboot)

    def reboot(self) -> str:
        if not self.says:
            self.reboots.append(self.boot)
        return self.says


class NeverStarts:
    def start(self, transaction_id: str) -> None:
        raise AssertionError(transaction_id)

    def alive(self, transaction_id: str) -> bool:
        return True


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def client(tmp_path: Path, fake: Fake) -> Iterator[HelperClient]:
    """The helper behind its real socket."""
    import os

    def no_provider() -> Any:
        raise AssertionError

    helper = serving.Helper(
        Config("https://x", "", ENDPOINT, CELL.public_key().public_bytes_raw().hex()),
        Transactions(tmp_path / "helper", NeverStarts()), no_provider, frozenset({os.getuid()}), threading.Lock(),
        threading.Lock(), system="apt", reboots=Reboots(tmp_path / "helper", lambda: 2, fake.machine()),
    )  # fmt: skip
    path = tmp_path / "helper.sock"
    listener = helper_socket._listen(path, "nobody-of-this-name")
    thread = threading.Thread(target=helper_socket._accept_until_idle, args=(listener, helper, 3.0), daemon=True)
    thread.start()
    yield HelperClient(str(path))
    listener.close()
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as wake:
        wake.connect(str(path))  # a thread in accept() does not notice a close; a caller wakes it
    thread.join(5.0)
    assert not thread.is_alive()


def test_a_genuine_order_restarts_and_the_record_is_there_first(client: HelperClient, fake: Fake,
                                                                tmp_path: Path) -> None:  # fmt: skip
    assert client.restart(sign(ORDER), NOW_MS) == Going()
    assert fake.reboots == [1]
    assert (tmp_path / "helper/reboots").read_text() == f"{NOW_MS} boot-1\n"


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (sign(ORDER, ORDER_CONTEXT), "bad_signature"),
        (sign(ORDER, key=Ed25519PrivateKey.from_private_bytes(b"d" * 32)), "bad_signature"),
        (sign(replace(ORDER, endpoint_id="ep_01JD0000000000000000000002")), "wrong_endpoint"),
        (sign(replace(ORDER, boot_id="boot-0")), "other_boot"),
        (sign(replace(ORDER, expires_ms=NOW_MS)), "expired"),
        (SignedOrder("x" * 5000, "00"), "oversized"),
        (SignedOrder("{}", CELL.sign(RESTART_CONTEXT + b"{}").hex()), "malformed"),
        (SignedOrder("{}", "zz"), "malformed"),
    ],
)
def test_no_other_order_restarts_anything(client: HelperClient, fake: Fake, order: SignedOrder, code: str) -> None:
    answer = client.restart(order, NOW_MS)
    assert isinstance(answer, Declined)
    assert answer.code == code
    assert fake.reboots == []


def follow(tmp_path: Path, fake: Fake, order: RestartOrder = ORDER, now_ms: int = NOW_MS, a_day: int = 2,
           busy: bool = False) -> No | None:  # fmt: skip
    return Reboots(tmp_path, lambda: a_day, fake.machine()).follow(order, now_ms, busy=busy)


def code(answer: No | None) -> str:
    return answer.code if answer else ""


def test_the_endpoints_own_rules_bound_every_order(tmp_path: Path, fake: Fake) -> None:
    assert code(follow(tmp_path, fake, a_day=0)) == "not_allowed"
    assert code(follow(tmp_path, fake, busy=True)) == "busy"
    fake.up = SETTLED_S - 1
    assert code(follow(tmp_path, fake)) == "settling"
    assert fake.reboots == []


def test_a_day_has_only_so_many_restarts_whatever_is_ordered(tmp_path: Path, fake: Fake) -> None:
    told = []
    for hour in range(26):
        order = replace(ORDER, boot_id=f"boot-{fake.boot}", expires_ms=NOW_MS + 30 * DAY_MS)
        told.append(code(follow(tmp_path, fake, order, NOW_MS + hour * 3_600_000)))
        fake.boot += told[-1] == ""
    assert told == ["", "", *["limit"] * 22, "", ""]


def test_a_record_that_cannot_be_read_is_no_empty_one(client: HelperClient, fake: Fake, tmp_path: Path) -> None:
    """How many restarts there were is not known then, so there is none."""
    record = tmp_path / "helper/reboots"
    record.symlink_to(record)  # the system says ELOOP, as a bad disk says EIO
    answer = client.restart(sign(ORDER), NOW_MS)
    assert isinstance(answer, Declined)
    assert (answer.code, fake.reboots) == ("system", [])


def test_what_can_be_read_of_a_damaged_record_counts(client: HelperClient, fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "helper/reboots").write_bytes(b"\xff\xfe\n" + f"{NOW_MS - 2} boot-a\n{NOW_MS - 1} boot-b\n".encode())
    answer = client.restart(sign(ORDER), NOW_MS)
    assert isinstance(answer, Declined)
    assert (answer.code, fake.reboots) == ("limit", [])


def test_an_order_is_followed_once_and_again_only_while_the_machine_is_still_up(tmp_path: Path, fake: Fake) -> None:
    assert code(follow(tmp_path, fake, a_day=1)) == ""
    assert code(follow(tmp_path, fake, a_day=1)) == ""  # a delay inhibitor holds it: asked again, counted once
    fake.boot = 2
    assert code(follow(tmp_path, fake, a_day=1)) == "other_boot"
    assert fake.reboots == [1, 1]
    assert len((tmp_path / "reboots").read_text().splitlines()) == 1


def test_an_inhibitor_or_somebody_logged_in_is_a_refusal_in_their_words(tmp_path: Path, fake: Fake) -> None:
    fake.says = 'Operation inhibited by "backup"'
    answer = follow(tmp_path, fake)
    assert answer == No("inhibited", fake.says)


def test_a_torn_record_counts_as_what_can_be_read_of_it(tmp_path: Path, fake: Fake) -> None:
    (tmp_path / "reboots").write_text(f"{NOW_MS - 5} boot-a\n{NOW_MS - 4} boot-b\n17999")
    assert code(follow(tmp_path, fake)) == "limit"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ('{"restarts_a_day": 2}', 2), ('{"restarts_a_day": 99}', A_DAY_MAX), ('{"restarts_a_day": 0}', 0),
        ('{"restarts_a_day": -1}', 0), ('{"restarts_a_day": true}', 0), ('{"restarts_a_day": "2"}', 0), ("[]", 0),
        ("{", 0), (None, 0),
    ],
)  # fmt: skip
def test_without_a_clear_word_of_root_nothing_is_allowed(tmp_path: Path, text: str | None, number: int) -> None:
    if text is not None:
        (tmp_path / "restart.json").write_text(text)
    assert restarts_a_day(tmp_path / "agent.json") == number


def test_roots_number_is_asked_at_each_order(tmp_path: Path, fake: Fake) -> None:
    numbers = [0]
    reboots = Reboots(tmp_path, lambda: numbers[0], fake.machine())
    assert code(reboots.follow(ORDER, NOW_MS, busy=False)) == "not_allowed"
    numbers[0] = 1
    assert reboots.follow(ORDER, NOW_MS, busy=False) is None
    assert fake.reboots == [1]
