"""What leading costs the conductor: CPU per exchange of one cell, and bytes, by number of cells. No database, no TLS.

A report has seven rings of three classes and every row that may cross at four checkpoints; messages are signed and
verified as between real cells.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from brakeline.cells import decide
from brakeline.cells.model import (
    EXCHANGE_CONTEXT,
    GRANT_CONTEXT,
    CellBets,
    CellControls,
    CellEnded,
    CellPart,
    CellPhase,
    CellReport,
    Exchange,
    Member,
    MemberState,
    Signed,
)
from brakeline.cells.residency import CLASSES, GROUPS
from brakeline.fleet.cell import CellIdentity
from brakeline.protocol.codec import encode
from brakeline.rollout import planner
from brakeline.rollout.conduct import Lead, Standing, conduct, grants
from brakeline.rollout.model import Change, Pin, Wish
from brakeline.rollout.presets import policy_for

NOW = 1_795_400_000_000
LEAD = "ld_01JD0000000000000000000000"
CELLS = (2, 4, 16, 64)
ROUNDS = 40


def report() -> CellReport:
    parts = tuple(
        CellPart(r, c, 9000, known=8990, proven=8980, passed=9000, passed_known=8990, passed_proven=8980, seen=8999)
        for r in range(7) for c in CLASSES
    )  # fmt: skip
    bets = tuple(
        CellBets(signal, point, group, r, (0.1234567890123, -0.2, 0.3, -0.4, 0.5, -0.6))
        for signal in ("silent", "unhealthy") for point in range(4) for group in sorted(GROUPS) for r in range(7)
    )  # fmt: skip
    return CellReport(LEAD, 0, CellPhase.ROLLING, ring=6, passed=True, eligible=100_000, parts=parts,
                      controls=tuple(CellControls(c, 1000, 999) for c in CLASSES), bets=bets,
                      ended=tuple(CellEnded(g, 9000, 3) for g in sorted(GROUPS)), compared=True)  # fmt: skip


def measure(cells: int) -> dict[str, float]:
    """One round: each cell is heard once, each hearing is a step of the lead and a grant."""
    keys = {f"cell-{i}": CellIdentity(_key(i)) for i in range(cells)}
    conductor = CellIdentity(_key(250))
    said = {n: encode(Exchange(f"li_{n}", n, 1, NOW, "x", (report(),))) for n in keys}
    signed = {n: Signed(b.decode(), keys[n].sign(EXCHANGE_CONTEXT + b).hex()) for n, b in said.items()}
    members = {n: Member(f"li_{n}", n, "r", MemberState.JOINED, k.public_hex) for n, k in keys.items()}
    standings = tuple(Standing(n, f"li_{n}", MemberState.JOINED, report(), NOW) for n in keys)
    lead = Lead(LEAD, "t", Change((Pin("x", "1"),)), policy_for(8_500_000), "", tuple(keys), Wish.RUN, "", "",
                planner.first_blueprint(LEAD, NOW))  # fmt: skip
    spent = {"verify": 0.0, "decide": 0.0, "grant": 0.0}
    for i in range(ROUNDS):
        name = f"cell-{i % cells}"
        t0 = time.process_time()
        decide.heard(members[name], signed[name], NOW)
        decide.plausible(report(), None, 10**9)
        t1 = time.process_time()
        moved, why = conduct(lead, standings, NOW)
        t2 = time.process_time()
        grant = encode(grants(moved, standings, why, NOW)[name])
        conductor.sign(GRANT_CONTEXT + grant)
        spent = {k: v + d for (k, v), d in zip(spent.items(), (t1 - t0, t2 - t1, time.process_time() - t2),
                                               strict=True)}  # fmt: skip
    found = {k: round(1000 * v / ROUNDS, 2) for k, v in spent.items()}
    return {"cells": cells, **found, "report_bytes": len(next(iter(said.values()))), "grant_bytes": len(grant)}


def _key(i: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args().json
    rows = [measure(n) for n in CELLS]
    print("cells  verify  decide   grant  (CPU ms an exchange)   report   grant (bytes)")
    for r in rows:
        print(f"{r['cells']:5}  {r['verify']:6.2f}  {r['decide']:6.2f}  {r['grant']:6.2f}  {'':21}"
              f"  {r['report_bytes']:7}  {r['grant_bytes']:6}")  # fmt: skip
    if wanted:
        wanted.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
