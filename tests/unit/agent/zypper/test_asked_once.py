"""rpm is asked once for many files, and for each alone where it left one out; zypper's words are those of `apply`."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.apt.runner import Ran
from brakeline.agent.providers.zypper.plan import arguments, named_versions
from brakeline.agent.providers.zypper.rpmdb import Installed
from brakeline.agent.providers.zypper.staging import cached
from brakeline.agent.providers.zypper.tools import CACHE
from brakeline.protocol.messages import Action, ActionKind


class At:
    """A root whose rpm knows of each file what stands in it, and leaves out what is empty."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[tuple[str, ...]] = []

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def inside(self, absolute: str) -> str:
        return absolute

    def query(self, *command: str) -> Ran:
        files = [w for w in command if w.endswith(".rpm")]
        self.asked.append(tuple(files))
        names = [self.path(f).read_text() for f in files]
        lines = ["\t".join(("@", n, "noarch", "1-1", "(none)", "v", "1", "1", f"id-{n}")) for n in names if n]
        return Ran(0, "\n".join(lines) + "\n")


def tools(root: Path, **files: str) -> Any:
    place = root / CACHE.lstrip("/")
    place.mkdir(parents=True)
    for age, (name, text) in enumerate(files.items()):
        (place / f"{name}.rpm").write_text(text)
        os.utime(place / f"{name}.rpm", (age, age))
    return SimpleNamespace(at=At(root))


def test_one_call_for_all_files(tmp_path: Path) -> None:
    made = tools(tmp_path, a="a", b="b")
    found = cached(made)
    assert {key[0]: (path.stem, identity) for key, (path, identity) in found.items()} == {
        "a": ("a", "id-a"), "b": ("b", "id-b"),
    }  # fmt: skip
    assert len(made.at.asked) == 1


def test_what_rpm_cannot_read_gives_no_file_another_ones_name(tmp_path: Path) -> None:
    made = tools(tmp_path, a="a", broken="", b="b")
    found = cached(made)
    assert {key[0]: path.stem for key, (path, _) in found.items()} == {"a": "a", "b": "b"}
    assert len(made.at.asked) == 4


def test_the_newest_of_two_files_of_one_package_counts(tmp_path: Path) -> None:
    found = cached(tools(tmp_path, old="a", new="a"))
    assert [path.stem for path, _ in found.values()] == ["new"]


def test_targets_are_spelled_and_ordered_as_a_transaction_is() -> None:
    targets = [(Installed(n, a, "1-1"), "2-1") for n, a in (("b", "noarch"), ("a", "x86_64"), ("a", "i586"))]
    actions = [Action(ActionKind.UPGRADE, p.name, p.architecture, p.version, v) for p, v in targets]
    assert named_versions(targets) == arguments(make_transaction(actions))
