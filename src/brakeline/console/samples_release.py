"""Sample view-models of releases, their keys, and what an endpoint's launcher says: each state one can be looked at in."""

# ruff: noqa: E501 - one line per sample reads better
from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from brakeline.console.views import Badge, Fact, Kpi, Link, RolloutRow, Tone
from brakeline.console.views_change import Choice, PlanRing
from brakeline.console.views_release import (
    ActLink,
    KeyRow,
    LauncherView,
    Place,
    ProblemRow,
    PromotionView,
    ReleaseActView,
    ReleaseKeysView,
    ReleaseRow,
    ReleasesView,
    ReleaseView,
    TrialRow,
)

GOOD, BAD, OLD = "1.3.0-5b1f0c9a77e2", "1.4.0-0d9e4a61c0b3", "1.2.0-9a0c44d1f2ee"
PUBLISHED = Badge("✓", "published", Tone.OK)
RECALLED = Badge("■", "recalled", Tone.BAD)
ON_SERVER = Badge("!", "release keys on this server", Tone.WARN)
OFFLINE = Badge("✓", "release keys are offline", Tone.OK)
KEYS = Link("Keys", "/releases/keys")
LAUNCHERS = "5 of 6 endpoints have a launcher; the others take no release."

ROWS: Final = (
    ReleaseRow("1.5.0-77aa01be9c2d", Link("agent 1.5.0", "/releases/1.5.0-77aa01be9c2d"), 5, PUBLISHED, None, Badge("○", "not promoted", Tone.IDLE), 0, 0, 0, 0, "alice, 4 min ago"),
    ReleaseRow(BAD, Link("agent 1.4.0", f"/releases/{BAD}"), 4, RECALLED, Link("Release agent 1.4.0", "/rollouts/ro_halted"), Badge("■", "halted", Tone.BAD), 0, 0, 0, 1, "alice, 3 h ago"),
    ReleaseRow(GOOD, Link("agent 1.3.0", f"/releases/{GOOD}"), 3, PUBLISHED, Link("Release agent 1.3.0", "/rollouts/ro_done"), Badge("✓", "completed", Tone.OK), 5, 5, 0, 0, "alice, 9 d ago"),
    ReleaseRow(OLD, Link("agent 1.2.0", f"/releases/{OLD}"), 2, Badge("–", "withdrawn", Tone.IDLE), Link("Release agent 1.2.0", "/rollouts/ro_done"), Badge("✓", "completed", Tone.OK), 0, 0, 0, 0, "bob, 40 d ago"),
)  # fmt: skip
RELEASES: Final = {
    "rows": ReleasesView(ROWS, LAUNCHERS, KEYS, ON_SERVER, "/releases", "/releases?after=x"),
    "none": ReleasesView((), "All 6 endpoints have a launcher.", KEYS, OFFLINE),
}

ACTS: Final = (
    ActLink("Promote…", f"/releases/{GOOD}/promote", "A plan first: how many, in which rings. Starting it is a second press."),
    ActLink("Withdraw…", f"/releases/{GOOD}/withdraw", "Offer it to nobody any more; who runs it goes on."),
    ActLink("Recall…", f"/releases/{GOOD}/recall", "Forbid it everywhere, now: endpoints go back to their last known good.", danger=True),
    ActLink("Pardon", "", "Take the recall back. Two people: one asks, another one confirms. Not now: it is not recalled."),
)  # fmt: skip
FACTS: Final = (
    Fact("Release", GOOD), Fact("Product", "agent"), Fact("Version", "1.3.0"), Fact("Sequence", "3; a higher one is newer"),
    Fact("Platform", "any"), Fact("SHA-256", "5b1f0c9a77e2" + "0a" * 26), Fact("Length", "1.3 MiB (1,371,203 bytes)"),
    Fact("Signed as", "agent/1.3.0/any/bundle.tar"), Fact("Notes", "Scans twice as fast."),
    Fact("Bill of materials", f"brakeline-agent-{GOOD}.cdx.json, written beside the bundle by release build; not kept here"),
)  # fmt: skip
LOG = "Traceback (most recent call last):\n  File \"agent.pyz/brakeline/agent/__main__.py\", line 41, in main\nModuleNotFoundError: No module named 'brakeline.agent.frames'"
FAILED: Final = TrialRow(
    "ep_07", Link("web-07.corp.example", "/endpoints/ep_07/agent"), Badge("✕", "reverted", Tone.BAD), "it ended by itself",
    "exited", "ended with code 1.", 3, "2 min ago", LOG,
)  # fmt: skip
NAMES: Final = tuple(Link(n, f"/endpoints/{n}/agent") for n in ("db-01", "edge-07", "mail-01", "web-01", "web-02"))


