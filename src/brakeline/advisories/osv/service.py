"""Use cases of OSV rows: answer OSV's question. It reads; whatever is live is what a feed of the installation brought.

Invariant: where nothing of an ecosystem or a release is loaded the question is refused, because an empty answer would
say "not vulnerable" of what nobody here knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brakeline.advisories.ecosystems import base_of, belongs, shown
from brakeline.advisories.osv import store
from brakeline.advisories.osv.feeds import is_feed, wanted_of
from brakeline.advisories.osv.model import Span
from brakeline.advisories.osv.questions import NoQuestion, Page, Question, page, question
from brakeline.advisories.service import AdvisoriesService
from brakeline.platform.database import Database


class Asking:
    """See the module."""

    def __init__(self, db: Database, advisories: AdvisoriesService) -> None:
        self._db, self._advisories = db, advisories

    async def ask(self, bodies: Sequence[Any]) -> list[Page]:
        """The answer to each question, in order. Raises `NoQuestion` for the first that has none."""
        asked = [question(body) for body in bodies]
        loaded = {feed.feed for feed in await self._advisories.feeds() if feed.sha256}
        for each in asked:
            _known(each, loaded)
        rows: dict[tuple[str, str], list[Span]] = {}  # a package that is asked of twice is read once
        async with self._db.system() as conn:
            for ecosystem in {each.ecosystem for each in asked if ":" in each.ecosystem}:
                if not await store.speaks_of(conn, sorted(loaded), ecosystem):
                    raise NoQuestion(f"no feed speaks of {shown(ecosystem)}, so 'nothing found' would be untrue")
            for name in dict.fromkeys((each.ecosystem, each.name) for each in asked):
                rows[name] = await store.spans_of(conn, *name)
        return [page(each, rows[each.ecosystem, each.name]) for each in asked]


def _known(asked: Question, loaded: set[str]) -> None:
    base = base_of(asked.ecosystem)
    if not any(belongs(base, wanted_of(feed)) for feed in loaded if is_feed(feed)):
        raise NoQuestion(
            f"nothing of {shown(base)} is loaded, so 'nothing found' would be untrue; "
            f"brakeline content import osv-{shown(base).casefold().replace(' ', '-')} FILE"
        )
