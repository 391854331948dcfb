"""The root helper over its real socket: what it refuses, and that it begins each genuine order once."""

from __future__ import annotations

import json
import os
import pwd
import resource
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support import require

from brakeline.agent import helper as serving
from brakeline.agent import helper_socket, helper_wire, refusals
from brakeline.agent.config import Config
from brakeline.agent.helper_client import Declined, Going, HelperClient, Unknown
from brakeline.agent.journal import Errors
from brakeline.agent.providers.model import Archive, Inverse, Order, Refused
from brakeline.agent.transactions import STARTS_MAX, Transactions
from brakeline.core.errors import Invalid
from brakeline.protocol import codec
from brakeline.protocol.content import Rules
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import (
    ORDER_CONTEXT,
    Action,
    ActionKind,
    DrillOrder,
    Offer,
    Outcome,
    SignedOrder,
    Transaction,
    TransactionResult,
    UpdateRef,
)

CELL = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
ENDPOINT = "ep_01JD0000000000000000000001"
OFFER, TX = "of_01JD0000000000000000000001", "tx_01JD0000000000000000000001"
NOW_MS = 1_800_000_000_000
ACTIONS = (Action(ActionKind.UPGRADE, "jq", "amd64", "1.6-2.1", "1.6-2.1+deb12u1"),)
TRANSACTION = Transaction(ACTIONS, transaction_digest(ACTIONS))
GENUINE = Offer(OFFER, ENDPOINT, "ro_x", 1, TRANSACTION.digest, (), NOW_MS, NOW_MS + 600_000)


def sign(offer: Offer, key: Ed25519PrivateKey = CELL) -> SignedOrder:
    payload = codec.encode(offer)
    return SignedOrder(payload.decode(), key.sign(ORDER_CONTEXT + payload).hex())


def for_actions(*actions: Action, **more: Any) -> tuple[SignedOrder, Transaction]:
    transaction = Transaction(actions, transaction_digest(actions))
    return sign(replace(GENUINE, transaction_digest=transaction.digest, **more)), transaction


DONE = "ro_01JD0000000000000000000009"
BACK = (
    Action(ActionKind.DOWNGRADE, "jq", "amd64", "1.6-2.1+deb12u1", "1.6-2.1"),
    Action(ActionKind.REMOVE, "libonig9", "amd64", "1", ""),
)
WAY_BACK = Transaction(BACK, transaction_digest(BACK))
KEPT = (Archive("jq", "amd64", "1.6-2.1", "/kept/jq.deb", "00"),)
STORED = {DONE: Inverse(TX, DONE, WAY_BACK, KEPT)}
UPDATES = (UpdateRef("jq", "1.6-2.1+deb12u1"), UpdateRef("elsewhere", "2"))
UNDOING = replace(GENUINE, undoes=DONE, updates=UPDATES, transaction_digest=WAY_BACK.digest)
RULES = Rules(never_restart=("postgresql*.service",))


