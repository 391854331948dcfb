"""The wire between endpoint and cell: messages, their encoding, and what is signed.

Invariants: versioned (`/agent/v1`), additive only (unknown fields are ignored, new fields have defaults); frozen
dataclasses of the standard library, so that agent and server share them; no I/O.
`messages` has the words (those of inventory, enrolment and transactions lie in modules of their own), `codec` turns
them into canonical JSON and back with checks, `auth` says exactly which bytes the MAC of a check-in and the signature
of a request cover. `docs/reference/agent-protocol.md` tells it as a story.
"""
