"""Packages of rpm, through the endpoint's own dnf 4: its library, under its own Python, in a child process.

`child` is shipped as text and runs there: it answers, and carries out one transaction under rpm's lock. `asking`
starts it and reads its answer. Pure: `answers` (what it said), `plan` (what a transaction is and what came of it),
`conffiles`. Doing: `keep` (ways back), `apply`, `recovery`, `restarts`, `provider` (the contract).

Invariant: no exit code is believed, nor what dnf printed; what counts is what rpm's records say before and after.
"""

from brakeline.agent.providers.dnf.provider import DnfProvider

__all__ = ["DnfProvider"]
