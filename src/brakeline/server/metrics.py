"""Who reads `/metrics`: a monitor on this machine, or in a network that the setting `metrics_networks` names.

What is counted names organisations and says what stands still in them; whoever merely reaches the port that endpoints
use shall not read it. A proxy in front of this server is the one who asks: keep `/metrics` out of what it passes on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from brakeline.events.decide import Network
from brakeline.platform.observe import Scope, render_metrics

KIND: Final = b"text/plain; version=0.0.4; charset=utf-8"


def readable(scope: Scope, allowed: Sequence[Network]) -> tuple[int, bytes, bytes]:
    """Status, content type and body for whoever has sent this request."""
    who = (scope.get("client") or ("",))[0]
    if _within(who, allowed):
        return 200, KIND, render_metrics()
    named = ", ".join(map(str, allowed)) or "nobody"
    text = f"metrics are for {named}, not for {who or 'an unknown address'}: name its network in metrics_networks\n"
    return 403, b"text/plain; charset=utf-8", text.encode()


def _within(who: str, allowed: Sequence[Network]) -> bool:
    try:
        ip = ipaddress.ip_address(who)
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip.version == network.version and ip in network for network in allowed)
