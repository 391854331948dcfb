"""The messages between a cell and its conductor in one fixed situation, signed with fixed keys.

`python -m tests.contract.cell_exchange DIRECTORY` writes them down as the code on the path makes them. The recorded
ones in `cell-exchange-v1` are of the version before this one and are never written anew: what is recorded later goes
into a directory beside it, and the older goes when that version is no longer supported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from brakeline.cells.model import (
    ANSWER_CONTEXT,
    EXCHANGE_CONTEXT,
    GRANT_CONTEXT,
    JOIN_CONTEXT,
    Answer,
    Cause,
    CellBets,
    CellControls,
    CellEnded,
    CellPart,
    CellPhase,
    CellReport,
    Exchange,
    Grant,
    GrantedRing,
    Join,
    Signed,
    Stand,
)
from brakeline.protocol.codec import encode, encode_sparse
from brakeline.rollout.conduct import cell_policy
from brakeline.rollout.model import Change, Pin, Policy
from brakeline.rollout.presets import policy_for

NOW_MS = 1_790_000_000_000
LEAD, LINK, CELL = "ld_01J0000000000000000000000A", "li_01J0000000000000000000000B", "dallas-1"
CELL_KEY = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
CONDUCTOR_KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
CHANGE = Change((Pin("libssl3", "3.0.17-1~deb12u2"),), title="libssl3")
REPORT = CellReport(
    LEAD, 7, CellPhase.ROLLING, Cause.NONE, 1, False, 40,
    (CellPart(0, "server", treated=2, known=2, proven=2, passed=2, passed_known=2, passed_proven=2, seen=2, baked=2,
              youngest_age_s=90_000),
     CellPart(1, "server", treated=5, set_aside=1, known=3, proven=3, open=1, failed=1, failed_news=1, seen=3,
              youngest_age_s=600)),
    (CellControls("server", 9, 8),),
    (CellBets("silent", 0, "all", 1, (0.25, 0.5, 0.75, 1.0, -1.5, -4.0)),),
    (CellEnded("all", 6, 1), CellEnded("class:server", 6, 1)), 4, True,
)  # fmt: skip
GRANT = Grant(
    LEAD, LINK, CELL, 7, Stand.GO, "ring early: 5 of 10 treated", "libssl3", "os:debian",
    encode_sparse(CHANGE).decode(), encode_sparse(cell_policy(Policy(policy_for(500).rings), 2)).decode(),
    (GrantedRing("canary", 93_600, 2), GrantedRing("early", 93_600, 6)), NOW_MS - 1000, NOW_MS + 299_000,
)  # fmt: skip


def public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign(key: Ed25519PrivateKey, context: bytes, payload: bytes) -> Signed:
    return Signed(payload.decode(), key.sign(context + payload).hex())


def messages() -> dict[str, Signed]:
    """By name: what a cell says to join and in an exchange, the grant, and the answer that carries it."""
    grant = sign(CONDUCTOR_KEY, GRANT_CONTEXT, encode_sparse(GRANT))
    answer = Answer(LINK, NOW_MS - 2000, NOW_MS, "0.1.0", (grant,))
    return {
        "join": sign(CELL_KEY, JOIN_CONTEXT,
                     encode(Join(LINK, "secret", public(CELL_KEY), "us", NOW_MS, "0.1.0"))),
        "exchange": sign(CELL_KEY, EXCHANGE_CONTEXT,
                         encode(Exchange(LINK, CELL, NOW_MS - 2000, NOW_MS - 2000, "0.1.0", (REPORT,)))),
        "grant": grant,
        "answer": sign(CONDUCTOR_KEY, ANSWER_CONTEXT, encode_sparse(answer)),
    }  # fmt: skip


def write(directory: Path) -> None:
    for name, signed in messages().items():
        said: dict[str, Any] = {"payload": signed.payload, "signature": signed.signature}
        (directory / f"{name}.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
