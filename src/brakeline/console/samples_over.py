"""Samples of the forms of a deployment and of a promotion at a conductor: in this cell, or over cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.cells.model import Member, MemberState
from brakeline.console import samples_change, samples_release
from brakeline.console.present_over import lead_updates, of_this_cell, offer
from brakeline.console.present_release_acts import channels
from brakeline.console.samples_release import GOOD
from brakeline.console.views_change import DeploymentForm, NewDeploymentView
from brakeline.console.views_over import LeadPreview, OverForm, OverOffer
from brakeline.console.views_release import PromotionView
from brakeline.protocol.channels import STABLE
from brakeline.rollout.model import Change, Pin

JOINED: Final = tuple(
    Member(f"li_{name}", name, region, MemberState.JOINED)
    for name, region in (("berlin-1", "eu"), ("dallas-1", "us"), ("oslo-1", "eu"))
)
TWO: Final = OverForm(over=True, cells=("berlin-1", "dallas-1"))
CHANGE: Final = Change(
    (Pin("curl", "7.88.1-10+deb12u15"), Pin("libcurl4", "7.88.1-10+deb12u15"), Pin("libssl3", "3.0.17-1~deb12u2")),
    title="curl 7.88.1-10+deb12u15, libcurl4 7.88.1-10+deb12u15, libssl3 3.0.17-1~deb12u2",
)
FORM: Final = DeploymentForm(filter="os:debian", policy="careful", over=TWO)


def promotion(state: str, over: OverForm, channel: str) -> PromotionView:
    """The plan of a release in one of these states, to this channel."""
    shown, to = PROMOTIONS[state], "" if channel == STABLE else f" --channel {channel}"
    command = shown.command.replace(" --expect", f"{to} --expect")
    return replace(shown, offer=offered(over), channel=channel, channels=channels(channel), command=command)


def offered(form: OverForm) -> OverOffer:
    """At a conductor of three cells."""
    return offer(JOINED, form)


def led(form: DeploymentForm, change: Change = CHANGE, may_draft: bool = True) -> LeadPreview:
    """What the form would lead."""
    notes = (of_this_cell("debian:12", 6),)
    return lead_updates(form, change, form.filter, form.over.cells, notes, may_draft)


def _page(form: DeploymentForm, led: LeadPreview | None = None, error: str = "") -> NewDeploymentView:
    blank = samples_change.DEPLOYMENTS["blank"]
    return replace(blank, form=form, offer=offered(form.over), led=led, error=error)


NONE_TICKED: Final = "tick at least one cell that shall take part"
EXPLOITED: Final = replace(CHANGE, exploited=True)
DEPLOYMENTS: Final = {
    **samples_change.DEPLOYMENTS,
    "at a conductor": _page(DeploymentForm()),
    "over cells": _page(FORM, led(FORM)),
    "over cells, by risk": _page(replace(FORM, policy=""), led(replace(FORM, policy=""), EXPLOITED)),
    "over cells, viewer": _page(FORM, led(FORM, may_draft=False)),
    "no cell ticked": _page(replace(FORM, over=OverForm(over=True)), error=NONE_TICKED),
}
LED_RELEASE: Final = LeadPreview(
    f"/releases/{GOOD}/lead", (("pace", "careful"), ("cells", "berlin-1 oslo-1")), (("agent", "1.3.0"),),
    "every endpoint", ("berlin-1", "oslo-1"),
    ("Pace careful: watches each ring for 26 h.",
     "Each cell leases the bundle that it has published itself: publish the same one in all of them first."),
    f"brakeline lead create 'agent 1.3.0' --release {GOOD} --cell berlin-1 --cell oslo-1 --pace careful",
)  # fmt: skip
PLAN: Final = replace(samples_release.PLAN, offer=offered(OverForm()))
PROMOTIONS: Final[dict[str, PromotionView]] = {
    **samples_release.PROMOTIONS,
    "at a conductor": PLAN,
    "over cells": replace(PLAN, offer=offered(OverForm(True, LED_RELEASE.over)), led=LED_RELEASE),
    "no cell ticked": replace(PLAN, offer=offered(OverForm(over=True)), refused=f"{NONE_TICKED}."),
}
