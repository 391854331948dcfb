"""A line to a host that is named: the look-up of its name and its addresses together have the time that is given.

The system's own look-up cannot be bounded or broken off: it is done in a thread that nobody waits for longer, and
which the end of the process does not wait for either. Its threads are few; an address in figures needs none.
Without `threading`, which the resident agent does not load.
"""

from __future__ import annotations

import _thread
import socket
import time
from typing import Any, Final

LOOK_UPS_MAX: Final = 4  # at once; each ends with the system's own patience, mostly half a minute
SHARE_S_MIN: Final = 0.1  # of an address, when its name has taken the rest
_places: list[None] = [None] * LOOK_UPS_MAX


class NotLookedUp(OSError):
    """A name without an answer in time."""


def connected(host: str, port: int, seconds: float) -> socket.socket:
    """Each address has its share of what is left, so that one which is silent leaves the others enough. `OSError`."""
    until_s = time.monotonic() + seconds
    found = looked_up(host, port, seconds)
    last = OSError("it has no address")
    for left, (family, kind, protocol, _, address) in zip(range(len(found), 0, -1), found, strict=True):
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as e:
            last = e
            continue
        try:
            sock.settimeout(max((until_s - time.monotonic()) / left, SHARE_S_MIN))
            sock.connect(address)
            sock.settimeout(seconds)
            return sock
        except OSError as e:
            sock.close()
            last = e
        except BaseException:
            sock.close()
            raise
    raise last


def looked_up(host: str, port: int, seconds: float) -> list[Any]:
    """What `getaddrinfo` says. Raises `OSError` (one is `NotLookedUp`), and `ValueError` for what is no name."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    said: list[Any] = []
    over = _thread.allocate_lock()
    over.acquire()

    def ask() -> None:
        try:
            said.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as e:
            said.append(e)
        finally:
            _places.append(None)
            over.release()

    _begin(ask, host)
    if not over.acquire(timeout=max(seconds, 0.0)):
        raise NotLookedUp(f"the name {host} was not looked up in time; does its name server answer?")
    if not said or isinstance(said[0], Exception):
        raise said[0] if said else NotLookedUp(f"the name {host} could not be looked up")
    found: list[Any] = said[0]
    return found


def _begin(ask: Any, host: str) -> None:
    try:
        _places.pop()
    except IndexError:
        raise NotLookedUp(f"the name {host} is not looked up: {LOOK_UPS_MAX} look-ups have no answer yet") from None
    try:
        _thread.start_new_thread(ask, ())
    except RuntimeError as e:  # the system gives no thread
        _places.append(None)
        raise NotLookedUp(f"the name {host} could not be looked up: {e}") from None
