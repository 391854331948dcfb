"""What one endpoint's launcher says -> view-model. Pure. Everything that does not move says why.

Without a launcher, or a word from it, that is the page, with what to do. A report is as old as the last check-in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from brakeline.console.present import ago
from brakeline.console.present_release import release_name, told_trial
from brakeline.console.views import Badge, Fact, Tone
from brakeline.console.views_release import LauncherView, ProblemRow
from brakeline.fleet.model import EndpointDetail
from brakeline.fleet.wording import problem
from brakeline.protocol.channels import EARLY
from brakeline.protocol.messages import LauncherReport
from brakeline.releases.model import Release
from brakeline.remediation.model import SelfUpdate

NO_LAUNCHER: Final = (
    "No launcher runs this agent. It assesses and patches as ever, but it takes no release of ours, and a release that "
    "breaks it would not heal by itself.",
    "To get one: make a new line under Add endpoint and paste it on this machine; then this endpoint can be retired.",
)
NEVER_HEARD: Final = ("It has never checked in, so nothing is known of its agent and launcher.",)
PIN: Final = {"agent": "brakeline-agent", "launcher": "brakeline-launcher"}
CURRENT: Final = Badge("✓", "up to date", Tone.OK)
WAITS: Final = Badge("○", "waits", Tone.INFO)
STAYS: Final = Badge("‖", "stays", Tone.WARN)


@dataclass(frozen=True, slots=True)
class Beside:
    """What else the page knows. `waiting`: what its rollout says of this endpoint, "" = no rollout has it;
    `self_update` None = could not be read."""

    newest: Release | None
    promoted: bool  # some rollout of the newest release is or was under way
    waiting: str
    self_update: SelfUpdate | None
    early: str = ""  # of a release that was promoted to `early` alone: why this endpoint has nothing of it


def newest_of(releases: Iterable[Release], product: str) -> Release | None:
    """The newest release of a product that may be offered."""
    usable = [r for r in releases if r.product == product and r.state == "published"]
    return max(usable, key=lambda r: r.sequence, default=None)


def launcher_view(d: EndpointDetail, beside: Beside, now_ms: int) -> LauncherView:
    """The tab *Agent and launcher*."""
    heard = f"as of its last check-in, {ago(d.summary.last_seen_ms, now_ms)}"
    if not d.summary.last_seen_ms:
        return LauncherView(Badge("?", "not known", Tone.WARN), "", NEVER_HEARD)
    report = d.launcher
    if report is None:
        return LauncherView(Badge("–", "no launcher", Tone.WARN), "", NO_LAUNCHER, heard=heard)
    state, sentence = stands(report)
    follow, why = following(beside.self_update)
    newer, newer_why = why_not_newer(report, beside)
    return LauncherView(
        state=state, sentence=sentence, releases=release_facts(report), self_update=follow, self_update_why=why,
        channel=channel_badge(beside.self_update),
        channel_why=beside.self_update.channel_why if beside.self_update is not None else "",
        newer=newer, newer_why=newer_why, problems=problem_rows(report), heard=heard,
        trial=told_trial(report.last_trial, "agent"), own=own_facts(report),
        own_trial=told_trial(report.launcher_last_trial, "launcher"),
    )  # fmt: skip


def stands(r: LauncherReport) -> tuple[Badge, str]:
    """What is executed now, and how far it is trusted."""
    if not r.running:
        return Badge("✕", "alone", Tone.BAD), (
            "No release on its disk may run. The launcher looks for a newer one every five minutes and reports."
        )
    if r.running in r.recalled:
        return Badge("■", "recalled", Tone.BAD), f"{r.running} is recalled and about to be ended."
    if r.running == r.trial:
        return Badge("○", "on probation", Tone.INFO), (
            f"{r.running} is tried. It is confirmed once it has been healthy for ten minutes; three failures end it."
        )
    if r.running == r.confirmed:
        return Badge("✓", "confirmed", Tone.OK), f"{r.running} runs and has passed its probation."
    return Badge(
        "‖", "fell back", Tone.WARN
    ), f"{r.running}, the last known good, runs in place of {r.confirmed or 'the newer one'}."


def release_facts(r: LauncherReport) -> tuple[Fact, ...]:
    """Every release that the launcher speaks of."""
    facts = [
        Fact("Runs now", r.running or "nothing", None if r.running else Tone.BAD),
        Fact("Confirmed", r.confirmed or "none yet"),
        Fact("Last known good", r.last_known_good or "none yet: there is nothing to go back to",
             None if r.last_known_good else Tone.WARN),
        Fact("On probation", r.trial or "none", Tone.INFO if r.trial else None),
        Fact("Quarantined", ", ".join(r.quarantined) or "none", Tone.BAD if r.quarantined else None),
        Fact("Recalled, on its disk", ", ".join(r.recalled) or "none", Tone.BAD if r.recalled else None),
        Fact("Content it was given", r.running_content or "none: its own defaults"),
        Fact("Content, confirmed", r.content or "none yet"),
        Fact("Content, last known good", r.content_last_known_good or "none yet"),
        Fact("Host guard", r.host_guard or "quiet", Tone.WARN if r.host_guard else None),
        Fact("Documents seen", _versions(r.trust_versions)),
        Fact("Order of policies", f"generation {r.follow_generation}" if r.follow_generation else "none received yet"),
    ]  # fmt: skip
    return tuple(facts)


def own_facts(r: LauncherReport) -> tuple[Fact, ...]:
    """The launcher itself: where it comes from, and whether a newer one would be tried."""
    contact = Fact("Last contact", r.way or "none yet, or not told")
    if not r.launcher_slot:
        return (
            Fact("Version", r.version or "not known"), contact,
            Fact("Its own updates", "none: no stub starts it here, so it comes with its package", Tone.WARN),
        )  # fmt: skip
    where = "the one that came with the package" if r.launcher_slot == "factory" else f"slot {r.launcher_slot}"
    return (
        Fact("Version", r.version or "not known"), Fact("Release", r.launcher_release or "that of its package"),
        Fact("Started from", where), contact,
        Fact("On trial", r.launcher_trial or "none", Tone.INFO if r.launcher_trial else None),
        Fact("Failed here", ", ".join(r.launcher_failed) or "none", Tone.BAD if r.launcher_failed else None),
        Fact("A newer one", f"waits: {r.launcher_waits}" if r.launcher_waits else "would be tried at its next look"),
    )  # fmt: skip


def _versions(versions: tuple[int, ...]) -> str:
    names = ("root", "timestamp", "snapshot", "targets", "recall")
    return ", ".join(f"{n} {v}" for n, v in zip(names, versions, strict=False)) or "none verified yet"


def following(s: SelfUpdate | None) -> tuple[Badge, str]:
    """Whether policies let it take newer releases, and which says so."""
    if s is None:
        return Badge("?", "not known", Tone.WARN), "its policies could not be read"
    if not s.on:
        return Badge("‖", "off", Tone.WARN), f"{s.why} Recalls hold all the same."
    if s.pin:
        return Badge("‖", f"pinned to {s.pin}", Tone.WARN), s.why
    return Badge("✓", "on", Tone.OK), s.why


def channel_badge(s: SelfUpdate | None) -> Badge | None:
    """The channel of releases that it follows; None = its policies could not be read, which is said already."""
    if s is None:
        return None
    return Badge("▸", EARLY, Tone.INFO) if s.channel == EARLY else Badge("✓", s.channel, Tone.OK)


def why_not_newer(r: LauncherReport, beside: Beside) -> tuple[Badge, str]:
    """Whether there is a newer release for it, and why it has not got it: the endpoint's own reasons first."""
    newest, follow = beside.newest, beside.self_update
    if newest is None:
        return CURRENT, "No release is published that it could take."
    name = release_name(newest)
    if newest.release_id in (r.running, r.confirmed):
        return CURRENT, f"{name} is the newest that is published."
    if newest.release_id == r.trial:
        return WAITS, f"{name} is on probation here."
    if newest.release_id in r.quarantined:
        return STAYS, f"{name} has failed here and is not tried again. Publish a newer release."
    if follow is not None and not follow.on:
        return STAYS, f"{name} is published; self-update is off here. {follow.why}"
    if follow is not None and follow.pin and follow.pin != newest.release_id:
        return STAYS, f"{name} is published; a policy pins this endpoint to {follow.pin}."
    if r.host_guard:
        return WAITS, f"{name} is published; the launcher guards the host: {r.host_guard}."
    if beside.waiting:
        return WAITS, f"{name}: {beside.waiting}."
    if beside.early:
        return WAITS, f"{name} {beside.early}."
    if not beside.promoted:
        return WAITS, f"{name} is published, and nobody has promoted it yet."
    if r.problems:
        return WAITS, f"{name} is promoted; {problem(r.problems[0]).what.lower()}."
    return WAITS, f"{name} is promoted; this endpoint takes it at its launcher's next look, within the hour."


def why_not_early(follows: bool, brought: bool) -> str:
    """Of a release that was promoted to `early` alone; "" = it is for this endpoint."""
    if not follows:
        return "is promoted to early alone, and this endpoint follows stable"
    return "" if brought else "was promoted to early before this endpoint followed it; promote it there again"


def problem_rows(r: LauncherReport) -> tuple[ProblemRow, ...]:
    return tuple(ProblemRow(s.what, s.told, s.next) for s in map(problem, r.problems))
