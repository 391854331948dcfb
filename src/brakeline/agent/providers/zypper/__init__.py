"""SUSE's packages, through zypper and rpm as child processes: zypper resolves and downloads, rpm applies.

Pure: `answers` (zypper's XML), `rpmdb` (rpm's records), `plan` (what a transaction may be, and whether it came), `why`
(causes and exit codes). Doing: `tools` (commands, and the root they work on), `planner`, `staging`, `apply`, `back`
(ways back), `recovery`, `reboot`, `provider` (the contract).

Invariants: no exit code is believed, rpm's records are; the resolver is never asked once files are being changed: rpm
is given exactly the downloaded files of the order (ADR 0042).
"""

from brakeline.agent.providers.zypper.provider import ZypperProvider

__all__ = ["ZypperProvider"]
