"""snapd of one endpoint, over its socket: reading is everybody's, changes are root's.

A socket that gives no answer is a fault, never an endpoint without snaps.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.snap.answers import Snap, snaps, why
from brakeline.core.errors import Fault

SOCKET: Final = "/run/snapd.socket"
ASK_S_MAX: Final = 60.0
ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024


class SnapdSilent(Fault):
    """snapd could not be asked."""

    code = "snapd-silent"


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass(frozen=True, slots=True)
class Snapd:
    """What is asked of it, and told to it."""

    runner: Runner

    def ask(self, route: str, body: Mapping[str, object] | None = None, timeout_s: float = ASK_S_MAX) -> dict[str, Any]:
        """The answer, errors of snapd's own among them. `body`: what is to be done, None = nothing."""
        connection = _Unix(str(self.runner.path(SOCKET)), timeout_s)
        try:
            data = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", route, data, {"Content-Type": "application/json"})
            found = json.loads(connection.getresponse().read(ANSWER_BYTES_MAX))
        except (OSError, ValueError, http.client.HTTPException) as e:
            raise SnapdSilent(f"{route}: {e or type(e).__name__}") from e
        finally:
            connection.close()
        if not isinstance(found, dict):
            raise SnapdSilent(f"{route}: that is no answer")
        return found

    def snaps(self) -> tuple[Snap, ...]:
        """Every snap in the revision that is active."""
        return tuple(sorted((s for s in self._list("/v2/snaps") if s.active), key=lambda s: s.name))

    def revisions(self) -> frozenset[tuple[str, str]]:
        """Every revision that is on the disk."""
        return frozenset((s.name, s.revision) for s in self._list("/v2/snaps?select=all"))

    def _list(self, route: str) -> tuple[Snap, ...]:
        found = snaps(answer := self.ask(route))
        if found is None:
            raise SnapdSilent(why(answer).reason)
        return found

    def change(self, number: str) -> Mapping[str, Any]:
        result = self.ask(f"/v2/changes/{number}").get("result")
        return result if isinstance(result, dict) else {}
