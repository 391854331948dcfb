"""View-models of the page on which a drill on real endpoints is agreed to, looked at and begun."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Link
from brakeline.console.views_drills import PlanRing


@dataclass(frozen=True, slots=True)
class RealDrillForm:
    """`fails`: "" = everybody who takes it."""

    filter: str = ""
    fails: str = ""


@dataclass(frozen=True, slots=True)
class RealPlanView:
    """What it would do. `endpoints` travels on as `expect_count`."""

    endpoints: int
    sentences: tuple[str, ...]
    rings: tuple[PlanRing, ...]
    note: str


@dataclass(frozen=True, slots=True)
class RealDrillView:
    """`consent`: who has agreed and when, in words; "" = nobody."""

    consent: str
    form: RealDrillForm
    plan: RealPlanView | None = None
    error: str = ""
    running: Link | None = None
    may_agree: bool = False
    may_take_back: bool = False
    may_run: bool = False
