"""Who takes part in a rollout of a release, by its channel, and which two of them may not go on at once. Pure.

Invariants: what goes to `early` concerns only who follows it; nobody is offered an older release than its launcher has
confirmed, because no launcher takes one; one product is rolled out to one channel at a time, since a launcher takes
the newest that it is leased, and what is compared must be what was drawn. Next: `releasing`, `leases`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from brakeline.core.errors import Conflict, Invalid
from brakeline.protocol.channels import CHANNELS, EARLY, STABLE
from brakeline.protocol.launcher_report import LauncherReport
from brakeline.protocol.messages import ReleaseRef
from brakeline.releases.model import Release
from brakeline.rollout.model import Change, Phase
from brakeline.rollout.store.rollouts import RolloutRow

EARLY_MAX: Final = 10_000  # targets in `early`: its leases name each, and every look of a follower downloads them
LEFT: Final = ("other_channel", "it follows stable by now, and this goes to early alone")
UNDER_WAY: Final = frozenset({Phase.DRAFT, Phase.ROLLING, Phase.HOLDING})
Passed = tuple[str, str]  # code and reason; both "" = it takes part


def refuse_name(channel: str) -> None:
    """Raises `Invalid` for a channel that there is not."""
    if channel not in CHANNELS:
        raise Invalid(f"there is no channel {channel[:40]!r}; a release is promoted to {' or '.join(CHANNELS)}")


def refuse_overlap(release: ReleaseRef, channel: str, rows: Iterable[RolloutRow]) -> None:
    """Raises `Conflict` beside a rollout that goes on over the same endpoints."""
    for row in rows:
        other = row.change.release
        if other is None or row.blueprint.phase not in UNDER_WAY:
            continue
        if other == release and row.change.channel == channel:
            raise Conflict(f"rollout {row.rollout_id} of {release.release_id} is under way", id=row.rollout_id)
        if other.product == release.product and row.change.channel != channel:
            raise Conflict(
                f"rollout {row.rollout_id} of {other.release_id} to {row.change.channel} is under way, and endpoints "
                f"that follow {EARLY} would be in both: wait until it is completed, or withdraw it first",
                id=row.rollout_id,
            )  # fmt: skip


def refuse_older(release: ReleaseRef, stands: RolloutRow | None) -> None:
    """Raises `Conflict` where `early` has the same or newer already. `stands`: what was completed in `stable`."""
    other = stands.change.release if stands is not None else None
    if stands is not None and other is not None and other.sequence >= release.sequence:
        raise Conflict(f"{other.release_id} went to {STABLE} with {stands.rollout_id}, and so to {EARLY}: promote a "
                       "newer release", id=stands.rollout_id)  # fmt: skip


def refuse_too_many(channel: str, count: int) -> None:
    """Raises `Invalid` where leases could not name everybody."""
    if channel == EARLY and count > EARLY_MAX:
        raise Invalid(f"{count} endpoints follow {EARLY}; a rollout there is for {EARLY_MAX} at most: narrow the "
                      f"policies that say so, or promote to {STABLE}")  # fmt: skip


def nobody(channel: str) -> str:
    """Why there is nobody to promote to, and what to do."""
    if channel == EARLY:
        return (
            f"no active endpoint follows {EARLY}: a policy says which do (`brakeline policy create --channel {EARLY}`)"
        )
    return "there is no active endpoint that could take a release"


def passed_over(change: Change, follows: bool, newest: Release | None, brings: ReleaseRef | None) -> Passed:
    """Why an endpoint that was not drawn yet takes no part. `newest`: what it has confirmed, or has had recalled;
    `brings`: what `early` holds ready for it."""
    release = change.release
    if release is None:
        return "", ""
    if change.channel == EARLY and not follows:
        return LEFT
    if newest is not None and newest.sequence > release.sequence:
        had = "was recalled here" if newest.recalled_ms else "is in use here"
        return "nothing_to_do", f"{newest.release_id} {had}; its launcher takes no older release"
    if change.channel == STABLE and brings is not None and brings.sequence >= release.sequence:
        return "nothing_to_do", f"it follows {EARLY}, which brings it {brings.release_id}"
    return "", ""


def newest_had(report: LauncherReport | None, product: str, known: Iterable[Release]) -> Release | None:
    """The newest release of a product that a launcher has confirmed, or that was recalled on its disk."""
    if report is None:
        return None
    held = {"agent": report.confirmed, "content": report.content, "launcher": report.launcher_release}.get(product, "")
    had = [r for r in known if r.product == product and r.release_id in (held, *report.recalled)]
    return max(had, key=lambda r: r.sequence, default=None)
