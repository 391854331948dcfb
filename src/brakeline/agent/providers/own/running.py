"""One script of an own package: as root, without a terminal or input, its whole tree owned, its output bounded.

What it says is kept to its end; that it ended well is no proof of anything (`looking` says what is there). What
never ends, says too much or asks a question is ended and told as what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from brakeline.agent.guard import OUTPUT_MAX
from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.protocol.software import Script
from brakeline.protocol.software_rules import INTERPRETERS

SAID_BYTES_MAX: Final = 1024 * 1024
LINES_TOLD: Final = 20
LINE_CHARS: Final = 300
ASKING: Final = ("?", ":", "]", ")", ">")


@dataclass(frozen=True, slots=True)
class Said:
    """How a script ended. `wrong` "" = well."""

    wrong: str
    code: str
    lines: tuple[str, ...]  # the last ones


def run(
    runner: Runner, name: str, script: Script, directory: str, words: Mapping[str, str], left_s: float
) -> Said:  # fmt: skip
    """Run it from `directory`, which is root's. `words`: what it is told, in its environment."""
    path = f"{directory}/{name}"
    runner.path(path).write_text(script.text, encoding="utf-8")
    runner.path(path).chmod(0o700)
    step = name.removeprefix(".")
    told = {"BRAKELINE_STEP": step, "BRAKELINE_DIRECTORY": directory, **words, OUTPUT_MAX: str(SAID_BYTES_MAX)}
    timeout_s = max(1.0, min(float(script.timeout_s), left_s))
    ran = runner.job(INTERPRETERS["linux"][script.interpreter], path, timeout_s=timeout_s, environment=told)
    return judge(step, script, ran, timeout_s)


def judge(name: str, script: Script, ran: Ran, timeout_s: float) -> Said:
    """Pure: what came of it, in words."""
    lines = tuple(line[:LINE_CHARS] for line in ran.text.splitlines()[-LINES_TOLD:])
    if len(ran.text.encode()) >= SAID_BYTES_MAX:
        return Said(f"Its {name} script said more than {SAID_BYTES_MAX >> 20} MiB and was ended.", "output", lines)
    if ran.timed_out:
        why = f"Its {name} script had not ended after {timeout_s:.0f} s and was ended, with everything it had started."
        return Said(why + _asked(ran.text), "timeout", lines)
    if ran.rc in script.success:
        return Said("", "", lines)
    how = f"ended by signal {-ran.rc}" if ran.rc < 0 else f"ended with {ran.rc}"
    last = f": {lines[-1].strip()[:160]}" if lines and lines[-1].strip() else ""
    return Said(f"Its {name} script {how}{last}." + _asked(ran.text), "maintainer_script_failed", lines)


def _asked(text: str) -> str:
    """A last line without an end that looks like a question: nobody is there who could answer."""
    last = text.rpartition("\n")[2].strip()
    if not last or not last.endswith(ASKING):
        return ""
    return f" It seems to have asked “{last[-80:]}”: nobody answers here, so it needs an option that asks nothing."
