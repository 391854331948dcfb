"""Starts of this machine, so that one which starts again and again is left alone. The helper's own record, on disk.

A boot has *stood* once it was seen an hour after its start. After three in a row that did not, and that no order of
ours has ended, no order restarts this machine until the present boot has stood: it ends by itself. Uptime counts, no
clock. A record that cannot be read counts as such a row, because somebody may have meant it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from brakeline.agent.files import write_durably

STOOD_S: Final = 3600.0
IN_A_ROW: Final = 3
KEPT: Final = 16


class Boots:
    """See the module: a line a boot, newest last, `stood` or `begun` and its id."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, boot_id: str, up_s: float) -> None:
        """This boot is here. Written when it is new and when it has stood. OSError when the disk will not."""
        found = self._read()
        known = [("begun", f"?{i}") for i in range(IN_A_ROW)] if found is None else found
        word = "stood" if up_s >= STOOD_S else "begun"
        if known and known[-1] in ((word, boot_id), ("stood", boot_id)):
            return
        rest = [k for k in known if k[1] != boot_id]
        lines = [f"{w} {b}\n" for w, b in [*rest, (word, boot_id)][-KEPT:]]
        write_durably(self._path, "".join(lines).encode())

    def loop(self, boot_id: str, up_s: float, ours: Collection[str]) -> str:
        """Why this machine is left alone for now; "" = it is not. `ours`: boots that an order of ours has ended."""
        if up_s >= STOOD_S:
            return ""
        known = self._read()
        if known is None:
            return "the record of this machine's starts cannot be read; wait until it has run for an hour"
        before = [(word, boot) for word, boot in known if boot != boot_id][-IN_A_ROW:]
        short = [boot for word, boot in before if word == "begun" and boot not in ours]
        if len(short) < IN_A_ROW:
            return ""
        return f"its last {IN_A_ROW} starts did not last an hour each; it is left alone until this one has"

    def _read(self) -> list[tuple[str, str]] | None:
        """None = it cannot be read."""
        try:
            rows = [line.split(" ") for line in self._path.read_text(encoding="ascii").splitlines()]
        except FileNotFoundError:
            return []
        except (OSError, ValueError):
            return None
        if any(len(r) != 2 or r[0] not in ("begun", "stood") for r in rows):
            return None
        return [(r[0], r[1]) for r in rows]
