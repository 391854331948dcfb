"""Who gets an event, when it is tried again, when it is given up, and how it is signed. Pure.

Invariants: a receiver that is away is asked ever more rarely, at most once an hour, and not by all at the same moment;
an event is given up after TRIES_MAX and never silently; a signature is over time and body, so that neither can be
exchanged; an address of a private network is refused unless the installation's own settings name that network.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from brakeline.core.errors import Invalid

TRIES_MAX: Final = 20  # about twelve hours
FIRST_S: Final = 5
LONGEST_S: Final = 3600
SPREAD: Final = 0.2  # of the delay, so that not everybody comes back at once
KINDS_MAX: Final = 20
NAME_CHARS_MAX: Final = 80
SCHEMES: Final = {"https": 443, "http": 80, "syslog+tls": 6514, "syslog+tcp": 601}
NAT64: Final = ipaddress.ip_network("64:ff9b::/96")  # an IPv4 address is in its last 32 bits
# Inner networks, or ways into them, that are called global elsewhere: IPv4-compatible, NAT64 of one site, site-local.
INNER: Final = tuple(map(ipaddress.ip_network, ("::/96", "64:ff9b:1::/48", "fec0::/10")))
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def delay_s(tries: int, seed: str) -> float:
    """How long to wait after so many tries that failed; `seed` spreads it, the same for the same."""
    exact = min(LONGEST_S, FIRST_S * 2.0 ** min(max(tries - 1, 0), 20))
    at = int.from_bytes(hashlib.sha256(f"{seed}/{tries}".encode()).digest()[:4]) / 2**32
    return exact * (1 - SPREAD + 2 * SPREAD * at)


def gives_up(tries: int) -> bool:
    return tries >= TRIES_MAX


def wants(kinds: Sequence[str], kind: str) -> bool:
    """Whether a receiver asked for this kind: "rollout.brake", or "rollout.*"; none = everything."""
    return not kinds or any(
        kind == wanted or (wanted.endswith("*") and kind.startswith(wanted[:-1])) for wanted in kinds
    )


def checked_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """Raises `Invalid`."""
    if len(kinds) > KINDS_MAX:
        raise Invalid(f"at most {KINDS_MAX} kinds; use a * at the end, such as rollout.*")
    for kind in kinds:
        if not 0 < len(kind) <= NAME_CHARS_MAX or not all(c.isascii() and (c.isalnum() or c in ".-_*") for c in kind):
            raise Invalid("a kind is such as rollout.brake, or rollout.* for all of them", got=kind[:40])
    return tuple(dict.fromkeys(kinds))


def checked_address(address: str) -> tuple[str, str, int]:
    """Scheme, host and port. Raises `Invalid`."""
    try:
        parts = urlsplit(address.strip())
        scheme, host, port, plain = (
            parts.scheme,
            parts.hostname,
            parts.port,
            all("!" <= c <= "~" for c in parts.geturl()),
        )
    except ValueError:
        scheme, host, port, plain = "", None, None, False
    if scheme not in SCHEMES or not host or parts.username or not plain or len(address) > 500:
        raise Invalid(
            "an address is https://HOST/PATH, syslog+tls://HOST:PORT or syslog+tcp://HOST:PORT, without a user name, "
            "in ASCII and without spaces: escape others as %C3%BC, and names as xn--…", got=f"{scheme}://{host}"[:80],
        )  # fmt: skip
    return scheme, host, port or SCHEMES[scheme]


def networks_of(texts: Sequence[str], setting: str = "event_networks") -> tuple[Network, ...]:
    """The networks that a setting names. Raises `Invalid`."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as e:
        raise Invalid(f"{setting} names networks, such as 10.2.0.0/16: {e}") from None


def refused(address: str, allowed: Sequence[Network], *, plain: bool) -> str:
    """Why nothing is sent to this IP address; "" = it may be. `plain`: without TLS, which only allowed networks get."""
    ip = _inner(ipaddress.ip_address(address.partition("%")[0]))
    if any(ip.version == network.version and ip in network for network in allowed):
        return ""
    if not ip.is_global or ip.is_multicast or any(ip.version == network.version and ip in network for network in INNER):
        return f"{address} is no public address, and the setting event_networks does not name its network"
    return "without TLS only networks that the setting event_networks names are written to" if plain else ""


def _inner(ip: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def key_of(server_key: bytes, sink_id: str, generation: int) -> str:
    """The key that a receiver checks signatures with. Nowhere kept: made anew from the server's own."""
    return "whk_" + hmac.new(server_key, f"webhook/{sink_id}/{generation}".encode(), hashlib.sha256).hexdigest()


def signature(key: str, timestamp: int, body: bytes) -> str:
    """`v1=` and HMAC-SHA256 over "TIMESTAMP.BODY"."""
    return "v1=" + hmac.new(key.encode(), str(timestamp).encode() + b"." + body, hashlib.sha256).hexdigest()
