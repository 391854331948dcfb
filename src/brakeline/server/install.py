"""What a new machine fetches: the enrolment script and the kit, and the one line that starts it.

The one-liner pins the server's public key, the script carries this installation's authority and the kit's SHA-256:
whoever pastes it trusts what the console showed him, and nothing in between (ADR 0011).
The text of the script is `enrol_script.enrol_script`, the kit is packed by `releases.shipping`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from brakeline.core.errors import Invalid
from brakeline.platform.settings import Settings
from brakeline.platform.tls import TlsFiles
from brakeline.releases.shipping import Kit
from brakeline.server.enrol_script import enrol_script

SCRIPT = "/enrol.sh"
KIT = "/agent/kit.tar"  # packaging/agent/enrol.sh asks for it by this path
# A Host header goes into a shell script: nothing but names, addresses and a port may pass.
_AUTHORITY = re.compile(r"([A-Za-z0-9]([A-Za-z0-9.\-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")


def enrol_line(pin: str, authority: str, token: str) -> str:
    """The one-liner, for any POSIX shell. Fetches all of the script, then runs it: `curl … | sh` would end with 0 when
    curl failed, and would begin to run a script whose end never came. A minute at most: whatever has taken the line and
    says nothing (a proxy, a captive portal) would else leave whoever pasted it before an empty terminal.
    """
    fetch = f"curl -fsSk -m 60 --pinnedpubkey '{pin}' https://{authority}{SCRIPT}"
    return f"s=$({fetch}) && printf '%s\\n' \"$s\" | sudo sh -s -- --token {token}"


class Installer:
    """Serves the two files. `kit`: as it is now, or `Unavailable`."""

    def __init__(self, settings: Settings, port: int, tls: TlsFiles, kit: Callable[[], Awaitable[Kit]]) -> None:
        self._tls, self.kit = tls, kit
        self._default = f"{settings.public_names[0] if settings.public_names else '127.0.0.1'}:{port}"

    def one_liner(self, token: str, host: str = "") -> str:
        """What to paste on the new machine. `host`: the Host header by which the asking person reached us."""
        return enrol_line(self._tls.leaf_pin, host if _AUTHORITY.fullmatch(host) else self._default, token)

    async def script(self, host: str) -> bytes:
        """The enrolment script for a machine that reached us as `host`. Raises `Invalid` for no name, `Unavailable`."""
        if not _AUTHORITY.fullmatch(host):
            raise Invalid("the Host header is no name or address", host=host[:80])
        kit = await self.kit()
        return enrol_script(f"https://{host}", self._tls.ca_pem(), kit.sha256).encode()
