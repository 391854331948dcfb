"""What is put there again: only what an order has and a run left half-installed; only files that are nobody else's."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest

from brakeline.agent.providers.apt.runner import Ran
from brakeline.agent.providers.pacman.again import (
    PATTERNS_BYTES,
    Left,
    by_directory,
    explain_again,
    half_installed,
    joined,
    pattern,
)
from brakeline.agent.providers.pacman.parse import parse_configuration
from brakeline.agent.providers.pacman.plan import due, inverse_of
from brakeline.agent.providers.pacman.queries import Queries
from brakeline.agent.providers.pacman.records import BROKEN, Installed, files_of, problems_of
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import Action, ActionKind, Transaction, UpdateRef

P, Q = Installed("p", "", "2-1", "p", BROKEN), Installed("q", "any", "1-1", "q")


def compare(left: str, right: str) -> int:
    return (left > right) - (left < right)


def test_only_what_the_order_has_is_put_there_again() -> None:
    assert half_installed((P, Q), ("p", "q", "elsewhere")) == ("p",)
    assert half_installed((P, Q), ("q",)) == ()
    assert half_installed((P, Installed("p", "any", "1-1", "p")), ("p",)) == (), "a sound entry is there beside it"
    assert explain_again(()) == ()
    assert explain_again(["p"]) == ("an earlier run left p half-installed: put there again, whole",)


def test_what_is_put_there_again_is_no_problem_and_anything_else_is() -> None:
    assert problems_of((P, Q), ["p"]) == ()
    assert problems_of((P, Q), ["q"]) == ("p: its database entry is incomplete (half-installed)",)


@pytest.mark.parametrize(("asked", "is_due"), [("2-1", True), ("3-1", True), ("1-1", False)])
def test_half_installed_is_due_at_its_own_version_and_newer_ones(asked: str, is_due: bool) -> None:
    assert (due([UpdateRef("p", asked)], (P, Q), compare) == (P,)) is is_due
    assert due([UpdateRef("q", "1-1")], (P, Q), compare) == (), "what is sound is not done again"


def test_the_way_back_does_not_lead_to_what_was_half_installed() -> None:
    kept = Action(ActionKind.UPGRADE, "q", "any", "1-1", "2-1")
    both = (Action(ActionKind.UPGRADE, "p", "any", "2-1", "2-1"), kept)
    back = inverse_of(Transaction(both, transaction_digest(both)))
    assert [(a.name, a.before, a.after) for a in back.actions] == [("q", "2-1", "1-1")]


@pytest.mark.parametrize("path", ["/usr/share/p/large", "/usr/share/[p]/a*b", "/opt/what?", "/opt/a\\b"])
def test_a_pattern_is_exactly_its_file(path: str) -> None:
    """As fnmatch(3) reads it, of which Python's knows no backslash: that is undone here the other way."""
    made = pattern(path)
    assert made.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\") == path[1:]
    assert not made.startswith("/")


def test_a_comma_would_part_two_patterns() -> None:
    assert pattern("/opt/a,b") == "opt/a?b"
    assert fnmatch.fnmatch("opt/a,b", pattern("/opt/a,b"))


def test_patterns_fit_into_arguments() -> None:
    paths = [f"/usr/share/p/{'x' * 200}{n}" for n in range(1000)]
    lines = joined(map(pattern, paths))
    assert max(map(len, lines)) <= PATTERNS_BYTES
    assert ",".join(lines).split(",") == [p[1:] for p in paths]
    assert joined([]) == ()


def test_files_with_names_in_other_letters_stay_below_what_the_kernel_takes() -> None:
    lines = joined(pattern(f"/usr/share/{'文' * 80}/{n}") for n in range(1_000))
    assert max(len(line.encode()) for line in lines) <= PATTERNS_BYTES


def test_very_many_files_are_named_by_directories_that_are_nobody_else_s() -> None:
    """The same files as one by one, and no file of another package: as fnmatch(3) reads it, `*` takes slashes."""
    paths = [f"/usr/src/linux/{n % 300}/header-{n}.h" for n in range(20_000)]
    paths += ["/usr/include/linux/types.h", "/usr/share/doc/a", "/opt/a"]
    others = {"usr/include/stdio.h", "usr/include/linux/own/x.h", "usr/src/other/x.h", "usr/share/doc/b"}
    made = by_directory(paths, others)
    assert made == ["usr/src/linux/*", "usr/include/linux/types.h", "usr/share/doc/a", "opt/a"]
    assert all(any(fnmatch.fnmatch(p[1:], m) for m in made) for p in paths)
    assert not [o for o in others if any(fnmatch.fnmatch(o, m) for m in made)]


class Endpoint:
    """A root with files; pacman says what an archive has."""

    def __init__(self, root: Path, archive: str) -> None:
        self.root, self.archive = root, archive

    def query(self, *command: str, timeout_s: float = 0) -> Ran:
        assert command[:2] == ("pacman", "-Qqlp")
        return Ran(0, self.archive)

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")


def test_only_files_that_are_there_and_are_no_others(tmp_path: Path) -> None:
    local = tmp_path / "var/lib/pacman/local"
    for name, files in (("q-1-1", "%FILES%\nopt/\nopt/of-q\n"), ("p-2-1", "")):
        (local / name).mkdir(parents=True)
        (local / name / "desc").write_text("%NAME%\nq\n" if files else "")
        (local / name / "files").write_text(files)
    (tmp_path / "opt").mkdir()
    for name in ("of-q", "of-p"):
        (tmp_path / "opt" / name).touch()
    endpoint = Endpoint(tmp_path, "/opt/\n/opt/of-p\n/opt/of-q\n/opt/not-there\nwarning: something\n")
    left = Left(Queries(endpoint))  # type: ignore[arg-type]
    known = parse_configuration("[options]\nDBPath = /var/lib/pacman/\n")
    assert left.options(known, ["p"], ["/var/cache/p.pkg.tar"]) == ("--overwrite", "opt/of-p")
    assert left.options(known, [], []) == ()


def test_files_of_an_entry() -> None:
    assert files_of("%FILES%\nopt/\nopt/a\n\n%BACKUP%\netc/x\tabc\n") == ("opt/a",)
