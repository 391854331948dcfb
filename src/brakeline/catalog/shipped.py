"""Which edition of the curated catalogue is in force: that of content, else the one that came with this program. I/O.

`found`: the catalogue's bytes out of the newest content that stands, with its release's name; None = it has none. What
cannot be read is passed over with a line in the log: an older edition is better than none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from brakeline.catalog.curated.definitions import read
from brakeline.catalog.curated.model import BadCatalogue, Catalogue
from brakeline.platform.observe import logger


class Editions:
    """Reads once, and again when content brings another."""

    def __init__(self, own: Path, found: Callable[[], tuple[str, bytes] | None] = lambda: None) -> None:
        self._own, self._found = own, found
        self._kept: tuple[str, Catalogue] | None = None

    def __call__(self) -> Catalogue:
        """What is in force."""
        brought = self._found()
        name = brought[0] if brought is not None else ""
        if self._kept is None or self._kept[0] != name:
            self._kept = name, self._of(brought) or read(self._own.read_bytes(), "came with this server")
        return self._kept[1]

    @staticmethod
    def _of(brought: tuple[str, bytes] | None) -> Catalogue | None:
        if brought is None:
            return None
        try:
            return read(brought[1], f"content {brought[0]}")
        except BadCatalogue as e:
            logger.warning("catalogue-not-read", content=brought[0], reason=str(e))
            return None
