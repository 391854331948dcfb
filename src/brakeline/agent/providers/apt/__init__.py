"""Debian's and Ubuntu's packages, through their own tools as child processes (no python-apt, nothing to install).

Pure, tested against recorded output: `dpkg` and `parse` (what the tools said), `refresh` (why lists could not be
refreshed), `pending` (what waits and why), `plan` (what a transaction may be), `space`, `services` (what runs old
code), `kernel`. Doing: `runner` (child processes, and the whole tree of them), `queries` (the read-only calls),
`apply` (one transaction), `repair`, `provider` (the contract). `hook` runs inside apt, right before dpkg.

Invariant: no exit code is believed; what counts is what dpkg's own records say before and after.
"""

from brakeline.agent.providers.apt.provider import AptProvider
from brakeline.agent.providers.apt.runner import Machine

__all__ = ["AptProvider", "Machine"]