class Recorder:
    """Starts nothing; remembers what it was asked for."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.living = True

    def start(self, transaction_id: str) -> None:
        self.started.append(transaction_id)

    def alive(self, transaction_id: str) -> bool:
        return self.living


class NoProvider:
    """A package manager that cannot refresh."""

    name = "none"

    def refresh(self) -> Refused:
        return Refused("no_network", "the mirror could not be reached")

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:
        stored = STORED.get(rollout_id)
        return stored if stored is not None else Refused("no_way_back", "no way back is stored here")


class Served:
    """A helper that listens in a thread."""

    def __init__(self, directory: Path, uids: frozenset[int]) -> None:
        self.starter = Recorder()
        self.state = directory / "helper"
        self.transactions = Transactions(self.state, self.starter)
        self.helper = serving.Helper(
            Config("https://h", "", ENDPOINT, CELL.public_key().public_bytes_raw().hex()),
            self.transactions, NoProvider, uids, threading.Lock(), threading.Lock(), RULES,  # type: ignore[arg-type]
            system="apt", refusals=lambda: refusals.count(self.state, directory, "boot", directory / "root"),
            errors=lambda: Errors(7, ("errors: app.service (7)",)),
        )  # fmt: skip
        self.path = directory / "s"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        os.chmod(self.path, 0o777)
        listener.listen(8)
        self.listener = listener
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        self.client = HelperClient(str(self.path))

    def close(self) -> None:
        """Wakes the thread first: one that sleeps in `accept` may wake at whatever has this file's number by then, and
        take its connections."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(30)
        assert not self.thread.is_alive()
        self.listener.close()

    def _accept(self) -> None:
        places = threading.BoundedSemaphore(8)
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            places.acquire()
            helper_socket._serve_one(connection, self.helper, places)

    def raw(self, data: bytes) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.path))
            s.sendall(data)
            return helper_wire.receive(s)

    def ask(self, message: Any) -> dict[str, Any]:
        data = json.dumps(message).encode()
        return self.raw(struct.pack(">I", len(data)) + data)

    def end(self, transaction_id: str = TX) -> None:
        result = TransactionResult(transaction_id, OFFER, "ro_x", 1, Outcome.INSTALLED, "ok", "done")
        (self.state / "tx" / transaction_id / "result.json").write_bytes(codec.encode(result))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path, frozenset({os.getuid()}))
    yield served
    served.close()


def test_a_genuine_order_is_begun_and_its_result_is_told(served: Served) -> None:
    assert served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS) == Going()
    order = codec.decode(Order, (served.state / "tx" / TX / "order.json").read_bytes())
    assert order.transaction == TRANSACTION
    assert not order.bounds.allow_downgrades
    assert order.rules == RULES, "of the helper's own content, whatever the agent goes by"
    assert served.client.status(TX) == Going()
    served.end()
    ended = served.client.status(TX)
    assert isinstance(ended, TransactionResult)
    assert served.starter.started == [TX]


def test_asked_twice_it_begins_once(served: Served) -> None:
    for _ in range(3):
        assert served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS) == Going()
    assert served.starter.started == [TX]


def test_what_content_lacks_is_not_begun_and_what_was_begun_is_not_asked_again(served: Served) -> None:
    lacking = replace(served.helper, prepare=lambda transaction: Refused("changed", f"{len(transaction.actions)} gone"))
    request = {"verb": "apply", "order": codec.to_plain(sign(GENUINE)), "transaction": codec.to_plain(TRANSACTION)}
    told = lacking.answer(os.getuid(), request)
    assert (told["ok"], told["code"], told["reason"], served.starter.started) == (False, "changed", "1 gone", [])
    assert replace(served.helper, prepare=lambda _: None).answer(os.getuid(), request)["ok"]
    assert lacking.answer(os.getuid(), request)["ok"], "content may have moved on: it is going on already"
    assert served.starter.started == [TX]


def test_a_spent_offer_is_refused_even_by_a_helper_that_was_started_anew(served: Served) -> None:
    served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS)
    served.end()
    served.client.forget(TX)
    assert served.client.status(TX) == Unknown()
    again = Transactions(served.state, served.starter)
    order = Order(TX, OFFER, "ro_x", 1, TRANSACTION)
    assert again.begin(order, NOW_MS + 600_000, NOW_MS)["code"] == "replayed"
    answer = served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS)
    assert isinstance(answer, Declined)
    assert answer.code == "replayed"
    assert served.starter.started == [TX]


def test_a_torn_ledger_line_neither_hides_nor_invents_an_offer(served: Served) -> None:
    served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS)
    served.end()
    (served.state / "ledger").write_bytes(b"\nof_01JD00000000")
    served.client.forget(TX)
    answer = served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS)
    assert isinstance(answer, Declined)