def _kpis(running: str, confirmed: str, probation: str, failed: str, tone: Tone | None = None) -> tuple[Kpi, ...]:
    return (
        Kpi("running", "Run it now", running, "at their last check-in", f"/endpoints?q=running:{GOOD}"),
        Kpi("confirmed", "Confirmed", confirmed, "passed probation", f"/endpoints?q=confirmed:{GOOD}"),
        Kpi("probation", "On probation", probation, "being tried", f"/endpoints?q=probation:{GOOD}"),
        Kpi("failed", "Failed trials", failed, f"{failed} quarantined it", "#trials", tone),
    )


def _rollout(row: tuple[str, str, Badge, str, str, Tone]) -> RolloutRow:
    i, title, badge, reached, harm, tone = row
    return RolloutRow(i, Link(title, f"/rollouts/{i}"), badge, "release", reached, harm, tone, "11-13 09:40")


GOOD_VIEW: Final = ReleaseView(
    GOOD, "agent 1.3.0", PUBLISHED, "sequence 3 · published 9 d ago by alice", (), _kpis("5", "5", "0", "0"),
    FACTS, (_rollout(("ro_done", "Release agent 1.3.0", Badge("✓", "completed", Tone.OK), "6 of 6", "0 failures", Tone.IDLE)),), "",
    (
        Place("running", Badge("▶", "runs it now", Tone.INFO), "executed at the last check-in", 5, f"/endpoints?q=running:{GOOD}", NAMES),
        Place("confirmed", Badge("✓", "confirmed", Tone.OK), "passed its probation there", 1204, f"/endpoints?q=confirmed:{GOOD}", NAMES),
    ), LAUNCHERS, (), "No launcher reports a failed trial of it.", ACTS,
)  # fmt: skip
RELEASE_STATES: Final = {
    "confirmed": GOOD_VIEW,
    "new": replace(
        GOOD_VIEW, kpis=_kpis("0", "0", "0", "0"), rollouts=(), places=(),
        rollouts_note=f"Nobody gets it yet: it is published, and no rollout is made of it. brakeline release plan {GOOD}",
    ),
    "recalled": replace(
        GOOD_VIEW, id=BAD, name="agent 1.4.0", state=RECALLED, sub="sequence 4 · published 3 h ago by alice",
        facts=tuple(replace(f, text=f.text.replace(GOOD, BAD).replace("1.3.0", "1.4.0")) for f in FACTS), kpis=_kpis("1", "0", "0", "1", Tone.BAD),
        alerts=(
            (Tone.BAD, "■ Recalled 3 h ago: ro_halted: 1 of 1 treated failed through the release itself. Nobody may run it; endpoints go back to their last known good. 1 endpoint had not obeyed at the last check-in."),
            (Tone.WARN, "‖ alice asked 2 h ago to take the recall back. It holds until a second person confirms it."),
        ),
        rollouts=(_rollout(("ro_halted", "Release agent 1.4.0", Badge("■", "halted", Tone.BAD), "1 of 6", "1 failure", Tone.BAD)),),
        places=(Place("quarantined", Badge("✕", "quarantined", Tone.BAD), "failed there, and is not tried again", 1, f"/endpoints?q=quarantined:{BAD}", NAMES[:1]),),
        trials=(FAILED, replace(FAILED, id="ep_08", runs=1, log_tail="", outcome=Badge("–", "refused", Tone.WARN), why="its files are not what its manifest says", code="manifest", detail="")),
        trials_note="1 × it ended by itself, 1 × its files are not what its manifest says.",
        acts=(
            ActLink("Promote", "", "A plan first. Not now: it is recalled; publish a newer release."), *ACTS[1:2],
            ActLink("Recall", "", "Forbid it everywhere, now. Not now: it is recalled already.", danger=True),
            ActLink("Pardon…", f"/releases/{BAD}/pardon", "Take the recall back. Two people: one asks, another one agrees."),
        ),
    ),
}  # fmt: skip
RELEASE_ACTS: Final = {
    "recall": ReleaseActView(
        GOOD, "agent 1.3.0", "recall", "Recall agent 1.3.0",
        ("5 endpoints run it now: it ends there at the next check-in or look, an hour later at most, and the last known good starts.", "Taking it back needs two people."),
        f"/releases/{GOOD}/recall", "Recall 1.3.0 everywhere", f"brakeline release recall {GOOD} --reason '…'",
    ),
    "pardon": ReleaseActView(
        BAD, "agent 1.4.0", "pardon", "Pardon agent 1.4.0",
        ("alice has asked for it: see Approvals. Asking for the same again changes nothing.",),
        f"/releases/{BAD}/pardon", "Ask for the pardon", f"brakeline release pardon {BAD} --reason '…'",
    ),
    "refused": ReleaseActView(BAD, "agent 1.4.0", "recall", "Recall agent 1.4.0", (), "", "Recall", "", "Not now: it is recalled already."),
}  # fmt: skip
PLAN: Final = PromotionView(
    GOOD, "agent 1.3.0", "careful", (Choice("careful", "Careful", "26 h of watching per ring", True), Choice("fast", "Fast", "6 h 15 min per ring")),
    6, (PlanRing("canary", "1 of 6", 1, "26 h"), PlanRing("early", "3 of 6", 2, "26 h"), PlanRing("all", "6 of 6", 3, "26 h")),
    ("With 6 endpoints no comparison of treated with control can halt by itself.",),
    ("Endpoints among these that have no launcher, and take nothing until they are enrolled again: 1.", "One failed trial halts it in a small ring, and what halts is recalled by itself."),
    "Watched for 3 d at least.", f"brakeline release promote {GOOD} --pace careful --expect 6 --start",
    channels=(Choice("stable", "stable", "every endpoint, those that follow early among them", True), Choice("early", "early", "those endpoints alone that follow early, by their policies")),
)  # fmt: skip
PROMOTIONS: Final = {
    "plan": PLAN, "viewer": replace(PLAN, may_start=False),
    "refused": replace(PLAN, endpoints=0, rings=(), statistics=(), notes=(), watched="", refused=f"{BAD} is recalled; publish a new release."),
}  # fmt: skip
RELEASE_KEYS: Final = {
    "on this server": ReleaseKeysView(
        ON_SERVER, "developer", (Fact("Root", "a developer root, made by this server at its first start; version 1"), Fact("To move the keys away", "brakeline release rotate --offline")),
        (
            KeyRow("root", "says which keys count, for all other roles", "1 of 1", ("file on this server: root-1.pem",), Badge("!", "here", Tone.WARN), "2027-11-26, in 365 d", Tone.IDLE),
            KeyRow("targets", "signs which releases exist", "1 of 1", ("file on this server: targets-1.pem",), Badge("!", "here", Tone.WARN), "2026-12-20, in 24 d", Tone.WARN),
            KeyRow("recall", "signs what must not run", "1 of 1", ("file on this server: recall-1.pem",), Badge("✓", "here", Tone.OK), "2026-11-27, in 23 h", Tone.IDLE),
        ),
        ("release keys on this server: whoever takes it over can sign releases. Make keys elsewhere and exchange them: brakeline release rotate --offline",),
    ),
    "offline": ReleaseKeysView(
        OFFLINE, "installation", (Fact("Root", "a root of this installation, made by its own people; version 3"),),
        (KeyRow("root", "says which keys count, for all other roles", "2 of 3", ("not on this server: 5b1f0c…", "not on this server: 77aa01…", "not on this server: 9a0c44…"), Badge("✓", "elsewhere", Tone.OK), "2027-11-01, in 340 d", Tone.IDLE),),
        (), ("root-1.pem",),
    ),
    "broken": ReleaseKeysView(Badge("✕", "the release repository is broken", Tone.BAD), "broken", (Fact("Root", "none can be read; version 0"),), (), ("trust/root.json is missing",)),
}  # fmt: skip

