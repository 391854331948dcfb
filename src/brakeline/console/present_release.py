"""Releases of our own -> view-models. Pure. Every number leads to the endpoints behind it, by the filter language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from brakeline.console.present import ago, endpoint_href, endpoints_href, plural
from brakeline.console.present_rollout import STATES as ROLLOUT_STATES
from brakeline.console.present_rollout import rollout_href
from brakeline.console.views import Badge, Fact, Kpi, Link, RolloutRow, Tone
from brakeline.console.views_release import (
    ActLink,
    Place,
    ReleaseRow,
    ReleaseView,
    TrialRow,
)
from brakeline.fleet.model import FailedTrial, ReleaseStanding, ReleaseStandings, ReleaseTrials
from brakeline.fleet.wording import trial_word
from brakeline.protocol.channels import CHANNELS, STABLE
from brakeline.protocol.messages import TrialReport
from brakeline.releases.model import Release
from brakeline.rollout.reading import ReleaseRollout, RolloutSummary
from brakeline.rollout.wording import named, of_release

STATES: Final = {
    "published": Badge("✓", "published", Tone.OK), "withdrawn": Badge("–", "withdrawn", Tone.IDLE),
    "recalled": Badge("■", "recalled", Tone.BAD),
}  # fmt: skip
NOT_PROMOTED: Final = Badge("○", "not promoted", Tone.IDLE)
OUTCOMES: Final = {
    "reverted": Badge("✕", "reverted", Tone.BAD), "refused": Badge("–", "refused", Tone.WARN),
    "confirmed": Badge("✓", "confirmed", Tone.OK),
}  # fmt: skip
PLACES: Final = (
    ("running", Badge("▶", "runs it now", Tone.INFO), "executed at the last check-in"),
    ("confirmed", Badge("✓", "confirmed", Tone.OK), "passed its probation there"),
    ("probation", Badge("○", "on probation", Tone.INFO), "being tried, beside one that works"),
    ("quarantined", Badge("✕", "quarantined", Tone.BAD), "failed there, and is not tried again"),
)  # fmt: skip
MIB: Final = 1 << 20


def release_href(release_id: str, act: str = "") -> str:
    return f"/releases/{quote(release_id, safe='')}" + (f"/{act}" if act else "")


def release_name(r: Release) -> str:
    return f"{r.product} {r.version}"


def launchers_text(s: ReleaseStandings) -> str:
    """How many endpoints can take a release at all."""
    total = s.with_launcher + s.without_launcher
    if not total:
        return "No endpoint has enrolled yet, so nobody could take a release."
    if not s.without_launcher:
        return f"All {plural(total, 'endpoint')} have a launcher."
    return f"{s.with_launcher:,} of {plural(total, 'endpoint')} have a launcher; the others take no release."


def release_row(r: Release, s: ReleaseStanding, rollout: ReleaseRollout | None, now_ms: int) -> ReleaseRow:
    """One line of the list."""
    return ReleaseRow(
        r.release_id, Link(release_name(r), release_href(r.release_id)), r.sequence, STATES[r.state],
        Link(rollout.title, rollout_href(rollout.id)) if rollout else None,
        ROLLOUT_STATES[rollout.state] if rollout else NOT_PROMOTED, s.running, s.confirmed, s.probation, s.quarantined,
        f"{r.published_by}, {ago(r.published_ms, now_ms)}",
    )  # fmt: skip


# --- one release ---------------------------------------------------------------------------------------------------


def release_view(
    r: Release, s: ReleaseStanding, names: Mapping[str, tuple[Link, ...]], trials: ReleaseTrials,
    rollouts: tuple[RolloutRow, ...], launchers: str, acts: tuple[ActLink, ...], now_ms: int, promoted: str = "",
) -> ReleaseView:  # fmt: skip
    """One moment of one release. `names`: how it stands -> the first endpoints of that kind."""
    failed = sum(trials.by_code.values())
    return ReleaseView(
        id=r.release_id, name=release_name(r), state=STATES[r.state],
        sub=f"sequence {r.sequence} · published {ago(r.published_ms, now_ms)} by {r.published_by}",
        alerts=alerts(r, s, trials, now_ms), kpis=kpis(r, s, failed), facts=facts(r, now_ms), rollouts=rollouts,
        rollouts_note=promoted if rollouts else _never(r), places=places(r, s, names), places_note=launchers,
        trials=tuple(trial_row(t, now_ms) for t in trials.items), trials_note=_trials_note(trials), acts=acts,
    )  # fmt: skip


def promoted_to(rollouts: Iterable[RolloutSummary]) -> str:
    """To which channels it was promoted, and how that stands; the newest rollout of each. They come newest first."""
    newest: dict[str, RolloutSummary] = {}
    for x in rollouts:
        newest.setdefault(x.channel or STABLE, x)
    said = [f"{name}: {newest[name].state}" if name in newest else f"{name}: not yet" for name in CHANNELS]
    return f"Promoted to {', '.join(said)}." if newest else ""


def alerts(r: Release, s: ReleaseStanding, trials: ReleaseTrials, now_ms: int) -> tuple[tuple[Tone, str], ...]:
    """What somebody should read first."""
    found: list[tuple[Tone, str]] = []
    if r.recalled_ms:
        left = f" {plural(s.running, 'endpoint')} had not obeyed at the last check-in." if s.running else ""
        names = {t.endpoint_id: t.hostname for t in trials.items}
        reason = of_release(named(r.recalled_reason, names)).rstrip(".")
        why = f"■ Recalled {ago(r.recalled_ms, now_ms)}: {reason}."
        text = f"{why} Nobody may run it; endpoints go back to their last known good.{left}"
        found.append((Tone.BAD, text))
    if r.pardon_asked_ms and r.recalled_ms:
        asked = f"‖ {r.pardon_asked_by} asked {ago(r.pardon_asked_ms, now_ms)} to take the recall back."
        found.append((Tone.WARN, f"{asked} It holds until a second person agrees: see Approvals."))
    if r.withdrawn_ms:
        why = f"– Withdrawn {ago(r.withdrawn_ms, now_ms)}: {r.withdrawn_reason.rstrip('.')}."
        found.append((Tone.WARN, f"{why} Nobody else gets it; who runs it goes on."))
    return tuple(found)


def kpis(r: Release, s: ReleaseStanding, failed: int) -> tuple[Kpi, ...]:
    """Where it stands, in four figures."""
    i, recalled = r.release_id, bool(r.recalled_ms)
    return (
        Kpi("running", "Run it now", f"{s.running:,}", "must not: it is recalled" if s.running and recalled else
            "at their last check-in", endpoints_href(f"running:{i}"), Tone.BAD if s.running and recalled else None),
        Kpi("confirmed", "Confirmed", f"{s.confirmed:,}", "passed probation", endpoints_href(f"confirmed:{i}")),
        Kpi("probation", "On probation", f"{s.probation:,}", "being tried", endpoints_href(f"probation:{i}")),
        Kpi("failed", "Failed trials", f"{failed:,}", f"{s.quarantined:,} quarantined it",
            "#trials", Tone.BAD if failed or s.quarantined else None),
    )  # fmt: skip


def facts(r: Release, now_ms: int) -> tuple[Fact, ...]:
    """The card *What it is*."""
    stem = f"brakeline-{r.product}-{r.release_id}"
    return (
        Fact("Release", r.release_id), Fact("Product", r.product), Fact("Version", r.version),
        Fact("Sequence", f"{r.sequence}; a higher one is newer"), Fact("Platform", r.platform),
        Fact("SHA-256", r.sha256), Fact("Length", size(r.length)), Fact("Signed as", r.path),
        Fact("Notes", r.notes or "none"), Fact("Published", f"by {r.published_by}, {ago(r.published_ms, now_ms)}"),
        Fact("Bill of materials", f"{stem}.cdx.json, written beside the bundle by release build; not kept here"),
        Fact("Provenance", f"{stem}.intoto.json, likewise. Check a bundle: brakeline release verify BUNDLE"),
    )  # fmt: skip


def size(length: int) -> str:
    return f"{length / MIB:.1f} MiB ({length:,} bytes)" if length >= MIB else f"{length:,} bytes"


def places(r: Release, s: ReleaseStanding, names: Mapping[str, tuple[Link, ...]]) -> tuple[Place, ...]:
    """Where it stands how; only what there is."""
    counts = {"running": s.running, "confirmed": s.confirmed, "probation": s.probation, "quarantined": s.quarantined}
    return tuple(
        Place(key, badge, meaning, counts[key], endpoints_href(f"{key}:{r.release_id}"), names.get(key, ()))
        for key, badge, meaning in PLACES if counts[key]
    )  # fmt: skip


def trial_row(t: FailedTrial, now_ms: int) -> TrialRow:
    """A failed trial on the page of its release."""
    badge = OUTCOMES.get(t.outcome, Badge("·", t.outcome, Tone.WARN))
    return TrialRow(
        t.endpoint_id, Link(t.hostname or t.endpoint_id, endpoint_href(t.endpoint_id) + "/agent"), badge,
        trial_word(t.code), t.code, t.detail, t.runs, ago(t.heard_ms, now_ms), t.log_tail.strip(),
    )  # fmt: skip


def told_trial(t: TrialReport | None, of: str) -> TrialRow | None:
    """The newest trial of its agent or launcher on the page of an endpoint."""
    if t is None:
        return None
    badge = OUTCOMES.get(t.outcome, Badge("·", t.outcome, Tone.WARN))
    link = Link(t.release_id, release_href(t.release_id))
    return TrialRow(of, link, badge, trial_word(t.code), t.code, t.detail, t.runs, "", t.log_tail.strip())


def _trials_note(trials: ReleaseTrials) -> str:
    if not trials.by_code:
        return "No launcher reports a failed trial of it."
    parts = ", ".join(f"{n:,} × {trial_word(code)}" for code, n in trials.by_code.items())
    rest = sum(trials.by_code.values()) - len(trials.items)
    return f"{parts}." + (f" {rest:,} more are not listed; the API has them all." if rest > 0 else "")


def _never(r: Release) -> str:
    if r.state != "published":
        return f"It was never promoted, and it is {r.state}: nobody gets it."
    return f"Nobody gets it yet: it is published, and no rollout is made of it. brakeline release plan {r.release_id}"
