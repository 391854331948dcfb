"""Orders of the whole way through the root helper into the providers for Windows, on a Windows in memory.

The helper's verbs, its record on disk and the runner are real; in between, where a process in a job is elsewhere
(`tests/system/test_windows_helper.py`), the runner's `execute` is called by whoever starts it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract.worlds_windows import Windows
from tests.integration.agent.test_helper import ENDPOINT, GENUINE, NOW_MS, sign

from brakeline.agent import access, local_limits, transaction
from brakeline.agent.clock import SystemClock
from brakeline.agent.config import Config
from brakeline.agent.helper import Helper
from brakeline.agent.providers.fake import Version
from brakeline.agent.providers.host import Manager, Managers
from brakeline.agent.providers.model import Bounds, Planned
from brakeline.agent.transactions import Transactions
from brakeline.protocol import codec
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.managers import SYSTEM
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    LocalLimits,
    Mode,
    SignedOrder,
    Transaction,
    TransactionResult,
    UpdateRef,
)
from brakeline.protocol.settings import UNSAID

AGENT = "S-1-5-80-1"
CELL = Ed25519PrivateKey.from_private_bytes(b"c" * 32)


@dataclass
class Here:
    """A starter that runs the transaction at once; or leaves it, as a power cut does."""

    state: Path
    provider: Managers
    cut: bool = False
    started: list[str] = field(default_factory=list)

    def start(self, transaction_id: str) -> None:
        self.started.append(transaction_id)
        if not self.cut:
            transaction.execute(transaction.files(self.state, transaction_id), self.provider, SystemClock())

    def alive(self, _transaction_id: str) -> bool:
        return False


class Endpoint:
    """A helper over the store."""

    def __init__(self, place: Path, local: LocalLimits | None = None) -> None:
        self.windows = Windows(place / "windows")
        self.windows.publish(Version("p", "1"))
        self.windows.install("p")
        self.windows.publish(Version("p", "2"))
        self.provider = Managers((Manager(SYSTEM, self.windows.provider),))
        self.starter = Here(place / "helper", self.provider)
        self.transactions = Transactions(place / "helper", self.starter)
        more = {} if local is None else {"local": local}
        self.helper = Helper(
            Config("https://h", "", ENDPOINT, CELL.public_key().public_bytes_raw().hex()), self.transactions,
            lambda: self.provider, access.may_ask(AGENT), threading.Lock(), threading.Lock(), system="windows", **more,
        )  # fmt: skip

    def exact(self) -> Transaction:
        found = self.provider.plan((UpdateRef("p", "2.0.0"),), Bounds())
        assert isinstance(found, Planned), found
        return found.transaction

    def apply(self, order: SignedOrder, exact: Transaction, who: str = AGENT, **more: Any) -> dict[str, Any]:
        words = {"order": codec.to_plain(order), "transaction": codec.to_plain(exact)}
        return self.helper.answer(who, {"verb": "apply", **words, **more})

    def result(self) -> TransactionResult:
        told = self.helper.answer(AGENT, {"verb": "status", "transaction_id": self.starter.started[-1]})
        found: TransactionResult = codec.from_plain(TransactionResult, told["result"], "result")
        return found

    def installers(self) -> list[str]:
        return self.windows.box.lines[1:]  # the first put in what was there


@pytest.fixture
def endpoint(tmp_path: Path) -> Endpoint:
    return Endpoint(tmp_path)


def ordered(exact: Transaction, **more: Any) -> SignedOrder:
    return sign(replace(GENUINE, transaction_digest=exact.digest, **more))


def test_a_genuine_order_starts_one_installer_once_and_its_way_back_is_kept(endpoint: Endpoint) -> None:
    exact = endpoint.exact()
    assert endpoint.apply(ordered(exact), exact)["ok"]
    found = endpoint.result()
    assert (found.outcome.value, endpoint.windows.really_has("p")) == ("installed", "2")
    assert found.way_back is not None
    assert found.way_back.stored
    assert endpoint.apply(ordered(exact), exact)["ok"]  # asked again: the answer again, and no second run
    assert len(endpoint.installers()) == len(endpoint.starter.started) == 1


def test_what_a_wrong_order_asks_for_never_reaches_an_installer(endpoint: Endpoint) -> None:
    exact = endpoint.exact()
    actions = (replace(exact.actions[0], after="3.0.0"),)
    differs = Transaction(actions, transaction_digest(actions))
    quoted = (Action(ActionKind.UPGRADE, 'p" TRANSFORMS=x', "x64", "1.0.0", "2.0.0"),)
    unsafe = Transaction(quoted, transaction_digest(quoted))
    forged = sign(replace(GENUINE, transaction_digest=exact.digest), Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    answers = [
        endpoint.apply(forged, exact),
        endpoint.apply(ordered(exact, expires_ms=NOW_MS), exact),
        endpoint.apply(ordered(exact, endpoint_id="ep_01JD0000000000000000000009"), exact),
        endpoint.apply(ordered(exact), differs),
        endpoint.apply(ordered(unsafe), unsafe),
        endpoint.apply(ordered(exact), exact, "S-1-5-21-0-0-0-1000"),
    ]
    codes = ["bad_signature", "offer_expired", "wrong_endpoint", "changed", "refused", "forbidden"]
    assert [(a["ok"], a["code"]) for a in answers] == [(False, code) for code in codes]
    assert all(a["reason"] for a in answers)
    assert (endpoint.installers(), endpoint.starter.started) == ([], [])


def test_root_s_limits_hold_against_a_genuine_order(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path, LocalLimits(replace(UNSAID, mode=Mode.ASSESS)))
    exact = endpoint.exact()
    answer = endpoint.apply(ordered(exact), exact)
    assert (answer["ok"], answer["code"], endpoint.installers()) == (False, "local_limits", [])


def test_limits_that_root_writes_while_the_helper_runs_hold_from_the_next_order_on(tmp_path: Path) -> None:
    """A helper of Windows runs until the machine stops; one that is asked each minute is never idle either."""
    endpoint, config = Endpoint(tmp_path), tmp_path / "agent.json"
    endpoint.helper = replace(endpoint.helper, limits=lambda: local_limits.load(config))
    exact = endpoint.exact()
    for text, code in (('{"mode": "assess"}', "local_limits"), ("{", "local_limits")):
        (tmp_path / "limits.json").write_text(text)
        answer = endpoint.apply(ordered(exact), exact)
        assert (answer["ok"], answer["code"], endpoint.installers()) == (False, code, [])
    (tmp_path / "limits.json").unlink()
    assert endpoint.apply(ordered(exact), exact)["ok"]


def test_a_power_cut_before_the_installer_is_told_as_it_was(endpoint: Endpoint) -> None:
    exact = endpoint.exact()
    endpoint.starter.cut = True
    assert endpoint.apply(ordered(exact), exact)["ok"]
    place = transaction.files(endpoint.starter.state, endpoint.starter.started[0])
    place.started.write_text("1")
    endpoint.starter.cut = False
    endpoint.transactions.resume()
    found = endpoint.result()
    assert (found.outcome.value, found.code, endpoint.installers()) == ("interrupted", "interrupted_unchanged", [])


def test_a_directory_that_a_power_cut_left_half_removed_holds_nobody_up(endpoint: Endpoint) -> None:
    """It goes in one step under its name; what is left of it is cleared away at the next start."""
    exact = endpoint.exact()
    endpoint.apply(ordered(exact), exact)
    name = endpoint.starter.started[0]
    assert endpoint.helper.answer(AGENT, {"verb": "forget", "transaction_id": name}) == {"ok": True}
    rest = endpoint.starter.state / "tx" / f"gone.{name}"
    rest.mkdir()
    (rest / "expires").write_text("1")
    assert endpoint.transactions.unfinished() == ()
    endpoint.transactions.resume()
    assert not rest.exists()
