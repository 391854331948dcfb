"""What can be done with a release, and the step before it is: what it does, to how many, who has to agree. Pure."""

from __future__ import annotations

from brakeline.console.present import plural, span
from brakeline.console.present_release import release_href, release_name
from brakeline.console.views_change import Choice, PlanRing
from brakeline.console.views_over import NO_OFFER, LeadPreview, OverOffer
from brakeline.console.views_release import ActLink, PromotionView, ReleaseActView
from brakeline.core.errors import Fault
from brakeline.fleet.model import ReleaseStanding
from brakeline.protocol.channels import EARLY, STABLE
from brakeline.releases.model import Release
from brakeline.rollout.releasing import PACKAGES, PromotionPlan


def acts(r: Release, publish: bool, recall: bool) -> tuple[ActLink, ...]:
    """What can be done with it now, and why what cannot."""
    lacking = "your role does not allow it"
    return (
        _act(r, "promote", "Promote…", "A plan first: how many, in which rings. Starting it is a second press.",
             _no_promotion(r) or ("" if publish else lacking)),
        _act(r, "withdraw", "Withdraw…", "Offer it to nobody any more; who runs it goes on.",
             "it is withdrawn already" if r.withdrawn_ms else "" if recall else lacking),
        _act(r, "recall", "Recall…", "Forbid it everywhere, now: endpoints go back to their last known good.",
             "it is recalled already" if r.recalled_ms else "" if recall else lacking, danger=True),
        _act(r, "pardon", "Pardon…", "Take the recall back. Two people: one asks, another one agrees.",
             "" if r.recalled_ms and recall else lacking if r.recalled_ms else "it is not recalled"),
    )  # fmt: skip


def _act(r: Release, verb: str, word: str, what: str, refused: str, *, danger: bool = False) -> ActLink:
    if refused:
        return ActLink(word.rstrip("…"), "", f"{what} Not now: {refused}.", danger)
    return ActLink(word, release_href(r.release_id, verb), what, danger)


def _no_promotion(r: Release) -> str:
    if r.state != "published":
        return f"it is {r.state}; publish a newer release"
    return "" if r.product in PACKAGES else f"a release of the product {r.product} is no rollout of its own"


# --- before an act -------------------------------------------------------------------------------------------------


def act_view(r: Release, s: ReleaseStanding, verb: str, possible: ActLink) -> ReleaseActView:
    """The step before it is done."""
    explain, button = {"withdraw": _withdraw, "recall": _recall, "pardon": _pardon}[verb](r, s)
    name = release_name(r)
    return ReleaseActView(
        r.release_id, name, verb, f"{verb.capitalize()} {name}", explain, possible.href, button,
        f"brakeline release {verb} {r.release_id} --reason '…'", "" if possible.href else possible.why,
    )  # fmt: skip


def _runs(count: int) -> str:
    return f"{plural(count, 'endpoint')} {'runs' if count == 1 else 'run'} it now"


def _withdraw(r: Release, s: ReleaseStanding) -> tuple[tuple[str, ...], str]:
    return (
        "Nobody is offered it from now on: leases end, and its rollout reaches nobody else.",
        f"{_runs(s.running)}, and that goes on. To end it there, recall it.",
        "It cannot be taken back: publish a newer release instead.",
    ), f"Withdraw {r.version}"  # fmt: skip


def _recall(r: Release, s: ReleaseStanding) -> tuple[tuple[str, ...], str]:
    return (
        f"{_runs(s.running)}: it ends there at the next check-in or look, an hour later at most, and the last known "
        "good starts.",
        "An endpoint without another good release runs no agent; its launcher stays, looks every five minutes and "
        "takes the next release.",
        "It holds for every organisation of this installation, and for endpoints that are away now.",
        "Taking it back needs two people.",
    ), f"Recall {r.version} everywhere"  # fmt: skip


def _pardon(r: Release, s: ReleaseStanding) -> tuple[tuple[str, ...], str]:
    asked = f"{r.pardon_asked_by} has asked for it: see Approvals. Asking for the same again changes nothing."
    return (
        asked if r.pardon_asked_ms else "You ask. The recall holds until a second person agrees under Approvals.",
        "Then the targets key signs the pardon: at once if it is on this server, else its holders do.",
        "It offers the release to nobody by itself, and where it failed it stays quarantined "
        f"({plural(s.quarantined, 'endpoint')}).",
    ), "Ask for the pardon"  # fmt: skip


# --- promotion -----------------------------------------------------------------------------------------------------


def channels(chosen: str) -> tuple[Choice, ...]:
    """To whom it can go."""
    notes = ((STABLE, "every endpoint, those that follow early among them"),
             (EARLY, "those endpoints alone that follow early, by their policies"))  # fmt: skip
    return tuple(Choice(name, name, note, name == chosen) for name, note in notes)


def promotion_view(r: Release, plan: PromotionPlan, paces: tuple[Choice, ...], may_start: bool) -> PromotionView:
    """What promoting it would do."""
    if not plan.endpoints:
        return refused_promotion(r, paces, _nobody(plan.channel))
    before = [0, *(ring.upto for ring in plan.rings)]
    rings = tuple(
        PlanRing(ring.name, f"{ring.upto:,} of {plan.endpoints:,}", ring.upto - before[i], span(ring.bake_s))
        for i, ring in enumerate(plan.rings)
    )
    to = "" if plan.channel == STABLE else f" --channel {plan.channel}"
    watched = f"Watched for {span(sum(ring.bake_s for ring in plan.rings))} at least."
    return PromotionView(
        r.release_id, release_name(r), plan.pace, paces, plan.endpoints, rings, plan.statistics, _promotion_notes(plan),
        watched, f"brakeline release promote {r.release_id} --pace {plan.pace}{to} --expect {plan.endpoints} --start",
        may_start=may_start,
    )  # fmt: skip


def refused_promotion(
    r: Release, paces: tuple[Choice, ...], why: str, offer: OverOffer = NO_OFFER, led: LeadPreview | None = None
) -> PromotionView:
    """Nothing can be promoted in this cell now: it cannot be, or it would be led."""
    pace = next(p.value for p in paces if p.chosen)
    return PromotionView(
        r.release_id, release_name(r), pace, paces, 0, (), (), (), "", "", why, may_start=False, offer=offer, led=led
    )  # fmt: skip


def _nobody(channel: str) -> str:
    if channel == EARLY:
        return "No active endpoint follows early: make a policy that says so first."
    return "No active endpoint could take it: enrol one first."


def _promotion_notes(plan: PromotionPlan) -> tuple[str, ...]:
    notes = [
        _whom(plan.channel),
        "One failed trial halts it in a small ring, and what halts is recalled by itself.",
    ]
    if plan.without_launcher:
        lacking = "Endpoints among these that have no launcher, and take nothing until they are enrolled again"
        notes.insert(0, f"{lacking}: {plan.without_launcher:,}.")
    return tuple(notes)


def _whom(channel: str) -> str:
    if channel == EARLY:
        return ("It goes to endpoints that follow early and to nobody else. Once it is proven there, promote it to "
                "stable: who runs it already has nothing to do.")  # fmt: skip
    return "A release goes to the whole fleet; a policy pins or switches off self-update where it shall not arrive."


def refusal(fault: Fault) -> str:
    """Why something cannot be done, with what to do instead."""
    return f"{(fault.detail or fault.title).rstrip('.')}."
