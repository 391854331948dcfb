"""Use case: what stands open for a Windows of this product and build, with these updates, by what is live here.

Invariant: a product of which nothing is loaded is refused with those that are like it, never answered with "nothing".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from brakeline.advisories.osv import store
from brakeline.advisories.vendors import kb, windows
from brakeline.advisories.vendors.kb import Verdict
from brakeline.advisories.vendors.msrc import BUILD, ECOSYSTEM, KB
from brakeline.core.errors import Invalid, NotFound
from brakeline.platform.database import Database
from brakeline.tenancy.model import Principal

KBS_MAX = 2_000  # an old server has some hundred


class NoSuchWindows(NotFound):
    """No advisory that is loaded speaks of this product."""

    code = "no-such-windows"
    hint = "Import Microsoft's months: brakeline content import msrc-2026-11 FILE. Then say the product as it names it."


@dataclass(frozen=True, slots=True)
class Checked:
    """`open` first, then what is closed and by what. `judged_as`: Microsoft's names whose rows were asked.

    `left_out`: names of a part that a newer one has taken the place of, each with the reason.
    """

    product: str
    build: str
    open: tuple[Verdict, ...]
    closed: tuple[Verdict, ...]
    judged_as: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


class Checking:
    """See the module."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def windows(self, principal: Principal, product: str, build: str, kbs: Sequence[str]) -> Checked:
        """Raises `NoSuchWindows` or `Invalid`."""
        principal.require("exposure.read")
        if build and not BUILD.fullmatch(build):
            raise Invalid("a build looks like 10.0.19045.4170", got=build[:40])
        if len(kbs) > KBS_MAX or not all(KB.fullmatch(each) for each in kbs):
            raise Invalid(f"updates look like KB5035845, at most {KBS_MAX}", got=next(iter(kbs), "")[:40])
        installed = [f"KB{found[1]}" for each in kbs if (found := KB.fullmatch(each))]
        async with self._db.system() as conn:
            names = await store.names_of(conn, ECOSYSTEM)
            mine, gone = windows.names_of(product, names, installed)
            if not any(windows.folded(name) == windows.folded(product) for name in mine):  # a part alone is not enough
                like = get_close_matches(product, names, 3)
                raise NoSuchWindows(f"like it: {', '.join(like)}" if like else "", product=product[:80])
            rows = [row for name in mine for row in await store.spans_of(conn, ECOSYSTEM, name)]
        said = kb.judge(rows, build, installed)
        still, closed = tuple(v for v in said if v.open), tuple(v for v in said if not v.open)
        return Checked(product, build, still, closed, tuple(mine), tuple(gone))
