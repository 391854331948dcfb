"""What shows the quality of npm, flatpak, fwupd and own packages, and what is said of systems that cannot be run here.

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

FWUPD: Final = {
    text: shown if shown.startswith("not here: ") else f"integration/fwupd/test_fwupd.py::{shown}"
    for text, shown in {
        "inventory, exact plan, apply, verified by state": "test_inventory_update_and_what_waits_for_the_restart",
        "does what was planned, or nothing": "test_list_that_moved_on_is_a_changed_situation",
        "no network is never *up to date*": "test_no_network_is_never_nothing_newer",
        "what the owner holds stays": "test_held_by_its_owner",
        "what is kept back says by what": "test_inhibited_system_takes_no_update_and_says_why",
        "what does not fit its digest changes nothing": "test_cabinet_that_does_not_fit_its_checksum_changes_nothing",
        "quarantined versions are in no plan": "test_quarantined_versions_are_in_no_plan",
        "too little space is known beforehand": "test_too_little_space_is_known_before_anything_is_changed",
        "a way back is stored beforehand and taken exactly":
            "test_way_back_is_the_kept_cabinet_and_needs_no_network",
        "killed in the middle: repaired, and told":
            "test_power_cut_in_mid_write_is_told_and_not_written_again_by_itself",
        "disk full in the middle: told, and done when space is back":
            "test_disk_that_fills_up_while_fetching_is_told_and_done_when_space_is_back",
        "what hangs is ended with everything it started":
            "test_remote_that_hangs_is_given_up_with_everything_that_asks_it",
        "whoever holds the lock is waited for and named": "not here: fwupd has no lock, and names nobody who keeps it "
            "busy; it is waited for",
    }.items()
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
        "a provider, no way back: *not run on the real system*",
        "the contract on a winget in memory; its tables on two real recordings of winget 1.29 and made-up ones",
    ),
    (
        "Windows: Windows Update",
        "a provider over a script of PowerShell: *not run on the real system*; the script was never run",
        "answers made up after the documented properties of `IUpdate` (`unit/agent/windows/test_wua_provider.py`)",
    ),
    (
        "Windows: MSI",
        "a provider: *not run on the real system*",
        "wine 8: the contract (`-k msi`), way back, lock, lost run (`system/test_windows_programs.py`)",
    ),
    (
        "Windows: EXE installers",
        "MSI's provider, by silent words for Inno Setup, NSIS, WiX Burn, InstallShield; no way back: *not run on the "
        "real system*",
        "a Windows in memory; an installer whose tool is not named is never started",
    ),
    (
        "Windows: pending restart",
        "a reader of fourteen places of the registry: *not run on the real system*",
        "each place by itself; two of them in wine's registry",
    ),
    (
        "Homebrew",
        "a whole provider, formulae and casks, of which none is counted above: *not run on the real system*",
        "a stand-in for brew that says what it is documented to say: the contract's suite and `integration/brew`",
    ),
    (
        "macOS: softwareupdate, pkgutil",
        "a whole provider of what installs without a restart, and readers of both lists; no agent runs on a Mac: *not "
        "run on the real system*",
        "a stand-in that prints the published forms: the contract's suite and `integration/macos`",
    ),
    (
        "snap",
        "a whole provider over snapd's socket: *not run on the real system*, because its store cannot be reached",
        "a stand-in that answers as the REST API is documented: the contract's suite and `integration/snap`",
    ),
    ("apk, Chocolatey", "none", "not to be had here"),
)

NOTES: Final = [
    "",
    "npm and flatpak too: *real manager, synthetic packages*; own packages: *real scripts, synthetic packages*.",
    "fwupd: *real manager, test device*; what is killed in the middle is told and never written again by itself, and",
    "what is being written is never cut off.",
    "",
    "## What no order reaches, or what was not run on the real system",
    "",
    "Windows' providers plan, apply, verify and recover as the others do; no root helper is there to be told to.",
    "",
    "| manager | there is | tried on |",
    "|---|---|---|",
    *(f"| {name} | {what} | {where} |" for name, what, where in ELSEWHERE),
]


def shown(text: str) -> dict[str, str]:
    """What shows a criterion for npm, flatpak, fwupd and own packages."""
    return SHOWN.get(text, {}) | {"fwupd": FWUPD[text]}
