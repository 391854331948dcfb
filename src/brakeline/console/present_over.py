"""From what people choose of a lead of updates or of a release to what it says before it is drafted. Pure."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

from brakeline.cells.model import Member
from brakeline.console.present import plural
from brakeline.console.present_lead import CAREFUL, PACES, known
from brakeline.console.present_release import release_name
from brakeline.console.views_change import DeploymentForm
from brakeline.console.views_over import CellChoice, LeadPreview, OverForm, OverOffer
from brakeline.core.errors import Invalid
from brakeline.protocol.channels import STABLE
from brakeline.releases.model import Release
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.pace import BY_RISK

SHOWN: Final = 40  # updates by name
TYPED_MAX: Final = 5  # updates that fit on a line of command
TITLE_NAMES: Final = 3
TITLE_CHARS_MAX: Final = 120
DRAFTED: Final = (
    "A draft changes nothing. Each cell tells with its next exchange how many endpoints it has; then it is started on "
    "its card."
)
OF_RELEASE: Final = (
    "It goes to every endpoint of these cells; a policy there pins or switches off self-update where it shall not "
    "arrive.",
    "Each cell leases the bundle that it has published itself: publish the same one in all of them first. One that "
    "has none says so on its own page, and no ring opens before it has.",
)


def offer(joined: Sequence[Member], form: OverForm) -> OverOffer:
    """All are ticked until somebody has chosen."""
    every = not form.over and not form.cells
    cells = tuple(CellChoice(m.cell, m.region, every or m.cell in form.cells) for m in joined)
    return OverOffer(cells, form.over and bool(cells), form.exploited)


def meant(form: OverForm, joined: Sequence[Member]) -> tuple[str, ...]:
    """The cells that are ticked, in the order in which they open. Raises `Invalid`."""
    if not known(form.cells, tuple(m.cell for m in joined)):
        raise Invalid("tick at least one cell that shall take part")
    return form.cells


def pace_of(chosen: str) -> str:
    """By risk is weighed for the endpoints of one cell; of all cells together nobody knows more than counts."""
    pace = CAREFUL if chosen in ("", BY_RISK) else chosen
    if pace not in {k for k, _, _ in PACES}:
        raise Invalid(f"no pace {pace[:20]!r}; there are {', '.join(k for k, _, _ in PACES)}")
    return pace


def typed(form: DeploymentForm) -> dict[str, str | Sequence[str]]:
    """The form as its address has it."""
    over = form.over
    where = {"where": "cells", "cell": over.cells, "exploited": "yes" if over.exploited else ""} if over.over else {}
    fields: dict[str, str | Sequence[str]] = {
        "name": form.name, "filter": form.filter, "selection": form.selection, "names": form.names,
        "policy": form.policy, "pace_reason": form.pace_reason, "across": "yes" if form.across else "", **where,
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value}


# --- which updates -------------------------------------------------------------------------------------------------


def named(form: DeploymentForm) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """What was typed: updates with a version, and names alone (or CVEs). Versions may have commas, so that what has
    one is told apart by blanks."""
    pins, names = list[Pin](), list[str]()
    for word in form.names.split() if form.selection in ("names", "cve") else ():
        name, equals, version = word.rstrip(",").partition("=")
        if not equals:
            names += [n for n in word.split(",") if n]
        elif not name or not version or form.selection == "cve":
            raise Invalid(f"an update is NAME=VERSION, not {word[:60]!r}")
        else:
            pins.append(Pin(name, version))
    return tuple(pins), tuple(names)


def pinned(typed: Iterable[Pin], found: Iterable[Pin], names: Iterable[str]) -> tuple[Pin, ...]:
    """All updates of a lead: one version each. `found`: what this cell's own endpoints are offered."""
    pins = tuple(sorted({*typed, *found}))
    there = [p.name for p in pins]
    if lacking := [n for n in names if n not in there]:
        raise Invalid(
            f"no endpoint of this cell that matches is offered {lacking[0][:60]}, so its version is not known here: "
            f"type {lacking[0][:60]}=VERSION"
        )
    if twice := [n for n in there if there.count(n) > 1]:
        raise Invalid(f"{twice[0][:60]} is named with two versions; over cells each goes at one")
    if not pins:
        raise Invalid(
            "no endpoint of this cell that matches is offered such an update, so there is no version to lead; choose "
            "“Only these packages” and type NAME=VERSION"
        )
    return pins


