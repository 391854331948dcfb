"""npm and flatpak beside the system's manager: what the root helper takes, what an offer may change, what is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from brakeline.agent import orders, stamp
from brakeline.agent.npm_sites import npm_folders
from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.protocol.managers import asked_of, inside, update_name
from brakeline.protocol.messages import Action, ActionKind, Offer, Transaction, UpdateRef

TAKEN = (
    ("typescript", "npm"), ("@angular/cli", "npm"), ("JSONStream", "npm-usr"), ("lodash", "npm-in-angular+cli~2"),
    ("org.example.App", "flatpak-x86_64-stable"),
    ("org.freedesktop.Platform.GL.default", "flatpak-aarch64-23.08-extra"),
    ("node@22", "brew"), ("firefox", "brew-cask"), ("firefox", "snap"),
    ("System-Firmware", "fwupd-0123456789ab"), ("Dock", "fwupd-0123456789ab~2"),
)  # fmt: skip
REFUSED = (
    ("../etc", "npm"), ("a/../b", "npm"), ("--global", "npm"), ("@x", "npm"), ("a b", "npm"), ("a", "npm-in-../x"),
    ("a", "npm-other"), ("http://x", "npm"), ("a@1", "npm"), ("org", "flatpak-x86_64-stable"),
    ("org.example.App", "flatpak-x86_64-../.."), ("--app.x", "flatpak-x86_64-stable"), ("org.example.App", "flatpak"),
    ("user/tap/wget", "brew"), ("--force", "brew"), ("wget", "brew-tap"), ("Firefox", "snap"), ("a/../b", "snap"),
    ("Dock", "fwupd-0123"), ("Dock (rear)", "fwupd-0123456789ab"), ("a/b", "fwupd-0123456789ab"),
    ("org.example.App", "amd64"), ("@angular/cli", "pypi-x"),
)  # fmt: skip


def one(name: str, label: str, kind: ActionKind = ActionKind.UPGRADE) -> Transaction:
    before = "" if kind is ActionKind.INSTALL else "1.0.0"
    return make_transaction([Action(kind, name, label, before, "" if kind is ActionKind.REMOVE else "1.1.0")])


@pytest.mark.parametrize(("name", "label"), TAKEN)
def test_names_that_reach_a_command_line(name: str, label: str) -> None:
    assert orders.unsafe(one(name, label), "apt") is None
    assert asked_of(update_name(name, label)) == label.partition("-")[0]


@pytest.mark.parametrize(("name", "label"), REFUSED)
def test_names_that_never_do(name: str, label: str) -> None:
    assert orders.unsafe(one(name, label), "apt") is not None


@pytest.mark.parametrize("kind", [ActionKind.DOWNGRADE, ActionKind.REMOVE, ActionKind.INSTALL])
def test_only_what_an_application_has_below_itself_comes_and_goes_freely(kind: ActionKind) -> None:
    def unfit(label: str) -> bool:
        made = one("part", label, kind)
        offer = Offer("of_1", "ep_1", "ro_1", 1, made.digest, (), 0, 0)
        return orders.unfit(replace(offer, allow_new_packages=False), made) is not None

    assert not unfit("npm-in-app")
    assert all(unfit(label) for label in ("npm", "npm-usr", "amd64", "pypi-in-app", "flatpak-x86_64-in-app"))
    assert [inside(label) for label in ("npm-in-app", "npm", "pypi-in-app")] == [True, False, False]


@pytest.mark.parametrize("label", ["npm", "pypi-black", "flatpak-x86_64-stable", "amd64"])
def test_a_way_back_knows_what_it_takes_away_by_the_name_that_orders_have_for_it(label: str) -> None:
    back = make_transaction([Action(ActionKind.DOWNGRADE, "p", label, "2.0.0", "1.0.0")])
    mine = UpdateRef(update_name("p", label), "2.0.0")
    elsewhere = (UpdateRef("p:npm-usr", "2.0.0"), UpdateRef(mine.name, "3.0.0"), UpdateRef("q", "2.0.0"))
    offer = Offer("of_1", "ep_1", "ro_1", 1, back.digest, (mine, *elsewhere), 0, 0)
    assert orders.taken_back(offer, back) == (mine,)


def test_the_stamp_changes_with_them(tmp_path: Path) -> None:
    def slow() -> str:
        return stamp.take("x", tmp_path).slow

    boot = tmp_path / "proc/sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("11111111-1111-1111-1111-111111111111")
    seen = [slow()]
    scoped = tmp_path / "usr/local/lib/node_modules/@angular/cli"
    scoped.mkdir(parents=True)
    assert list(npm_folders(tmp_path)) == [("npm", "/usr/local")]
    seen.append(slow())
    scoped.with_name("other").mkdir()
    seen.append(slow())
    (scoped / "package.json").write_text("{}")
    seen.append(slow())
    for file in (
        "etc/brakeline/npm.hold",
        "var/lib/flatpak/.changed",
        "var/cache/brakeline/flatpak-lists.json",
        "var/lib/snapd/state.json",
        "home/linuxbrew/.linuxbrew/opt",
        "var/cache/brakeline/brew-lists.json",
        "etc/brakeline/fwupd.hold",
        "var/lib/fwupd/pending.db",
        "etc/fwupd/remotes.d/lvfs.conf",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
        seen.append(slow())
    assert len(set(seen)) == len(seen)
