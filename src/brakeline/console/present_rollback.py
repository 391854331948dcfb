"""What `rollout.undo` says -> the page of a way back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from brakeline.console.present import endpoint_href, plural
from brakeline.console.present_rollout import rollout_href
from brakeline.console.views import Link
from brakeline.console.views_rollback import BackRow, RollbackView
from brakeline.rollout.undo import Exposed, UndoPlan

SHOWN: Final = 40  # endpoints of each kind; the API has them all
NOBODY: Final = (
    "No endpoint has a way back. A newer version that is sound, or people, must help there; "
    "the updates stay quarantined."
)


def rollback_view(plan: UndoPlan, *, may_make: bool) -> RollbackView:
    """The plan with its names and reasons."""
    href = rollout_href(plan.rollout_id)
    return RollbackView(
        Link(plan.title, href), plan.updates, len(plan.takes_part),
        tuple(_row(x, x.harm) for x in plan.first[:SHOWN]), tuple(_row(x, "") for x in plan.then[:SHOWN]),
        tuple(_row(x, _why(x)) for x in plan.left_out[:SHOWN]),
        _rest(plan.first), _rest(plan.then), _rest(plan.left_out),
        f"{plural(plan.unchanged, 'endpoint')} got it and have nothing of it now." if plan.unchanged else "",
        tuple(f"{name}: up to {upto:,}" for name, upto in plan.rings), f"{href}/rollback",
        f"brakeline rollout rollback {plan.rollout_id} --yes", "" if plan.takes_part else NOBODY, may_make,
    )  # fmt: skip


def _row(x: Exposed, note: str) -> BackRow:
    return BackRow(Link(x.hostname, endpoint_href(x.endpoint_id)), note)


def _why(x: Exposed) -> str:
    return f"{x.reason} (harm: {x.harm})" if x.harm else x.reason


def _rest(found: Sequence[Exposed]) -> int:
    return max(0, len(found) - SHOWN)
