"""A port for a server that is started in another process, and perhaps killed and started again on the same one."""

from __future__ import annotations

import random
import socket
from typing import Final

# Below what Linux gives to outgoing connections (from 32,768 on): one of these may sit on it before the server does.
PORTS: Final = range(20_000, 32_000)
TRIES: Final = 100


def free_port() -> int:
    """One of 127.0.0.1 on which nobody listens now. `OSError` where none of many is free."""
    for port in random.sample(PORTS, TRIES):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise OSError(f"none of {TRIES} ports from {PORTS.start} to {PORTS.stop - 1} is free on 127.0.0.1")