def title_of(pins: Sequence[Pin]) -> str:
    """What a lead is called when nobody named it."""
    more = len(pins) - TITLE_NAMES
    few = ", ".join(f"{p.name} {p.version}" for p in pins[:TITLE_NAMES])
    cut = few if len(few) <= TITLE_CHARS_MAX else few[: TITLE_CHARS_MAX - 1] + "…"
    return cut + (f" and {more} more" if more > 0 else "")


def digest(change: Change) -> str:
    """Stands for exactly these updates: what is drafted is what was seen."""
    lines = "\n".join(f"{p.name}\t{p.version}" for p in change.updates)
    return hashlib.sha256(f"{change.exploited}\n{lines}".encode()).hexdigest()


# --- before it is drafted ------------------------------------------------------------------------------------------


def lead_updates(form: DeploymentForm, change: Change, whom: str, over: tuple[str, ...], notes: Iterable[str],
                 may_draft: bool) -> LeadPreview:  # fmt: skip
    """What would be led of updates. `notes`: what is to be known of these very updates."""
    pace = pace_of(form.policy)
    said = [_pace(pace, form.policy), *notes]
    if change.exploited:
        said.append("It closes what is exploited in the wild: nobody is held out.")
    fields = {
        "name": form.name, "filter": form.filter, "selection": form.selection, "names": form.names,
        "policy": form.policy, "cells": " ".join(over), "exploited": "yes" if form.over.exploited else "",
        "digest": digest(change),
    }  # fmt: skip
    few = change.updates if len(change.updates) <= TYPED_MAX else ()
    words = [x for p in few for x in ("--update", f"{p.name}={p.version}")]
    words += ["--filter", whom] if whom else []
    words += ["--exploited"] if change.exploited else []
    return LeadPreview(
        "/rollouts/new/lead", tuple(fields.items()), tuple((p.name, p.version) for p in change.updates[:SHOWN]),
        whom or "every endpoint", over, (*said, DRAFTED), _command(change.title, words, over, pace) if few else "",
        max(0, len(change.updates) - SHOWN), may_draft,
    )  # fmt: skip


def lead_release(r: Release, pace: str, over: tuple[str, ...], may_draft: bool, channel: str = STABLE) -> LeadPreview:
    """What would be led of a release."""
    fields = (("pace", pace), ("cells", " ".join(over)), ("channel", channel))
    words = ["--release", r.release_id, *(() if channel == STABLE else ("--channel", channel))]
    whom = "every endpoint" if channel == STABLE else f"every endpoint that follows {channel}, by its cell's policies"
    return LeadPreview(
        f"/releases/{r.release_id}/lead", fields, ((r.product, r.version),), whom, over,
        (_pace(pace, pace), *OF_RELEASE, DRAFTED), _command(release_name(r), words, over, pace), may_draft=may_draft,
    )  # fmt: skip


def _pace(pace: str, chosen: str) -> str:
    label, note = next((label, note) for key, label, note in PACES if key == pace)
    why = "" if chosen == pace else " By risk is weighed for the endpoints of one cell, so over cells it is careful."
    return f"Pace {label}: {note}.{why}"


def _command(title: str, words: Iterable[str], over: Iterable[str], pace: str) -> str:
    cells = [x for name in over for x in ("--cell", name)]
    return shlex.join(["brakeline", "lead", "create", title, *words, *cells, "--pace", pace])


def of_this_cell(distribution: str, endpoints: int) -> str:
    """Where the versions come from."""
    of = f" ({distribution})" if distribution else ""
    return (
        f"The versions are those that {plural(endpoints, 'endpoint')} of this cell would get now{of}. In every cell "
        "each active endpoint takes part that matches the filter: let it name what these versions are for."
    )
