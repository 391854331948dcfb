"""What shows the quality of npm, flatpak and own packages, and what is said of systems that cannot be run here.

`tools.provider_quality` merges it into its criteria: a criterion is named by its text.
"""

from __future__ import annotations

from typing import Final

NPM, FLATPAK = "integration/npm/test_npm.py", "integration/flatpak/test_flatpak.py"
BACK = "test_inventory_update_and_way_back"
OWN, OWN_BACK = (
    "integration/own/test_own.py",
    "test_an_update_is_found_by_detection_and_taken_back_to_the_very_package_before",
)
OWN_LOST = "test_a_lost_run_is_examined_and_repeated_only_where_its_author_says_so"
NPM_ROWS, FLATPAK_ROWS = "correctness/npm.py", "correctness/flatpak.py"

SHOWN: Final = {
    "inventory, exact plan, apply, verified by state": {
        "npm": f"{NPM}::{BACK}", "flatpak": f"{FLATPAK}::{BACK}",
        "own": f"{OWN}::test_installed_with_its_artifact_and_every_step"},
    "does what was planned, or nothing": {
        "npm": f"{NPM_ROWS}::moved_on", "flatpak": f"{FLATPAK_ROWS}::moved_on",
        "own": f"{OWN}::test_held_quarantined_and_changed"},
    "no network is never *up to date*": {
        "npm": f"{NPM}::test_no_network_is_never_nothing_newer",
        "flatpak": f"{FLATPAK}::test_no_network_is_never_nothing_newer",
        "own": "not here: what is newer comes with content, whose age its release says"},
    "what the owner holds stays": {
        "npm": f"{NPM_ROWS}::held", "flatpak": f"{FLATPAK_ROWS}::masked",
        "own": f"{OWN}::test_held_quarantined_and_changed"},
    "what is kept back says by what": {
        "npm": f"{NPM_ROWS}::other_node_needed", "flatpak": f"{FLATPAK_ROWS}::runtime_missing",
        "own": f"{OWN}::test_nothing_runs_that_root_s_authors_have_not_signed"},
    "what does not fit its digest changes nothing": {
        "npm": f"{NPM_ROWS}::tampered", "flatpak": f"{FLATPAK_ROWS}::tampered",
        "own": f"{OWN}::test_a_damaged_artifact_never_reaches_a_script"},
    "quarantined versions are in no plan": {
        "npm": f"{NPM_ROWS}::quarantined", "flatpak": f"{FLATPAK_ROWS}::quarantined",
        "own": f"{OWN}::test_held_quarantined_and_changed"},
    "too little space is known beforehand": {
        "npm": f"{NPM_ROWS}::disk_too_small", "flatpak": f"{FLATPAK_ROWS}::disk_too_small",
        "own": f"{OWN}::test_too_little_space_and_a_stop_are_known_before_anything_is_run"},
    "a way back is stored beforehand and taken exactly": {
        "npm": f"{NPM}::{BACK}", "flatpak": f"{FLATPAK}::{BACK}",
        "own": f"{OWN}::{OWN_BACK}"},
    "killed in the middle: repaired, and told": {
        "npm": f"{NPM}::test_power_cut_in_the_middle_is_repaired_from_what_lies_ready",
        "flatpak": f"{FLATPAK}::test_power_cut_in_the_middle_is_repaired_from_what_lies_ready",
        "own": f"{OWN}::{OWN_LOST}"},
    "disk full in the middle: told, and done when space is back": {
        "npm": f"{NPM}::test_disk_that_fills_up_in_mid_run_is_told_and_done_when_space_is_back",
        "flatpak": f"{FLATPAK}::test_disk_that_fills_up_in_mid_run_is_told_and_done_when_space_is_back",
        "own": f"{OWN}::test_disk_that_fills_up_in_mid_run_is_told_and_done_when_space_is_back"},
    "what hangs is ended with everything it started": {
        "npm": f"{NPM}::test_script_that_hangs_is_ended_with_everything_it_started",
        "flatpak": f"{FLATPAK}::test_remote_that_hangs_is_given_up_with_everything_that_asks_it",
        "own": f"{OWN}::test_a_script_that_fails_asks_or_never_ends_is_ended_and_told"},
    "whoever holds the lock is waited for and named": {
        "npm": "not here: npm has no lock for global packages", "flatpak": f"{FLATPAK_ROWS}::lock_held",
        "own": "not here: a package of one's own has no lock"},
}  # fmt: skip

# (manager, what there is, on what it was tried)
ELSEWHERE: Final = (
    (
        "pipx",
        "is pip's provider: environments of `pipx --global`, `pipx pin`",
        "pipx itself is not started: Debian 12's 1.1 knows no `--global`",
    ),
    (
        "Windows: winget",
        "a reader of its tables: *not run on the real system*",
        "tables made up after those of winget 1.29, several languages and wide characters",
    ),
    (
        "Windows: Windows Update",
        "readers of answers, overtaken updates, errors: *not run on the real system*",
        "answers made up after the documented properties of `IUpdate`",
    ),
    (
        "Windows: MSI",
        "a reader of installed programs and of exit codes; nothing installs packages yet",
        "wine 8: built, installed, upgraded, taken away, read (`system/test_windows_msi.py`)",
    ),
    (
        "Windows: EXE installers",
        "silent words for Inno Setup, NSIS, WiX Burn, InstallShield: *not run on the real system*",
        "entries of the registry made up after their formats; an unknown installer is never started",
    ),
    (
        "Windows: pending restart",
        "a reader of fourteen places of the registry: *not run on the real system*",
        "each place by itself; two of them in wine's registry",
    ),
    (
        "macOS: softwareupdate, pkgutil",
        "readers of their lists: *not run on the real system*",
        "lists made up after the two published forms",
    ),
    ("snap", "none", "snapd is in Debian 12, its store cannot be reached: nothing could be installed or updated"),
    ("fwupd", "none", "fwupd is in Debian 12; no machine here has firmware that it could update"),
    ("apk, Homebrew, Chocolatey", "none", "not to be had here"),
)

NOTES: Final = [
    "",
    "npm and flatpak too: *real manager, synthetic packages*; own packages: *real scripts, synthetic packages*.",
    "",
    "## What has no provider that changes anything",
    "",
    "| manager | there is | tried on |",
    "|---|---|---|",
    *(f"| {name} | {what} | {where} |" for name, what, where in ELSEWHERE),
]


def shown(text: str) -> dict[str, str]:
    """What shows a criterion for npm, flatpak and own packages."""
    return SHOWN.get(text, {})
