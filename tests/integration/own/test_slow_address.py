"""An artifact's address that sends drop by drop: the time of the transaction ends it, though it never falls silent."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from brakeline.agent.providers.model import Refused
from brakeline.agent.providers.own.staging import Store
from brakeline.protocol.software import PAYLOADS, Artifact

DATA = b"x" * 4096


class Drops(io.RawIOBase):
    """A byte at a time; each takes a second of what is left."""

    def __init__(self) -> None:
        self.sent = 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: memoryview, /) -> int:  # type: ignore[override]
        if self.sent == len(DATA):
            return 0
        into[:1] = DATA[self.sent : self.sent + 1]
        self.sent += 1
        return 1


def test_who_sends_drop_by_drop_is_left_when_the_time_is_over(tmp_path: Path) -> None:
    (tmp_path / PAYLOADS).mkdir(parents=True)
    artifact, drops = Artifact("app.bin", len(DATA), hashlib.sha256(DATA).hexdigest()), Drops()
    store = Store(tmp_path)
    refused = store._keep(artifact, io.BufferedReader(drops), lambda: 60.0 - drops.sent)
    assert isinstance(refused, Refused)
    assert refused.code == "network"
    assert drops.sent == 60
    assert not store.holds(artifact)
    assert not (tmp_path / PAYLOADS / "new").exists()
    assert store._keep(artifact, io.BytesIO(DATA)) is None
    assert store.holds(artifact)
