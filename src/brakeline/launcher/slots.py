"""The launcher's own update from slot to slot: when a newer launcher is tried, confirmed, given up. Pure.

What always holds: one launcher is confirmed and stays where it is while another is on trial; a trial begins only under
an agent that has long been healthy, and while one is going on no agent is tried; a trial that comes to nothing is not
tried again, unless it was cut off by no fault of its own, twice at most. The stub below (`stub`) takes the try away and
falls back by itself; what it did is read here at the next start. Next: `selector` (the shell), ADR 0016.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field, replace
from typing import Final

from brakeline.core.frozen import dataclass
from brakeline.launcher.model import Knobs, Staged, TrialEnd
from brakeline.launcher.stub import SLOTS

FACTORY: Final = ""  # the "slot" of the launcher that came with the package
EXCUSED: Final = ("cut_off", "disk", "damaged", "unreachable", "stub")  # what says little about the release itself
EXCUSES_MAX: Final = 2
FAILED_MAX: Final = 12
SAVE_EVERY_S: Final = 3600.0  # how often the agent's healthy time is written down
STAGED_S: Final = 600.0  # leases live ten minutes: a release that was staged longer ago needs another look


@dataclass(frozen=True, slots=True)
class Slot:
    """What a slot holds."""

    release_id: str
    sha256: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Selector:
    """What the disk says. The stub reads `generation` to `slots` and `seconds`; they never change their meaning."""

    generation: int = 0
    confirmed: str = FACTORY
    trial: str = ""
    tries: int = 0
    slots: Mapping[str, Slot] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)  # in which a trial must say each of its words
    failed: tuple[str, ...] = ()  # releases that are not tried again
    excused: str = ""  # release whose trial was cut off …
    excuses: int = 0  # … so often
    calm: str = ""  # agent release that has been healthy …
    calm_s: float = 0.0  # … for so much uptime, over all boots
    last_trial: TrialEnd | None = None

    def release(self, slot: str) -> str:
        return self.slots[slot].release_id if slot in self.slots else ""


@dataclass(frozen=True, slots=True)
class Me:
    """Who this launcher is, as the stub says."""

    slot: str = FACTORY
    release_id: str = ""
    trial: bool = False
    ended: str = ""  # how a trial before us ended, "code: words"
    lib: str = ""  # where the factory's launcher lies


@dataclass(frozen=True, slots=True)
class Seen:
    """What is so at one moment. `calm`: the confirmed agent is healthy, and nothing else is going on."""

    at: float
    agent: str = ""
    calm: bool = False
    fresh: bool = False  # the cell has given this process a verified answer
    recalled: tuple[str, ...] = ()
    staged: Staged | None = None
    factory: bool = True  # there is one to fall back to


@dataclass(frozen=True, slots=True)
class State:
    selector: Selector
    me: Me
    began_s: float
    counted_s: float = 0.0  # up to when `calm_s` counts
    saved_s: float = 0.0  # what of `calm_s` is on the disk


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing is to be done."""


@dataclass(frozen=True, slots=True)
class Save:
    """Write the selector; nothing depends on it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Write the staged release into `slot`, verify it, then write the selector and end: the stub tries it."""

    slot: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """Write the selector: this launcher is the confirmed one from now on."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Write the selector and end; the stub starts another launcher."""

    why: str


Act = Stay | Save | Stage | Confirm | Leave


def begun(selector: Selector, me: Me, held: Mapping[str, Slot]) -> Selector:
    """At the start, not on trial: what has become of a trial, and what is confirmed now. `held`: what slots say."""
    if not selector.generation:  # lost, or never there
        selector = replace(selector, slots=held)
    if selector.trial:
        code, _, detail = (me.ended or "cut_off: the host or the service ended during the trial").partition(": ")
        selector = lost(selector, code, detail)
    if me.slot != selector.confirmed:  # the stub had to choose another one: what is damaged must be fetched again
        slots = {s: about for s, about in selector.slots.items() if s != selector.confirmed}
        selector = replace(selector, confirmed=me.slot, slots=slots)
    return selector


def lost(selector: Selector, code: str, detail: str) -> Selector:
    """The trial came to nothing."""
    release_id, slot = selector.release(selector.trial), selector.trial
    excuses = selector.excuses + 1 if selector.excused == release_id else 1
    slots = {s: about for s, about in selector.slots.items() if s != slot}
    selector = replace(selector, trial="", tries=0, slots=slots)
    if code in EXCUSED and excuses <= EXCUSES_MAX:
        return replace(selector, excused=release_id, excuses=excuses)
    end = TrialEnd(release_id, "reverted", code, detail[:200], excuses if selector.excused == release_id else 1)
    return replace(selector, failed=(*selector.failed, release_id)[-FAILED_MAX:], last_trial=end)


