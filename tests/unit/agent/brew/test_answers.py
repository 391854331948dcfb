"""What brew prints, read: forms as documented, rows made up. *Not run on the real system.*"""

from __future__ import annotations

import json

import pytest

from brakeline.agent.providers.brew.answers import CASK, FORMULA, Known, Waits, closure, info, outdated, why
from brakeline.remediation.planner import newer

OUTDATED = json.dumps({
    "formulae": [
        {"name": "node@22", "installed_versions": ["22.2.0"], "current_version": "22.3.0", "pinned": False,
         "pinned_version": None},
        {"name": "user/tap/tool", "installed_versions": ["1.0"], "current_version": "1.1_2", "pinned": True,
         "pinned_version": "1.0"},
    ],
    "casks": [{"name": "docker", "installed_versions": "4.30.0,149282", "current_version": "4.31.0,153195"}],
})  # fmt: skip


def test_outdated() -> None:
    assert outdated(f"Warning: something\n{OUTDATED}\n") == (
        Waits("node@22", FORMULA, "22.3.0"), Waits("tool", FORMULA, "1.1_2", pinned=True),
        Waits("docker", CASK, "4.31.0,153195"),
    )  # fmt: skip
    assert outdated('{"formulae": [], "casks": []}') == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"formulae": []}', '{"formulae": 1, "casks": []}', "Error: x", "{"])
def test_what_is_no_answer_is_never_nothing_newer(text: str) -> None:
    assert outdated(text) is None


def test_info_has_revisions_needs_and_taps() -> None:
    text = json.dumps({
        "formulae": [{"name": "wget", "tap": "homebrew/core", "versions": {"stable": "1.24"}, "revision": 1,
                      "dependencies": ["libidn2", "other/tap/openssl@3"]}, {"name": "head-only", "versions": {}}],
        "casks": [{"token": "firefox", "version": "122.0", "tap": "homebrew/cask", "depends_on": {"macos": {}}}],
    })  # fmt: skip
    found = info(text)
    assert found[FORMULA, "wget"] == Known("wget", FORMULA, "1.24_1", ("libidn2", "openssl@3"), "homebrew/core")
    assert found[FORMULA, "head-only"].version == ""
    assert found[CASK, "firefox"].version == "122.0"
    assert info("nothing") == {}


def test_what_could_be_no_name_or_version_is_left_out() -> None:
    odd = [{"name": "--HEAD", "current_version": "1"}, {"name": "jq", "current_version": "\udcff"}, {"name": "jq"}]
    assert outdated(json.dumps({"formulae": odd, "casks": []})) == ()
    rows = [{"name": "a\nb", "versions": {"stable": "1"}}, {"name": "jq", "versions": {"stable": "\udcff"}},
            {"name": "wget", "versions": {"stable": "1"}, "tap": "\udcff", "dependencies": ["-f", "lib"]}]  # fmt: skip
    assert info(json.dumps({"formulae": rows})) == {(FORMULA, "wget"): Known("wget", FORMULA, "1", ("lib",))}


KNOWN = {
    (FORMULA, "app"): Known("app", FORMULA, "2", ("lib", "new")),
    (FORMULA, "lib"): Known("lib", FORMULA, "2", ("deep",)),
    (FORMULA, "deep"): Known("deep", FORMULA, "2"),
    (FORMULA, "new"): Known("new", FORMULA, "1", ("deep",)),
}
HAVE = {(FORMULA, "app"): "1", (FORMULA, "lib"): "1", (FORMULA, "deep"): "2"}


def test_everything_that_an_upgrade_takes() -> None:
    waits = {(FORMULA, "app"): "2", (FORMULA, "lib"): "2"}
    found = closure([(FORMULA, "app")], KNOWN, HAVE, waits)
    assert found == {(FORMULA, "app"): "2", (FORMULA, "lib"): "2", (FORMULA, "new"): "1"}
    new = {(FORMULA, "app"): "2", (FORMULA, "new"): "1"}
    assert closure([(FORMULA, "app")], KNOWN, HAVE, {(FORMULA, "app"): "2"}) == new


def test_what_is_not_known_is_named_and_a_circle_ends() -> None:
    del_new = {k: v for k, v in KNOWN.items() if k != (FORMULA, "new")}
    assert closure([(FORMULA, "app")], del_new, HAVE, {(FORMULA, "app"): "2"}) == "new"
    circle = {(FORMULA, n): Known(n, FORMULA, "2", (m,)) for n, m in (("a", "b"), ("b", "a"))}
    assert closure([(FORMULA, "a")], circle, {}, {}) == {(FORMULA, "a"): "2", (FORMULA, "b"): "2"}


@pytest.mark.parametrize(
    ("text", "code"),
    [("fatal: unable to access 'https://x/': Could not resolve host: x", "network"),
     ("Error: A `brew upgrade wget` process has already locked /x/Cellar/wget.", "locked"),
     ("Error: wget: SHA256 mismatch", "hash_mismatch"), ("Error: No space left on device @ io_write", "no_space"),
     ("sudo: a terminal is required to read the password", "refused"), ("Error: odd.", "brew_failed"),
     ("Error: Running Homebrew as root is extremely dangerous and no longer supported.", "refused"),
     ("", "brew_failed")],
)  # fmt: skip
def test_causes(text: str, code: str) -> None:
    assert why(text).code == code
    assert why(text).reason.endswith(".")
    assert ".." not in why(text).reason


def test_which_version_of_a_fleet_is_the_newest() -> None:
    assert newer("apt", "wget:brew", "1.24_1", "1.24")
    assert newer("apt", "wget:brew", "1.10", "1.9_3")
    assert newer("apt", "docker:brew-cask", "4.31.0,153195", "4.30.0,149282")
    assert newer("dnf", "Dock:fwupd-0123456789ab", "1.10", "1.9")
