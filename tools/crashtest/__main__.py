"""`./dev crash-test [--depth N] [--json] [--real WHAT] [--block WHAT]`: a table, or one JSON document.

The model check and its planted faults run anywhere. As root with strace the real launcher is broken too, and the power
goes below its file system: a sample, or everything from depth 3 on. What is not run is said, with the reason.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support_launcher import user
from tools.crashtest import block, calls, modelcheck, mutants, real, slotwalk
from tools.crashtest import rig as rigs
from tools.crashtest.modelcheck import Outcome
from tools.crashtest.simdisk import EIO, ENOSPC, EXHAUSTIVE_MAX

from brakeline.launcher.model import CONTENT

CHARACTERS = ("good", "crash", "hang", "killer", "poisons", "ruins", "rots", "ready-crash", "ready-killer")
# The third cut of each costs as much as all others together; and rotten files are no fault of an update.
DEEP_MAX = {"rots": 2, "ready-killer": 2}
CONTENT_CHARACTERS = ("good", "crash", "hang", "killer", "ready-crash", "ready-killer")
CONTENT_DEEP_MAX = {"ready-killer": 1}  # the path of the agent's, which is walked deeper
TAKES_DOWN = ("killer", "ready-killer")
STAND_INS = (
    f"disks after a power cut: all combinations of applied, torn and lost up to {EXHAUSTIVE_MAX} pending operations; "
    "beyond that all applied, all lost, each prefix, and each single operation that differs from all others",
    "the look (metadata, pieces of a release) and the keepsake: stand-ins in the walk; the real ones are struck "
    "in the parts with the real launcher",
)
REAL_CHARACTERS = ("good", "crash", "destroys")
WHAT = ("none", "sample", "all")


@dataclass
class Answer:
    """What is printed."""

    model: Outcome = field(default_factory=Outcome)
    caught: dict[str, bool] = field(default_factory=dict)
    harmless: dict[str, bool] = field(default_factory=dict)
    struck: real.Tally | None = None  # at system calls
    cut: real.Tally | None = None  # below the file system
    unsynced_seen: bool | None = None
    not_run: list[str] = field(default_factory=lambda: list(STAND_INS))

    def as_dict(self) -> dict[str, Any]:
        tallies = [t for t in (self.struck, self.cut) if t is not None]

        def total(name: str) -> int:
            return sum(n if isinstance(n := getattr(t, name), int) else len(n) for t in tallies)

        return {
            "outcomes": self.model.outcomes, "violations": len(self.model.violations),
            "mutants": len(self.caught), "mutants_caught": sum(self.caught.values()),
            "injected_runs": total("injected_runs"), "fired": total("fired"), "not_fired": total("not_fired"),
            "needed_a_hand": total("needed_a_hand"),
            "bad_ran_more_than_three": total("bad_ran_more_than_three") + self.model.ran_more_than_three,
            "bad_ran_more_than_allowed": total("bad_ran_more_than_three") + self.model.ran_more_than_allowed,
            "ready_runs_max": self.model.ready_runs_max,
            "good_lost": total("good_lost") + self.model.good_lost,
            "healed_unaided": self.struck.healed_unaided if self.struck is not None else 0,
            "block_cuts": self.cut.injected_runs if self.cut is not None else 0,
            "unsynced_seen": self.unsynced_seen, "simulated_runs": self.model.runs,
            "harmless_mutants": len(self.harmless), "harmless_confirmed": sum(self.harmless.values()),
            "good_given_up": self.model.given_up, "not_run": self.not_run,
        }  # fmt: skip

    def is_well(self) -> bool:
        said = self.as_dict()
        broken = ("violations", "needed_a_hand", "bad_ran_more_than_allowed", "good_lost", "not_fired")
        seen = all(self.caught.values()) and all(self.harmless.values()) and self.unsynced_seen is not False
        return seen and not any(said[name] for name in broken)

    def stories(self) -> Iterator[str]:
        yield from self.model.violations[:5]
        for tally in (self.struck, self.cut):
            if tally is not None:
                yield from (*tally.needed_a_hand, *tally.bad_ran_more_than_three, *tally.not_fired)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev crash-test", description=__doc__)
    parser.add_argument("--depth", type=int, default=2, metavar="N", help="power cuts in a row (default: 2)")
    parser.add_argument("--real", choices=WHAT, help="faults at system calls of the real launcher (default: sample)")
    parser.add_argument("--block", choices=WHAT, help="power cuts of a real file system (default: sample)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="real endpoints at a time (default: 2)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    usual = "all" if options.depth >= 3 else "sample"
    began_s, answer = time.process_time(), Answer()
    model(answer, options.depth)
    planted(answer)
    cpu_s = round(time.process_time() - began_s, 1)
    broken(answer, options.real or usual, options.block or usual, options.jobs)
    said = {"depth": options.depth} | answer.as_dict() | {"model_cpu_s": cpu_s}
    for story in answer.stories():
        say(story)
    print(json.dumps(said | {"caught": answer.caught} if options.json else said))
    return 0 if answer.is_well() else 1


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def model(answer: Answer, depth: int) -> None:
    """Every walk of the model check."""
    rows: list[tuple[str, Callable[[], Outcome]]] = []
    for c in CHARACTERS:
        deep = _deep(answer, depth, DEEP_MAX, f"{c} release")
        rows.append((f"{deep} power cuts in a row, {c} release", lambda c=c, deep=deep: modelcheck.walk(c, deep)))
    for error, name in ((ENOSPC, "ENOSPC"), (EIO, "EIO")):
        for c in (c for c in CHARACTERS if c not in TAKES_DOWN):
            rows.append((f"{name} at each operation, {c} release", lambda c=c, e=error: modelcheck.refusing_disk(c, e)))
        for c in ("good", "crash"):
            rows.append(
                (f"{name} and a power cut after it, {c} release", lambda c=c, e=error: modelcheck.walk_refusals(c, e))
            )
        rows.append((f"{name}, a restart and a power cut", lambda e=error: modelcheck.walk_restarts(e)))
    rows.append(("records torn at any set of sectors", modelcheck.torn_records))
    rows.append(("confirmed release that kills its host", modelcheck.killer_confirmed))
    for c in CONTENT_CHARACTERS:
        deep = _deep(answer, depth, CONTENT_DEEP_MAX, f"{c} content")
        walked = f"{deep} power cuts in a row, {c} content"
        rows.append((walked, lambda c=c, deep=deep: modelcheck.walk(c, deep, product=CONTENT)))
    for c in (c for c in CONTENT_CHARACTERS if c not in TAKES_DOWN):
        refused = f"ENOSPC at each operation, {c} content"
        rows.append((refused, lambda c=c: modelcheck.refusing_disk(c, ENOSPC, product=CONTENT)))
    for agent, content in itertools.product(("good", "crash"), repeat=2):
        both = f"{agent} release and {content} content at once"
        rows.append((both, lambda a=agent, c=content: modelcheck.both_at_once(a, c)))
    for c in slotwalk.CHARACTERS:
        rows.append((f"{depth} power cuts in a row, {c} launcher", lambda c=c: slotwalk.walk(c, depth)))
        rows.append((f"ENOSPC at each operation, {c} launcher", lambda c=c: slotwalk.full_disk(c)))
    for name, walk in rows:
        row = walk()
        answer.model.add(row)
        say(f"{name:48} {row.outcomes:6} outcomes {row.runs:7} runs {len(row.violations):4} violations")


def _deep(answer: Answer, depth: int, deep_max: dict[str, int], what: str) -> int:
    """How many cuts in a row are walked; said where they are fewer than asked for."""
    deep = min(depth, deep_max.get(what.split()[0], depth))
    if deep < depth:
        answer.not_run.append(f"power cuts in a row, {what}: {deep} instead of {depth}, for its cost")
    return deep


def planted(answer: Answer) -> None:
    """Every mutant."""
    for name in (*mutants.CAUGHT, *slotwalk.MUTANTS):
        answer.caught[name] = bool(mutants.caught(name) if name in mutants.CAUGHT else slotwalk.caught(name))
        say(f"planted: {name:64} {'seen' if answer.caught[name] else 'NOT SEEN'}")
    for name, (_, _, why) in mutants.HARMLESS.items():
        answer.harmless[name] = not mutants.harm(name)
        say(f"planted: {name:64} {f'harmless: {why}' if answer.harmless[name] else 'NOT HARMLESS'}")


def broken(answer: Answer, real_what: str, block_what: str, jobs: int) -> None:
    """The real launcher, on real disks."""
    if lacks := rigs.lacks():
        answer.not_run += [f"faults at system calls: needs {lacks}", f"power cuts of a file system: needs {lacks}"]
        return
    with rigs.place() as place, user(f"bl-crash-{os.getpid()}") as name:
        if real_what == "none":
            answer.not_run.append("faults at system calls: not asked for")
        else:
            _real(answer, place / "real", name, real_what, jobs)
        if block_what == "none":
            answer.not_run.append("power cuts of a file system: not asked for")
        else:
            _block(answer, place / "block", name, block_what, jobs)


def _real(answer: Answer, place: Path, user_name: str, what: str, jobs: int) -> None:
    answer.struck = real.Tally()
    for rig in _rigs(place, user_name, REAL_CHARACTERS):
        faults = real.everything(rig)
        chosen = faults if what == "all" else [f for f in calls.sample(faults) if _in_sample(rig, f)]
        if len(chosen) < len(faults):
            left = f"{len(faults) - len(chosen)} of {len(faults)}"
            answer.not_run.append(f"faults at system calls, {rig.character} release: {left}: this is a sample")
        answer.struck.add(real.run(rig, chosen, jobs, say))


def _in_sample(rig: rigs.Rig, fault: calls.Fault) -> bool:
    """Errors that strike launcher and look: with the good release; with bad ones, those of what is given back after."""
    return rig.character == "good" or fault.how == calls.KILL or fault.call.process == "giver"


def _block(answer: Answer, place: Path, user_name: str, what: str, jobs: int) -> None:
    place.mkdir()
    if lacks := block.lacks(place):
        answer.not_run.append(f"power cuts of a file system: {lacks}")
        return
    answer.cut = real.Tally()
    for rig in _rigs(place, user_name, ("good", "crash")):
        cuts = block.points(rig)
        chosen = cuts if what == "all" else cuts[:: max(1, len(cuts) // 12)]
        if len(chosen) < len(cuts):
            left = f"{len(cuts) - len(chosen)} of {len(cuts)}"
            answer.not_run.append(f"power cuts of a file system, {rig.character} release: {left}: this is a sample")
        answer.cut.add(block.run(rig, chosen, jobs, say))
        if rig.character == "crash":
            answer.unsynced_seen = bool(block.unsynced(rig).bad_ran_more_than_three)
            say(f"planted: a launcher whose syncs do nothing: {'seen' if answer.unsynced_seen else 'NOT SEEN'}")


def _rigs(place: Path, user_name: str, characters: tuple[str, ...]) -> Iterator[rigs.Rig]:
    for character in characters:
        made = rigs.Rig(place, user_name, character)
        try:
            yield made
        finally:
            made.close()


if __name__ == "__main__":
    sys.exit(main())
