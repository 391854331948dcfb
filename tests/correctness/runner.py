"""Runs situations: our row first, then each peer of the manager in the same situation, on a fresh endpoint each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.correctness import beside, peers_apt, plain
from tests.correctness.registry import Situation
from tests.correctness.row import NOT_APPLICABLE, Row
from tests.correctness.standin import Answered, Peer, Verdict, playing

PEERS: dict[str, tuple[Peer, ...]] = {
    "apt": peers_apt.PEERS,
    "dnf": (plain.Dnf(),),
    "zypper": (plain.Zypper(), plain.ZypperPatch()),
    "pacman": (plain.Pacman(),),
    "pip": (),
    "npm": (beside.Npm(),),
    "flatpak": (beside.Flatpak(),),
}


@contextmanager
def directory() -> Iterator[Path]:
    """An empty one; whatever a situation has left in it goes with it."""
    made = Path(tempfile.mkdtemp(prefix="correctness-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def ours(situation: Situation) -> Row:
    """Our row. A situation that breaks off (what it expects of us does not hold) is a row that is wrong."""
    with directory() as work:
        try:
            return situation.run(work)
        except AssertionError as e:
            text = " ".join(str(e).split())[:300]
            return Row(situation.manager, situation.key, "see the situation", f"broke off: {text}", False)


def verdict(situation: Situation, peer: Peer) -> Verdict:
    """What this peer says in this situation, judged by the manager's records."""
    if situation.trait.alone:
        return Verdict(NOT_APPLICABLE, situation.trait.alone)
    with directory() as work, playing(peer, situation.trait):
        try:
            situation.run(work)
        except Answered as answered:
            return answered.verdict
    raise AssertionError(f"{situation.id}: {peer.name} was never asked; say why not in its trait")


def run(situations: Iterable[Situation], say: Callable[[str], None], *, peers: bool = True) -> Iterator[Row]:
    """Row by row."""
    for situation in situations:
        row = ours(situation)
        judged = {p.name: verdict(situation, p) for p in (PEERS[situation.manager] if peers else ())}
        words = {n: v.word for n, v in judged.items()}
        say(f"{situation.id:38} {'right' if row.right else 'WRONG'}  {'; '.join(f'{n} {w}' for n, w in words.items())}")
        yield replace(row, peers=words, said={n: v.why for n, v in judged.items()})
