"""What it costs to believe: documents of one look through our own verifier in CPU ms, our Ed25519 beside OpenSSL's.

Documents are signed with `tuf` and `securesystemslib`, as on a server. *Quiet* = the cell's newest documents are those
that are cached, but for the time that answers this very look; *news* = everything is new, with an offer lease and its
grant. Counted are calls of the verifier's signature check. `--json FILE`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.support_trust import CLOCK, FLOORS, WHO, Repository

from bench._proc import report
from brakeline.trust import ed25519, envelope, wire
from brakeline.trust.assess import assess
from brakeline.trust.model import Documents

ROUNDS, SIGNATURES = 30, 200
SEED, MESSAGE = bytes(range(32)), b"m" * 1000


def cpu_ms(work: Callable[[], object], times: int) -> float:
    work()
    before = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - before) * 1000 / times


def signatures(work: Callable[[], object]) -> int:
    """How many signatures are checked."""
    true, count = envelope.ed25519.verify, 0

    def counting(public: bytes, message: bytes, signature: bytes) -> bool:
        nonlocal count
        count += 1
        return true(public, message, signature)

    envelope.ed25519.verify = counting
    try:
        work()
    finally:
        envelope.ed25519.verify = true
    return count


def main(argv: list[str]) -> None:
    repository = Repository()
    for n in range(1, 21):  # a repository of some age
        release_id = repository.publish(f"1.{n}.0", b"x" * n, n)
    repository.offer(release_id)
    documents, pinned = repository.documents(), repository.roots[0]
    cached = replace(documents, time="", leases=())

    def look(known: Documents, fetched: Documents, offered: bool) -> Callable[[], object]:
        def one() -> object:
            seen = assess(pinned, known, fetched, WHO, CLOCK, FLOORS)
            assert (seen.fresh, bool(seen.offered), seen.problems) == (True, offered, ())
            return seen

        return one

    quiet, news = look(cached, replace(documents, leases=()), False), look(Documents(), documents, True)
    public, signature = ed25519.public_key(SEED), ed25519.sign(SEED, MESSAGE)
    theirs = Ed25519PublicKey.from_public_bytes(public)
    ours_ms = cpu_ms(lambda: ed25519.verify(public, MESSAGE, signature), SIGNATURES)
    theirs_ms = cpu_ms(lambda: theirs.verify(signature, MESSAGE), SIGNATURES * 10)
    quiet_ms, news_ms = cpu_ms(quiet, ROUNDS), cpu_ms(news, ROUNDS)
    rows: list[tuple[str, object, str]] = [
        ("signed documents, KiB", len(wire.to_text(documents)) / 1024, "20 releases, one offer lease"),
        ("a look without news, CPU ms", quiet_ms, f"{signatures(quiet)} signatures"),
        ("a look with an offer, CPU ms", news_ms, f"{signatures(news)} signatures"),
        ("the same a check-in, CPU ms", quiet_ms / 60, "a look an hour, a check-in a minute"),
        ("of 10 s that a look may take, %", news_ms / 10_000 * 100, ""),
        ("Ed25519 verify, ours, CPU ms", ours_ms, "pure Python"),
        ("Ed25519 verify, OpenSSL's, CPU ms", theirs_ms, "cryptography"),
        ("ours over theirs", ours_ms / theirs_ms, "why bytes are few and looks are rare"),
        ("signatures in a CPU-second, ours", 1000 / ours_ms, ""),
    ]
    report(rows, argv)


if __name__ == "__main__":
    main(sys.argv[1:])