def waits(state: State, seen: Seen, knobs: Knobs) -> str:
    """Why no newer launcher is tried now; "" = one would be."""
    if state.selector.trial:
        return f"launcher {state.selector.release(state.selector.trial)} is on trial"
    if not seen.calm:
        return "the confirmed agent is not healthy yet, or something else is on probation"
    if state.selector.calm != seen.agent or state.selector.calm_s < knobs.launcher_calm_s:
        return f"the agent has been healthy for less than {knobs.launcher_calm_s / 86_400:.3g} days of uptime"
    return ""


def settled(selector: Selector, me: Me) -> Collection[str]:
    """Releases that need no staging."""
    return {selector.release(me.slot), *selector.failed} - {""}


def decide(state: State, seen: Seen, knobs: Knobs) -> tuple[State, Act]:
    """The next state and what to do. If that fails, the state before counts."""
    state = _count(state, seen)
    selector, me = state.selector, state.me
    if me.trial:
        return _on_trial(state, seen, knobs)
    if me.release_id in seen.recalled:
        return _recalled(state, seen)
    staged = seen.staged
    if staged and staged.release_id not in settled(selector, me) and not waits(state, seen, knobs):
        slot = next(s for s in SLOTS if s not in (me.slot, selector.confirmed))
        return state, Stage(slot)
    if selector.calm_s - state.saved_s >= SAVE_EVERY_S:
        return replace(state, saved_s=selector.calm_s), Save()
    return state, Stay()


def _count(state: State, seen: Seen) -> State:
    """How long the agent has been healthy; another agent begins anew."""
    selector = state.selector
    if seen.calm:
        before_s = selector.calm_s if selector.calm == seen.agent else 0.0
        calm_s = before_s + max(0.0, seen.at - (state.counted_s or seen.at))
        saved_s = state.saved_s if before_s else 0.0
        state = replace(state, selector=replace(selector, calm=seen.agent, calm_s=calm_s), saved_s=saved_s)
    return replace(state, counted_s=seen.at)


def tried(selector: Selector, slot: str, about: Slot, knobs: Knobs) -> Selector:
    """The selector with what was written into `slot` on trial."""
    seconds = {"READY": knobs.launcher_ready_s, "RUNNING": 10 * knobs.launcher_ready_s,
               "CONFIRMED": 2 * knobs.launcher_trial_s}  # fmt: skip
    return replace(selector, trial=slot, tries=1, slots={**selector.slots, slot: about}, seconds=seconds)


def _on_trial(state: State, seen: Seen, knobs: Knobs) -> tuple[State, Act]:
    selector, me, uptime_s = state.selector, state.me, seen.at - state.began_s
    if selector.trial != me.slot:
        return state, Leave("the selector knows of no trial here")
    if me.release_id in seen.recalled:
        return replace(state, selector=lost(selector, "recalled", "it was recalled")), Leave("recalled")
    if seen.calm and seen.fresh and uptime_s >= knobs.launcher_probation_s:
        end = TrialEnd(me.release_id, "confirmed", "ok", "its agent is healthy and the cell has answered it", 1)
        selector = replace(selector, confirmed=me.slot, trial="", tries=0, excused="", excuses=0, last_trial=end)
        return replace(state, selector=selector, me=replace(me, trial=False)), Confirm()
    if uptime_s < knobs.launcher_trial_s:
        return state, Stay()
    code = "not_healthy" if seen.fresh else "unreachable"
    text = "its agent did not become healthy in time" if seen.fresh else "the cell did not answer it in time"
    return replace(state, selector=lost(selector, code, text)), Leave(f"{code}: {text}")


def _recalled(state: State, seen: Seen) -> tuple[State, Act]:
    """To the other slot if that may run, else to the factory's; without either this one goes on."""
    selector, me = state.selector, state.me
    rest = {s: about for s, about in selector.slots.items() if s != me.slot}
    good = [s for s, about in rest.items() if about.release_id not in (*seen.recalled, *selector.failed)]
    if not good and not seen.factory:
        return state, Stay()
    failed = (*selector.failed, me.release_id)[-FAILED_MAX:]
    selector = replace(selector, confirmed=good[0] if good else FACTORY, slots=rest, failed=failed)
    return replace(state, selector=selector), Leave("recalled")
