"""The wire between endpoint and cell: messages, their encoding, and what is signed.

Invariants: versioned (`/agent/v1`), additive only (unknown fields are ignored, new fields have defaults); frozen
dataclasses of the standard library, so that agent and server share them; no I/O.
`messages` has the words, `codec` turns them into canonical JSON and back with checks, `auth` says exactly which
bytes a check-in's MAC and a request's signature cover. `docs/reference/agent-protocol.md` tells it as a story.
"""
