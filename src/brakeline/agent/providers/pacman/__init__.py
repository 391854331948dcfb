"""Arch's packages through pacman itself, as child processes (no pyalpm, nothing to install).

Pure, tested against recorded output: `records` (the local database), `parse` (what pacman said), `plan` (what a
transaction may be), `refresh` (why lists could not be fetched, why a run failed). Doing: `queries` (read-only calls),
`lists` (a private copy of the sync databases), `locks`, `staging` and `hook` (exactness), `keep` (the way back),
`apply` (one transaction), `recovery`, `provider` (the contract).

Invariants: the live sync databases are never refreshed without the whole upgrade that follows; no exit code is
believed, pacman ends with 0 although a scriptlet failed; what counts is the local database before and after.
"""

from brakeline.agent.providers.pacman.provider import PacmanProvider

__all__ = ["PacmanProvider"]
