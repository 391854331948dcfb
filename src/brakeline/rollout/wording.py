"""A rollout's reasons in the words of a person: for console and command line. Pure.

The planner's own lines stay as they are: they are stored, compared and quoted in transcripts. Here the state, which
every reader sees beside the reason already, is taken off its front, and ids of endpoints become their host names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from brakeline.fleet.wording import with_trials

ENDPOINT_ID: Final = re.compile(r"ep_[0-9A-Z]{26}")
STATES: Final = ("rolling", "holding", "halted", "completed", "draft")
_OF_RELEASES: Final = (
    ("no update failed in a way that the update must", "no trial failed in a way that the release must"),
    ("through the update itself", "through the release itself"),
    ("explicit failure that the update must", "failed trial that the release must"),
    ("proven (installed, heard", "proven (confirmed, heard"),
)
_RING_TWICE: Final = re.compile(r"^ring (?P<ring>[^;]+); (?:ring (?P=ring): )?")


def named(text: str, names: Mapping[str, str]) -> str:
    """`text` with the ids of endpoints in `names` (id -> host name) replaced."""
    return ENDPOINT_ID.sub(lambda found: names.get(found[0]) or found[0], text)


def of_release(text: str) -> str:
    """A sentence about updates as one about a release of ours, which launchers try and confirm."""
    for update, release in _OF_RELEASES:
        text = text.replace(update, release)
    return with_trials(text)


def reason(why: str, names: Mapping[str, str], *, release: bool = False) -> str:
    """Why a rollout is in its state, without the state: `ring canary: waiting for the result of 1: eu2`.

    `release`: it rolls out a release of ours, not updates.
    """
    for state in STATES:
        why = why.removeprefix(f"{state}: ")
    why = named(_RING_TWICE.sub(r"ring \g<ring>: ", why), names)
    return of_release(why) if release else why