def test_an_offer_whose_end_the_disk_does_not_take_whole_is_not_forgotten(served: Served) -> None:
    """A part of a line is no id: forgotten like that, the same order could be carried out once more."""
    served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS)
    served.end()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))  # a write that goes beyond is a short one
    try:
        told = served.helper.answer(os.getuid(), {"verb": "forget", "transaction_id": TX})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (told["ok"], told["code"]) == (False, "system")
    assert isinstance(served.client.status(TX), TransactionResult)
    assert served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS) == Going()
    assert served.starter.started == [TX]
    served.client.forget(TX)
    answer = served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS)
    assert isinstance(answer, Declined)
    assert answer.code == "replayed"


@pytest.mark.parametrize(
    ("order", "transaction", "server_ms", "code"),
    [
        (sign(GENUINE, Ed25519PrivateKey.generate()), TRANSACTION, NOW_MS, "bad_signature"),
        (SignedOrder(sign(GENUINE).payload, ""), TRANSACTION, NOW_MS, "bad_signature"),
        (sign(replace(GENUINE, endpoint_id=ENDPOINT[:-1] + "2")), TRANSACTION, NOW_MS, "wrong_endpoint"),
        (sign(GENUINE), TRANSACTION, NOW_MS + 600_000, "offer_expired"),
        (sign(GENUINE), Transaction((), ""), NOW_MS, "changed"),
        (*for_actions(replace(ACTIONS[0], kind=ActionKind.DOWNGRADE)), NOW_MS, "refused"),
        (*for_actions(replace(ACTIONS[0], kind=ActionKind.REMOVE, after="")), NOW_MS, "refused"),
        (*for_actions(replace(ACTIONS[0], kind=ActionKind.INSTALL), allow_new_packages=False), NOW_MS, "refused"),
        (*for_actions(replace(ACTIONS[0], name="--option=x")), NOW_MS, "refused"),
        (*for_actions(replace(ACTIONS[0], after="1 -o x")), NOW_MS, "refused"),
        (*for_actions(), NOW_MS, "refused"),
    ],
    ids=[
        "another cell's key", "no signature", "another endpoint", "expired", "another transaction", "downgrade",
        "removal", "new package", "option as name", "option in version", "nothing",
    ],
)  # fmt: skip
def test_what_it_refuses(
    served: Served, order: SignedOrder, transaction: Transaction, server_ms: int, code: str
) -> None:
    answer = served.client.apply(order, transaction, server_ms)
    assert isinstance(answer, Declined)
    assert answer.code == code
    assert served.starter.started == []


def test_an_expired_offer_stays_expired_when_the_agent_lies_about_the_time(served: Served) -> None:
    later = replace(GENUINE, offer_id=OFFER[:-1] + "2", issued_ms=NOW_MS + 700_000, expires_ms=NOW_MS + 1_300_000)
    assert served.client.apply(sign(later), TRANSACTION, 0) == Going()
    served.end(TX[:-1] + "2")
    answer = served.client.apply(sign(GENUINE), TRANSACTION, 0)
    assert isinstance(answer, Declined)
    assert answer.code == "offer_expired"


def test_an_agent_that_lies_about_the_time_spoils_its_own_order_and_none_of_its_successor(served: Served) -> None:
    """What the helper keeps of the time outlives the release that said it: one that is healed is patched again."""
    answer = served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS * 1000)
    assert isinstance(answer, Declined)
    assert answer.code == "offer_expired"
    at_ms = NOW_MS + 700_000
    later = replace(GENUINE, offer_id=OFFER[:-1] + "2", issued_ms=at_ms, expires_ms=at_ms + 600_000)
    assert served.client.apply(sign(later), TRANSACTION, at_ms) == Going()


def test_one_transaction_at_a_time(served: Served) -> None:
    served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS)
    answer = served.client.apply(sign(replace(GENUINE, offer_id=OFFER[:-1] + "2")), TRANSACTION, NOW_MS)
    assert isinstance(answer, Declined)
    assert answer.code == "busy"


