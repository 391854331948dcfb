"""A bad update on three real root file systems, under a real cell: halted, taken back, kept away. Nothing is pretended.

Orders are signed by the cell and judged by the real helper; real apt and dpkg do the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.aptrepo import Built, Repository
from tests.aptroot import Clone, clone
from tests.support_rollout import OWNER, SmallFleet, Twin, quick_policy

from brakeline.agent import helper as serving
from brakeline.agent.clock import SystemClock
from brakeline.agent.config import Config
from brakeline.agent.providers.model import Bounds, Planned
from brakeline.agent.transaction import execute, files
from brakeline.agent.transactions import Transactions
from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.protocol import codec
from brakeline.protocol.messages import (
    Candidate,
    CheckIn,
    Health,
    NotReady,
    Offer,
    Ready,
    SignedOrder,
    Transaction,
    TransactionResult,
)
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.undoing import Undoing

BAD = {"postinst": "if [ -e /etc/bad ]; then exit 1; fi"}
CHANGE = Change((Pin("job", "2"),))


@dataclass
class Runner:
    """Runs each transaction at once, as its unit would."""

    state: Path
    endpoint: Clone

    def start(self, transaction_id: str) -> None:
        execute(files(self.state, transaction_id), self.endpoint.provider, SystemClock())

    def alive(self, transaction_id: str) -> bool:
        return False


@dataclass
class Real:
    """A clone with the real helper."""

    clone: Clone
    helper: serving.Helper
    answers: dict[tuple[str, int, str], Ready | NotReady] = field(default_factory=dict)

    def answer(self, c: Candidate) -> Ready | NotReady:
        """As the agent's plan child; asked again when the package has changed."""
        key = (c.rollout_id, c.generation, self.clone.version("job"))
        if key not in self.answers:
            self.answers[key] = self._planned(c)
        return self.answers[key]

    def _planned(self, c: Candidate) -> Ready | NotReady:
        if c.undoes:
            reply = self.helper.answer(0, {"verb": "inverse", "rollout_id": c.undoes})
            if not reply["ok"]:
                return NotReady(c.rollout_id, c.generation, reply["code"], reply["reason"])
            found: Transaction = codec.from_plain(Transaction, reply["transaction"], "transaction")
            return Ready(c.rollout_id, c.generation, found)
        planned = self.clone.provider.plan(c.updates, Bounds(without=c.without))
        if isinstance(planned, Planned):
            return Ready(c.rollout_id, c.generation, planned.transaction)
        return NotReady(c.rollout_id, c.generation, planned.code, planned.reason)

    def carry_out(self, order: SignedOrder, transaction: Transaction) -> TransactionResult:
        offer = codec.decode(Offer, order.payload.encode())
        words = {"verb": "rollback" if offer.undoes else "apply", "order": codec.to_plain(order), "server_ms": 0}
        reply = self.helper.answer(0, {**words, "transaction": codec.to_plain(transaction)})
        assert reply["ok"], reply
        told = self.helper.answer(0, {"verb": "status", "transaction_id": reply["transaction_id"]})
        result: TransactionResult = codec.from_plain(TransactionResult, told["result"], "result")
        self.helper.answer(0, {"verb": "forget", "transaction_id": reply["transaction_id"]})
        return result


