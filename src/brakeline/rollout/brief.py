"""A rollout's view for one screen: every number, and endpoints by name only as examples. Pure.

At a hundred thousand endpoints the whole view has some twenty megabytes of names that nobody reads; numbers stay whole.
Named are those who were hit, those whom a reason names, and a handful of those who were spared.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from brakeline.rollout.view import HARMED, Member, RolloutView
from brakeline.rollout.wording import ENDPOINT_ID

EXAMPLES_MAX: Final = 60  # a list: more than a person reads on one screen


def brief(view: RolloutView) -> RolloutView:
    """The same view with examples instead of everybody."""
    if view.targets <= EXAMPLES_MAX:
        return view
    spared = sorted(zip(view.spared, view.spared_ids, strict=True))[:EXAMPLES_MAX]
    kept = _mentioned(view) | {i for _, i in spared}
    hit = [m for m in view.members if _hit(m)][:EXAMPLES_MAX]
    kept |= {m.endpoint_id for m in hit}
    return replace(
        view, members=tuple(m for m in view.members if m.endpoint_id in kept), spared=tuple(name for name, _ in spared),
        spared_ids=tuple(i for _, i in spared),
    )  # fmt: skip


def _hit(m: Member) -> bool:
    return m.arm == "treated" and m.state in HARMED


def _mentioned(view: RolloutView) -> set[str]:
    """Endpoints whose ids stand in a sentence: their names are needed to read it."""
    texts = (view.why, *(x.text for x in view.lines), *(f"{x.text} {x.who}" for x in view.log))
    return {found for text in texts for found in re.findall(ENDPOINT_ID, text)}