def test_a_runner_that_keeps_dying_is_reported_and_not_started_for_ever(served: Served) -> None:
    served.client.apply(sign(GENUINE), TRANSACTION, NOW_MS)
    served.starter.living = False
    for _ in range(STARTS_MAX + 2):
        ended = served.client.status(TX)
    assert isinstance(ended, TransactionResult)
    assert (ended.outcome, ended.code) == (Outcome.INTERRUPTED, "runner_died")
    assert len(served.starter.started) == STARTS_MAX


@pytest.mark.parametrize("verb", ["exec", "reboot", "", None, 7, ["apply"]])
def test_unknown_verbs(served: Served, verb: Any) -> None:
    assert served.ask({"verb": verb})["code"] == "unknown_verb"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"verb": "status", "transaction_id": "../../etc/passwd"}, "invalid"),
        ({"verb": "log", "transaction_id": "tx_/../../../../etc/shadow0000"}, "invalid"),
        ({"verb": "apply"}, "malformed"),
        ({"verb": "apply", "order": {"payload": 1}}, "malformed"),
        ({"verb": "forget"}, "invalid"),
    ],
)
def test_nonsense_is_refused_in_words(served: Served, message: Any, code: str) -> None:
    assert served.ask(message)["code"] == code


@pytest.mark.parametrize(
    "data", [struct.pack(">I", 2**31) + b"x", struct.pack(">I", 2) + b"[]", struct.pack(">I", 1) + b"{"]
)
def test_oversized_and_broken_frames(served: Served, data: bytes) -> None:
    assert served.raw(data)["code"] == "bad-frame"
    assert served.client.status(TX) == Unknown()  # and it goes on serving


def test_a_refresh_that_fails_says_why(served: Served) -> None:
    served.client.begin_refresh()
    assert served.client.end_refresh() == "the mirror could not be reached"


def test_other_users_are_refused(tmp_path: Path) -> None:
    require(os.getuid() == 0, "root, to become another user")
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    served = Served(tmp_path, helper_socket.allowed_uids("root"))
    program = (
        "import socket,struct,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);"
        'm=b\'{"verb":"status","transaction_id":"x"}\';s.sendall(struct.pack(\'>I\',len(m))+m);print(s.recv(999)[4:].decode())'
    )
    nobody = pwd.getpwnam("nobody").pw_uid
    said = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", program, str(served.path)], user=nobody, group=65534, extra_groups=[],
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert json.loads(said.stdout)["code"] == "forbidden", said.stderr
    assert served.client.status(TX) == Unknown()
    served.close()


def test_an_unknown_agent_user_is_nobody() -> None:
    assert helper_socket.allowed_uids("no-such-user") == frozenset({0})


def test_ids_never_become_paths() -> None:
    with pytest.raises(Invalid):
        serving._transaction_id({"transaction_id": "tx_../x"})


def test_without_systemd_the_transaction_outlives_its_helper_in_its_own_session(tmp_path: Path) -> None:
    from brakeline.agent.transaction_unit import SessionStarter

    directory = tmp_path / "tx" / TX
    directory.mkdir(parents=True)
    script = (
        "import os,sys,time; open(sys.argv[4]+'/tx/'+sys.argv[2]+'/sid','w').write(str(os.getsid(0))); time.sleep(30)"
    )
    starter = SessionStarter([sys.executable, "-I", "-c", script], tmp_path, tmp_path / "no-cgroups")
    starter.start(TX)
    pid = int((directory / "pid").read_text().split()[0])
    try:
        assert starter.alive(TX)
        assert os.getsid(pid) == pid != os.getsid(0)
    finally:
        os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert not starter.alive(TX)


def test_the_systemd_unit_is_its_own_and_without_the_agents_limits(tmp_path: Path) -> None:
    from brakeline.agent.transaction_unit import SystemdStarter

    command = SystemdStarter(["no program"], tmp_path).command(TX, ["python3", "-I", "a.pyz"])
    assert f"--unit=brakeline-{TX}.service" in command
    assert "--property=KillMode=mixed" in command
    assert not [c for c in command if "Memory" in c or "Protect" in c or "CPU" in c]
    assert command[command.index("--") + 1 :] == [
        "python3", "-I", "a.pyz", "transaction", TX, "--helper-state", str(tmp_path),
    ]  # fmt: skip