class RealFleet(SmallFleet):
    """The same cell; its endpoints are real."""

    def begin(self, clones: list[Clone], directory: Path) -> None:
        self.real: dict[str, Real] = {}
        for twin, endpoint in zip(self.twins, clones, strict=True):
            state = directory / twin.hostname
            state.mkdir()
            config = Config("https://h", "", twin.identity.endpoint_id, self.cell.public_hex)
            helper = serving.Helper(
                config, Transactions(state, Runner(state, endpoint)), lambda e=endpoint: e.provider, frozenset({0}),
                threading.Lock(), threading.Lock(), system="apt",
            )  # fmt: skip
            self.real[twin.hostname] = Real(endpoint, helper)

    async def _exchange(self, t: Twin) -> None:
        real = self.real[t.hostname]
        said = [real.answer(c) for c in await self.service.candidates_for(t.identity)]
        ready = tuple(x for x in said if isinstance(x, Ready))
        check_in = CheckIn("1", 1, "", Health(), ready, tuple(x for x in said if isinstance(x, NotReady)))
        orders, _ = await self.service.on_check_in(t.identity, check_in)
        for order in orders:
            offer = codec.decode(Offer, order.payload.encode())
            planned = next(x for x in ready if x.rollout_id == offer.rollout_id)
            t.applied.append(offer.offer_id)
            await self.service.record_results(t.identity, (real.carry_out(order, planned.transaction),))


@pytest.fixture
def repositories(tmp_path: Path) -> Iterator[tuple[Repository, Repository]]:
    (tmp_path / "main").mkdir()
    (tmp_path / "archive").mkdir()
    main, archive = Repository(tmp_path / "main"), Repository(tmp_path / "archive", "Archive")
    yield main, archive
    main.stop()
    archive.stop()


@pytest.mark.long
async def test_a_bad_update_is_taken_back_for_real_and_stays_away(
    database: Database, clock: ManualClock, tmp_path: Path, repositories: tuple[Repository, Repository]
) -> None:
    main, archive = repositories
    main.publish(Built("job", "1"))
    archive.publish(Built("job", "1"))
    fleet = RealFleet(database, clock, tmp_path)
    await fleet.enrol(3, regions=("eu",))
    with ExitStack() as stack:
        harmed, sound, gone = clones = [stack.enter_context(clone()) for _ in range(3)]
        for endpoint in clones:
            endpoint.use(main)
            endpoint.sh("apt-get -qy install job=1; apt-get clean")
        main.withdraw("job", "1")
        main.publish(Built("job", "2", scripts=BAD))
        for endpoint in (harmed, sound):
            endpoint.use(main, archive)
        gone.use(main)
        for endpoint in (harmed, gone):
            endpoint.sh("touch /etc/bad")
        fleet.begin(clones, tmp_path)

        bad = await fleet.create(quick_policy(3), CHANGE)
        await fleet.rounds(4)
        assert (await fleet.service.show(OWNER, bad)).state == "halted"
        assert [e.version("job") for e in clones] == ["iF 2", "ii 2", "iF 2"]

        plan = await Undoing(fleet.service).plan(OWNER, bad, "rehearsal")
        assert [x.hostname for x in plan.first] == ["host-0"]
        assert [x.hostname for x in plan.then] == ["host-1"]
        assert [(x.hostname, x.code) for x in plan.left_out] == [("host-2", "gone")]
        assert "job 1 cannot be had any more" in plan.left_out[0].reason
        archive.stop()  # what comes back comes from the endpoint's own store

        back = await Undoing(fleet.service).create(OWNER, bad, pace="rehearsal", expect_count=2)
        await fleet.service.start(OWNER, back)
        for _ in range(80):
            await fleet.round()
            if (await fleet.service.show(OWNER, back)).state == "completed":
                break
        view = await fleet.service.show(OWNER, back)
        assert view.state == "completed", [*((m.hostname, m.state, m.note) for m in view.members), view.lines]
        assert [e.version("job") for e in clones] == ["ii 1", "ii 1", "iF 2"]
        assert any(x.gate == "no way back" and "host-2" in x.text for x in view.lines)
        assert all(e.sh("dpkg --audit") == "" for e in (harmed, sound))

        again = await fleet.create(quick_policy(3), CHANGE)
        await fleet.rounds(4)
        assert (await fleet.service.show(OWNER, again)).state == "holding"
        for endpoint in (harmed, sound):
            endpoint.use(main)
            endpoint.sh("apt-get -qy dist-upgrade")
        assert [e.version("job") for e in (harmed, sound)] == ["ii 1", "ii 1"]
