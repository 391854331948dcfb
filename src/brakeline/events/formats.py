"""How an event looks on the wire: a webhook's body and headers, syslog with CEF, a server-sent event. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from brakeline import __version__
from brakeline.events.decide import signature
from brakeline.events.model import Event

FACILITY: Final = 10  # authpriv: security messages
ENTERPRISE: Final = 32473  # of RFC 5612, for whoever has none of his own
DATA_CHARS_MAX: Final = 4096  # of `msg` in CEF; a receiver cuts longer ones anywhere
# Most serious first; CEF's severity is 0 to 10, syslog's 0 to 7.
GRAVE: Final = (
    (("rollout.state.halted", "rollout.brake", "freeze.press", "finding.exploited"), 8, 3),
    (("rollout.state.quarantine", "risk.", "approval.", "limits.", "budget.", "person.", "token."), 5, 5),
    (("",), 3, 6),
)  # fmt: skip


def plain(event: Event) -> dict[str, Any]:
    """As every way of delivery tells it."""
    return {
        "id": event.id, "sequence": event.sequence, "at": rfc3339(event.at_ms), "kind": event.kind,
        "subject": event.subject, "organisation": event.tenant_id, "data": event.data,
    }  # fmt: skip


def body(event: Event) -> bytes:
    return json.dumps(plain(event), separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()


def headers(event: Event, sent: bytes, key: str, now_ms: int) -> dict[str, str]:
    """Of a webhook. Whoever receives checks the signature, and that the time is near."""
    timestamp = now_ms // 1000
    return {
        "Content-Type": "application/json", "User-Agent": f"brakeline/{__version__}",
        "Brakeline-Event-Id": event.id, "Brakeline-Event-Kind": event.kind, "Brakeline-Timestamp": str(timestamp),
        "Brakeline-Signature": signature(key, timestamp, sent),
    }  # fmt: skip


def rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"


def severities(kind: str) -> tuple[int, int]:
    """CEF's and syslog's."""
    return next((cef, syslog) for starts, cef, syslog in GRAVE if kind.startswith(starts))


def cef(event: Event) -> str:
    """One CEF line."""
    text = json.dumps(event.data, separators=(",", ":"), ensure_ascii=False, sort_keys=True)[:DATA_CHARS_MAX]
    fields = {
        "rt": str(event.at_ms), "externalId": event.id, "cs1Label": "subject", "cs1": event.subject,
        "cs2Label": "organisation", "cs2": event.tenant_id, "suser": str(event.data.get("who", "")), "msg": text,
    }  # fmt: skip
    extension = " ".join(f"{name}={_extension(value)}" for name, value in fields.items() if value)
    head = (_header(event.kind), _header(event.kind.replace(".", " ")), str(severities(event.kind)[0]))
    return f"CEF:0|Brakeline|Brakeline|{_header(__version__)}|{'|'.join(head)}|{extension}"


def _header(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace("|", "\\|")


def _extension(text: str) -> str:
    return text.replace("\\", "\\\\").replace("=", "\\=").replace("\r", "\\r").replace("\n", "\\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def syslog(event: Event, host: str) -> bytes:
    """An RFC 5424 message, framed by its length (RFC 6587, 5425)."""
    priority = FACILITY * 8 + severities(event.kind)[1]
    element = f'[brakeline@{ENTERPRISE} id="{_param(event.id)}" kind="{_param(event.kind)}"]'
    name = "".join(c for c in host if c.isascii() and c.isprintable() and c != " ")[:255] or "-"
    message = f"<{priority}>1 {rfc3339(event.at_ms)} {name} brakeline - event {element} \ufeff{cef(event)}".encode()
    return f"{len(message)} ".encode() + message


def _param(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def sse(event: Event) -> bytes:
    """A server-sent event; its id is the sequence, for `Last-Event-ID`."""
    return f"id: {event.sequence}\nevent: {event.kind}\ndata: ".encode() + body(event) + b"\n\n"
