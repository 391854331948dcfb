"""View-models of an endpoint's runs (commands and output of package transactions) and of what changed on it."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge, Link


@dataclass(frozen=True, slots=True)
class RunRow:
    """One transaction in the list. `current`: the one that is shown."""

    link: Link
    state: Badge
    of: Link  # its rollout
    began: str
    took: str
    current: bool


@dataclass(frozen=True, slots=True)
class CommandRow:
    number: int
    words: str  # as a shell would take them
    at: str
    took: str  # "" = it runs, or nobody knows
    end: Badge
    lines: str


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One entry. `kind`: command | output | exit | said | dropped, which also is its class."""

    number: int
    at: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class RunShown:
    """The run whose log is shown."""

    id: str
    of: Link
    state: Badge
    what: str  # "began 12 s ago, 3 commands, 214 lines"
    result: str  # of the endpoint, "" = none yet
    note: str  # what is missing, "" = nothing
    commands: tuple[CommandRow, ...]
    output: tuple[OutputRow, ...]
    before: str  # "1,204 earlier lines are not on this page"; "" = all are
    file_href: str


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A rollout that goes on and has this endpoint among its targets. An empty action = it may not be done now."""

    rollout: Link
    state: Badge
    note: str
    stop_action: str = ""
    retry_action: str = ""


@dataclass(frozen=True, slots=True)
class RunsView:
    rows: tuple[RunRow, ...]
    shown: RunShown | None
    places: tuple[PlaceRow, ...] = ()
    empty: str = ""  # why there is nothing


@dataclass(frozen=True, slots=True)
class ChangeRow:
    what: Badge
    name: str
    architecture: str
    before: str
    after: str
    at: str
    by: Link


@dataclass(frozen=True, slots=True)
class ChangesView:
    """What changed of an endpoint's software between two moments."""

    since: str  # as the form has them: 2026-11-26
    until: str
    net: bool
    rows: tuple[ChangeRow, ...]
    note: str
    told: tuple[str, ...]  # what cannot be known
    csv_href: str
    ndjson_href: str
    error: str = ""
