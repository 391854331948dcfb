"""Look-ups of names that nobody need wait for: the system's own cannot be bounded or broken off.

Each is done in a thread that the end of the process does not wait for. Threads are few, and one whose name server is
silent keeps its place until the system gives up; whoever finds no place waits for one as long as they would have waited
for an answer. Whoever gives up puts something into their own box: then they are told that instead.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from queue import Empty, SimpleQueue
from typing import Any, Final

LOOK_UPS_MAX: Final = 16  # at once: a resolver's own patience is some ten seconds, and receivers are spoken to by turns
Box = SimpleQueue[list[Any] | Exception]  # where an answer comes to


class LookUps:
    """At most so many at once."""

    def __init__(self, most: int = LOOK_UPS_MAX) -> None:
        self._most, self._lock = most, threading.Lock()
        self._asked: deque[tuple[str, int, Box]] = deque()
        self._threads = 0

    def look_up(self, host: str, port: int, seconds: float, box: Box) -> list[Any]:
        """What `getaddrinfo` says of it. Raises `OSError` and `UnicodeError`; `TimeoutError` = nothing was said yet."""
        asked = (host, port, box)
        try:
            self._ask(asked)
            answer = box.get(timeout=seconds)
        except Empty:
            raise TimeoutError("its name was not looked up in time") from None
        finally:
            with self._lock:
                if asked in self._asked:  # nobody waits for it any more
                    self._asked.remove(asked)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _ask(self, asked: tuple[str, int, Box]) -> None:
        with self._lock:
            self._asked.append(asked)
            if self._threads < self._most:
                threading.Thread(target=self._work, daemon=True).start()
                self._threads += 1

    def _work(self) -> None:
        """One after another, until nobody asks."""
        while True:
            with self._lock:
                if not self._asked:
                    self._threads -= 1
                    return
                host, port, box = self._asked.popleft()
            try:
                box.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except Exception as e:  # noqa: BLE001 - it is the asker's, who raises it
                box.put(e)