LAUNCHER_FACTS: Final = (
    Fact("Runs now", GOOD), Fact("Confirmed", GOOD), Fact("Last known good", OLD), Fact("On probation", "none"),
    Fact("Quarantined", BAD, Tone.BAD), Fact("Recalled, on its disk", "none"), Fact("Content it was given", "none: its own defaults"), Fact("Content, confirmed", "none yet"), Fact("Host guard", "quiet"),
    Fact("Documents seen", "root 1, timestamp 40, snapshot 12, targets 5, recall 3"), Fact("Order of policies", "generation 2"),
)  # fmt: skip
OWN: Final = (
    Fact("Version", "0.1.0"),
    Fact("Release", "2.0.0-c1d2e3f4a5b6"),
    Fact("Started from", "slot a"),
    Fact("On trial", "none"),
    Fact("Failed here", "none"),
    Fact("A newer one", "waits: the agent has been healthy for less than 3 days of uptime"),
)
LAUNCHER: Final = LauncherView(
    Badge("✓", "confirmed", Tone.OK), f"{GOOD} runs and has passed its probation.", (), LAUNCHER_FACTS,
    Badge("✓", "on", Tone.OK), "no policy says otherwise", Badge("✓", "up to date", Tone.OK),
    "agent 1.3.0 is the newest that is published.", heard="as of its last check-in, 12 s ago", own=OWN,
)  # fmt: skip
LAUNCHERS_OF_AN_ENDPOINT: Final = {
    "confirmed": LAUNCHER,
    "troubled": replace(
        LAUNCHER, own_trial=replace(FAILED, id="launcher", endpoint=Link("2.1.0-0a1b2c3d4e5f", "/releases/2.1.0-0a1b2c3d4e5f"), why="it did not get going in time", code="late", detail="it did not say READY in time", runs=1, heard="", log_tail=""), state=Badge("‖", "fell back", Tone.WARN), sentence=f"{OLD}, the last known good, runs in place of {GOOD}.",
        self_update=Badge("‖", f"pinned to {OLD}", Tone.WARN), self_update_why="by the policies: lab.",
        channel=Badge("▸", "early", Tone.INFO), channel_why="follows early, by the policy lab",
        newer=Badge("‖", "stays", Tone.WARN), newer_why="agent 1.4.0 has failed here and is not tried again. Publish a newer release.",
        problems=(
            ProblemRow("A signed document has expired: nothing new is installed", "targets expired on 2026-11-20", "Look at the keys (brakeline release status): their holders sign the next document, and it heals."),
            ProblemRow("The launcher cannot reach this server", "https://10.0.0.1:8443: TimeoutError", "See that this server can be reached from there, by its port and address; the agent goes on meanwhile."),
        ),
        trial=replace(FAILED, id="agent", endpoint=Link(BAD, f"/releases/{BAD}"), heard=""),
    ),
    "none": LauncherView(Badge("–", "no launcher", Tone.WARN), "", (
        "No launcher runs this agent. It assesses and patches as ever, but it takes no release of ours.",
        "To get one: make a new line under Add endpoint and paste it on this machine.",
    ), heard="as of its last check-in, 12 s ago"),
    "never heard": LauncherView(Badge("?", "not known", Tone.WARN), "", ("It has never checked in, so nothing is known of its agent and launcher.",)),
}  # fmt: skip
RELEASE_PAGES: Final[dict[str, dict[str, Any]]] = {
    "releases": RELEASES, "release": RELEASE_STATES, "release_act": RELEASE_ACTS, "promotion": PROMOTIONS,
    "release_keys": RELEASE_KEYS,
}  # fmt: skip