# --- the way back --------------------------------------------------------------------------------------------------


def test_the_way_back_is_told_and_taken_from_the_endpoints_own_store(served: Served) -> None:
    assert served.client.inverse(DONE) == WAY_BACK
    assert served.client.rollback(sign(UNDOING), NOW_MS) == Going()
    assert served.client.rollback(sign(UNDOING), NOW_MS) == Going()
    assert served.starter.started == [TX]
    order = codec.decode(Order, (served.state / "tx" / TX / "order.json").read_bytes())
    assert (order.transaction, order.inverse) == (WAY_BACK, STORED[DONE])
    assert order.taken_back == UPDATES[:1], "only what was here can be kept away"
    assert order.bounds.allow_downgrades
    assert order.bounds.allow_removals


@pytest.mark.parametrize(
    ("offer", "code"),
    [
        (replace(UNDOING, undoes="ro_01JD0000000000000000000007"), "no_way_back"),
        (replace(UNDOING, undoes="../../etc"), "invalid"),
        (replace(UNDOING, undoes=""), "refused"),
        (replace(UNDOING, drill=DrillOrder()), "refused"),
        (replace(UNDOING, transaction_digest=TRANSACTION.digest), "changed"),
        (replace(UNDOING, endpoint_id="ep_01JD0000000000000000000002"), "wrong_endpoint"),
        (replace(UNDOING, expires_ms=NOW_MS - 1), "offer_expired"),
    ],
)
def test_a_way_back_that_is_refused(served: Served, offer: Offer, code: str) -> None:
    answer = served.client.rollback(sign(offer), NOW_MS)
    assert isinstance(answer, Declined)
    assert answer.code == code, answer
    assert served.starter.started == []


def test_a_way_back_of_another_cell_or_by_another_verb_is_refused(served: Served) -> None:
    other = Ed25519PrivateKey.from_private_bytes(b"x" * 32)
    answer = served.client.rollback(sign(UNDOING, other), NOW_MS)
    assert isinstance(answer, Declined)
    assert answer.code == "bad_signature"
    answer = served.client.apply(sign(UNDOING), WAY_BACK, NOW_MS)
    assert isinstance(answer, Declined)
    assert (answer.code, served.starter.started) == ("refused", [])


def test_without_a_stored_way_back_the_agent_is_told_why(served: Served) -> None:
    assert served.client.inverse("ro_01JD0000000000000000000007") == Declined(
        "no_way_back", "no way back is stored here"
    )


def test_it_counts_what_the_system_refused_and_tells_no_record(served: Served, tmp_path: Path) -> None:
    first = served.client.harms()
    journal = {"errors": 7, "loud": ["errors: app.service (7)"]}
    none = {"ok": True, "refused": None, "quarantined": None, "named": []}
    assert first == none | journal  # no log of refusals is there: not told
    log = tmp_path / "root" / refusals.AUDIT
    log.parent.mkdir(parents=True)
    log.write_text('type=AVC msg=audit(1:2): avc:  denied  { read } for  pid=4 comm="sh" name="secret" permissive=0\n')
    told = served.client.harms()
    assert told == {"ok": True, "refused": 1, "quarantined": None, "named": ["refused: sh"]} | journal
    assert HelperClient(str(tmp_path / "nobody")).harms() is None


def test_an_order_of_a_drill_is_none_for_the_helper_whatever_else_it_names(served: Served) -> None:
    answer = served.client.apply(sign(replace(GENUINE, drill=DrillOrder(fails=True))), TRANSACTION, NOW_MS)
    assert isinstance(answer, Declined)
    assert answer.code == "refused"
    assert "a drill changes nothing" in answer.reason
    assert served.starter.started == []
