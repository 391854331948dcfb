"""What a new machine fetches: the enrolment script and the agent, and the one line that starts it.

The one-liner pins the server's public key, the script carries this installation's authority and the agent's
SHA-256: whoever pastes it trusts what the console showed him, and nothing in between (ADR 0011).
The text of the script is `agent_bundle.enrol_script`, the agent is built by `agent_bundle.build` at first use.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass

from brakeline.core.errors import Invalid
from brakeline.platform.settings import Settings
from brakeline.platform.tls import TlsFiles
from brakeline.server.agent_bundle import build, enrol_script

SCRIPT = "/enrol.sh"
AGENT = "/agent/brakeline-agent.pyz"
# A Host header goes into a shell script: nothing but names, addresses and a port may pass.
_AUTHORITY = re.compile(r"([A-Za-z0-9]([A-Za-z0-9.\-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Bundle:
    """The agent as it is served."""

    data: bytes
    sha256: str


def enrol_line(pin: str, authority: str, token: str) -> str:
    """The one-liner, for any POSIX shell. Fetches all of the script, then runs it: `curl … | sh` would end with 0 when
    curl failed, and would begin to run a script whose end never came.
    """
    fetch = f"curl -fsSk --pinnedpubkey '{pin}' https://{authority}{SCRIPT}"
    return f"s=$({fetch}) && printf '%s\\n' \"$s\" | sudo sh -s -- --token {token}"


class Installer:
    """Serves the two files."""

    def __init__(self, settings: Settings, port: int, tls: TlsFiles) -> None:
        self._tls = tls
        self._default = f"{settings.public_names[0] if settings.public_names else '127.0.0.1'}:{port}"
        self._bundle: Bundle | None = None
        self._building = asyncio.Lock()

    def one_liner(self, token: str, host: str = "") -> str:
        """What to paste on the new machine. `host`: the Host header by which the asking person reached us."""
        return enrol_line(self._tls.leaf_pin, host if _AUTHORITY.fullmatch(host) else self._default, token)

    async def bundle(self) -> Bundle:
        """The agent, built once, in a thread."""
        async with self._building:
            if self._bundle is None:
                data = await asyncio.to_thread(build)
                self._bundle = Bundle(data, hashlib.sha256(data).hexdigest())
            return self._bundle

    async def script(self, host: str) -> bytes:
        """The enrolment script for a machine that reached us as `host`; `Invalid` for an impossible name."""
        if not _AUTHORITY.fullmatch(host):
            raise Invalid("the Host header is no name or address", host=host[:80])
        bundle = await self.bundle()
        return enrol_script(f"https://{host}", self._tls.ca_pem(), bundle.sha256).encode()
