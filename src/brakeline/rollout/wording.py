"""A rollout's reasons in the words of a person: for console and command line. Pure, standard library only.

The planner's own lines stay as they are: they are stored, compared and quoted in transcripts. Here the state, which
every reader sees beside the reason already, is taken off its front, and ids of endpoints become their host names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

ENDPOINT_ID: Final = re.compile(r"ep_[0-9A-Z]{26}")
STATES: Final = ("rolling", "holding", "halted", "completed", "draft")
_RING_TWICE: Final = re.compile(r"^ring (?P<ring>[^;]+); (?:ring (?P=ring): )?")


def named(text: str, names: Mapping[str, str]) -> str:
    """`text` with the ids of endpoints in `names` (id -> host name) replaced."""
    return ENDPOINT_ID.sub(lambda found: names.get(found[0]) or found[0], text)


def reason(why: str, names: Mapping[str, str]) -> str:
    """Why a rollout is in its state, without the state: `ring canary: waiting for the result of 1: eu2`."""
    for state in STATES:
        why = why.removeprefix(f"{state}: ")
    return named(_RING_TWICE.sub(r"ring \g<ring>: ", why), names)
