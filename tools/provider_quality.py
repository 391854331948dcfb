"""Writes docs/reference/providers.md: how good each provider is, by which test shows it.

    python -m tools.provider_quality [--write]

A level is reached when every criterion of it, and of the levels below, is shown by a test that exists (or cannot arise
for that manager, with the reason). `tests/unit/agent/test_provider_quality.py` compares the page and finds the tests.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from tools import quality_beside

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/reference/providers.md"
LEVELS = ("bronze", "silver", "gold")
CONTRACT, APT, PIP = "contract/test_provider.py", "integration/apt", "integration/pip/test_pip.py"
DNF, ZYPPER, PACMAN = "correctness/dnf.py", "correctness/zypper.py", "correctness/pacman.py"  # rows, run by integration


def contract(test: str) -> dict[str, str]:
    """Shown by one test of the suite that every manager of a system has to pass."""
    return dict.fromkeys(("apt", "dnf", "zypper", "pacman"), f"{CONTRACT}::{test}")


@dataclass(frozen=True, slots=True)
class Criterion:
    """`shown`: by provider, `FILE::TEST`, or `not here: REASON` where it cannot arise; without either it is missing."""

    level: str
    text: str
    shown: dict[str, str]


CRITERIA = (
    Criterion("bronze", "inventory, exact plan, apply, verified by state", {
        **contract("test_inventory_then_update_then_inventory"),
        "pip": f"{PIP}::test_inventory_update_and_way_back"}),
    Criterion("bronze", "does what was planned, or nothing", {
        **contract("test_changed_situation"),
        "pip": f"{PIP}::test_index_that_moved_on_is_a_changed_situation"}),
    Criterion("bronze", "no network is never *up to date*", {
        **contract("test_no_network"), "pip": f"{PIP}::test_no_network_is_never_nothing_newer"}),
    Criterion("bronze", "what the owner holds stays", {
        **contract("test_held"), "pip": f"{PIP}::test_pinned_by_the_owner"}),
    Criterion("silver", "what is kept back says by what", {
        **contract("test_kept_back"),
        "pip": f"{PIP}::test_kept_back_by_another_package_is_refused_not_broken"}),
    Criterion("silver", "what does not fit its digest changes nothing", {
        "apt": f"{APT}/test_faults.py::test_archive_that_does_not_fit_its_checksum_changes_nothing",
        "dnf": f"{DNF}::hash_mismatch", "zypper": f"{ZYPPER}::hash_mismatch", "pacman": f"{PACMAN}::hash_mismatch",
        "pip": f"{PIP}::test_wheel_that_does_not_fit_its_digest_changes_nothing"}),
    Criterion("silver", "quarantined versions are in no plan", {
        **contract("test_quarantined_versions_are_in_no_plan"),
        "pip": f"{PIP}::test_quarantined_versions_are_in_no_plan"}),
    Criterion("silver", "too little space is known beforehand", {
        "apt": f"{APT}/test_faults.py::test_too_little_space_is_known_before_anything_is_changed",
        "dnf": f"{DNF}::disk_full", "zypper": f"{ZYPPER}::too_small", "pacman": f"{PACMAN}::disk_full",
        "pip": f"{PIP}::test_too_little_space_is_known_before_anything_is_changed"}),
    Criterion("silver", "a way back is stored beforehand and taken exactly", {
        **contract("test_the_way_back_is_stored_beforehand_and_taken_exactly"),
        "pip": f"{PIP}::test_inventory_update_and_way_back"}),
    Criterion("gold", "killed in the middle: repaired, and told", {
        "apt": f"{APT}/test_transaction.py::test_everything_killed_in_mid_unpack_then_started_again",
        "dnf": f"{DNF}::interrupted", "zypper": f"{ZYPPER}::power_cut", "pacman": f"{PACMAN}::killed",
        "pip": f"{PIP}::test_power_cut_in_the_middle_is_repaired_from_what_lies_ready"}),
    Criterion("gold", "disk full in the middle: told, and done when space is back", {
        "apt": f"{APT}/test_faults.py::test_disk_that_fills_up_in_mid_run_is_told_and_healed_when_space_is_back",
        "dnf": f"{DNF}::disk_fills_up", "zypper": f"{ZYPPER}::disk_fills_up", "pacman": f"{PACMAN}::disk_fills_up",
        "pip": f"{PIP}::test_disk_that_fills_up_in_mid_run_is_told_and_done_when_space_is_back"}),
    Criterion("gold", "what hangs is ended with everything it started", {
        "apt": f"{APT}/test_faults.py::test_hanging_postinst_is_ended_with_everything_it_started",
        "dnf": f"{DNF}::script_hangs", "zypper": f"{ZYPPER}::script_hangs", "pacman": f"{PACMAN}::script_hangs",
        "pip": f"{PIP}::test_index_that_hangs_is_given_up_with_everything_that_asks_it"}),
    Criterion("gold", "whoever holds the lock is waited for and named", {
        "apt": f"{APT}/test_faults.py::test_lock_is_waited_for_and_its_holder_named",
        "dnf": f"{DNF}::locked", "zypper": f"{ZYPPER}::lock_held", "pacman": f"{PACMAN}::lock_held",
        "pip": "not here: pip has no lock"}),
)  # fmt: skip


CRITERIA = tuple(replace(c, shown=c.shown | quality_beside.shown(c.text)) for c in CRITERIA)


def level_of(provider: str) -> str:
    """The highest level of which nothing is missing."""
    reached = "none"
    for level in LEVELS:
        if any(provider not in c.shown for c in CRITERIA if c.level == level):
            break
        reached = level
    return reached


def providers() -> list[str]:
    return sorted({name for c in CRITERIA for name in c.shown})


def page() -> str:
    """The whole document."""
    names = providers()
    lines = [
        "# How good each provider is",
        "",
        "Made by `tools/provider_quality.py` from tests that show it; a level is reached when nothing of it or below",
        "is missing. apt is proven on real Debian 12; dnf, zypper, pacman: *real manager, synthetic distribution*;",
        "pip: *real manager, synthetic packages*. What one does not offer of the contract, and why: `NOT_OFFERED` in",
        "`tests/contract/test_provider.py`. A pacman whose disk fills up in mid-run has taken the former package away",
        "by then: that is told, and the next order for it, or the way back, puts it there again.",
        "",
        "| provider | level | missing for the next |",
        "|---|---|---|",
    ]
    for name in names:
        missing = [c.text for c in CRITERIA if name not in c.shown]
        lines.append(f"| {name} | **{level_of(name)}** | {'; '.join(missing) or '–'} |")
    lines += ["", f"| level | criterion | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    for c in CRITERIA:
        cells = " | ".join(c.shown.get(name, "**missing**") for name in names)
        lines.append(f"| {c.level} | {c.text} | {cells} |")
    return "\n".join([*lines, *quality_beside.NOTES]) + "\n"


def main(arguments: list[str]) -> int:
    if "--write" in arguments:
        PAGE.write_text(page())
    else:
        print(page(), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
