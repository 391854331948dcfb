# ruff: noqa: S105 - these are names of problems, not passwords
"""The routes of the agent plane and the problem codes that an agent acts upon. Additive only.

Every exchange is a `POST` with a JSON body; errors are a `messages.Problem`. Who is authenticated how:
`ENROL`, `SECRET`, `INVENTORY`, `RESULTS`, `GOODBYE` by signature (at enrolment `keyid` is the public key in hex,
afterwards the endpoint id), `CHECK_IN` and `RUN` by MAC. See `auth`.
"""

from __future__ import annotations

from typing import Final

ENROL: Final = "/agent/v1/enrol"  # EnrolRequest -> EnrolReply
SECRET: Final = "/agent/v1/secret"  # `{}` -> Secret; the renewal of the check-in secret
CHECK_IN: Final = "/agent/v1/check-in"  # CheckIn -> CheckInReply | 304; query wait=S
INVENTORY: Final = "/agent/v1/inventory"  # Inventory -> InventoryAck
RESULTS: Final = "/agent/v1/results"  # Results -> ResultsAck
RUN: Final = "/agent/v1/run"  # RunPart -> RunAck; what a package transaction prints while it runs
# Public, without identity. Query root=N&channel=C&region=R&nonce=HEX; the answer is `trust.model.Documents` as JSON.
TRUST_BUNDLE: Final = "/trust/v1/bundle"
TRUST_TARGET: Final = "/trust/v1/targets/"  # + SHA-256 in hex: the bytes of a release; Range is honoured
GOODBYE: Final = "/agent/v1/goodbye"  # Goodbye -> 204

P_SECRET_EXPIRED: Final = "secret-expired"  # 401: unknown or expired check-in secret; ask for a fresh one
P_TOKEN_UNKNOWN: Final = "token-unknown"  # 401: no such enrolment token
P_TOKEN_USED: Final = "token-used"  # 401: its uses are spent
P_TOKEN_EXPIRED: Final = "token-expired"  # 401
P_BAD_SIGNATURE: Final = "bad-signature"  # 401: not signed by the key of this identity
P_CLOCK_SKEW: Final = "clock-skew"  # 401: `created` is too far from `server_ms`, which the problem carries
P_REPLAYED: Final = "replayed"  # 409: the counter did not rise
P_CLONED: Final = "cloned"  # 409: two machines use this identity; each must enrol again
P_RETIRED: Final = "retired"  # 410: the endpoint was removed
P_UNKNOWN_ENDPOINT: Final = "unknown-endpoint"  # 401: no such identity here
