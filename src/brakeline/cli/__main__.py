"""The command `brakeline`: finds the noun in a static table, imports only its module, runs its verb.

What always holds: `--json` anywhere after the verb, and then one document on stdout, for errors too; `--context
FILE` anywhere; every end is one of `output.Exit`. A noun whose module cannot be imported fails alone.
"""

from __future__ import annotations

import difflib
import gc
import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from brakeline import __version__

if TYPE_CHECKING:
    from types import ModuleType

NOUNS: Final = {
    "up": "A server here, and this machine enrolled, assess only: one command to begin with.",
    "server": "Run a cell: the server, its database, its console.",
    "enrol": "Tokens and the command that make a machine an endpoint.",
    "endpoint": "Endpoints: list, show, runs, history, tag, retire.",
    "fleet": "The fleet as a whole: its shape.",
    "exposure": "What is vulnerable where, and since when.",
    "sbom": "Bills of materials and VEX: export, import, list, show.",
    "software": "Own packages and scripts, signed by their authors; what vendors say is new.",
    "vuln": "Vulnerabilities: list, show, accept, accepted, end, terms, plan, export.",
    "update": "Updates: list, show, plan.",
    "policy": "What may be patched, when and how.",
    "content": "Advisory data: what is live, what is held.",
    "settings": "What policies add, brought to endpoints by rollouts: show, plan, start.",
    "release": "Releases of the agent and the launcher.",
    "deployment": "Updates over endpoints: preview, create, log, stop, retry.",
    "rollout": "Rollouts: list, show, start, watch, brake, rollback, resume, withdraw, explain.",
    "cell": "Cells: add, join, drain, isolate, restore, list.",
    "lead": "One change over several cells: create, start, show, pause, resume, brake.",
    "pool": "Evidence together with other organisations: show, join, leave, export, import, partner, part.",
    "freeze": "Stop everything, now. Never asks.",
    "unfreeze": "Lift a freeze: a reason, and a second person.",
    "approval": "Acts that take two people: list, show, approve, reject.",
    "drill": "Drills: a bad change on purpose, simulated or harmless; what others' would have cost.",
    "budget": "How many endpoints may be changed, over all rollouts together.",
    "freeze-window": "Spans in which endpoints get no new offers.",
    "event": "What happened, told to other programs: sinks, add, test, dead, replay, list.",
    "audit": "Who did what: list and verify the chain.",
    "auth": "Sign in, people, API tokens.",
    "config": "Settings with their origin.",
}
OWN: Final = {"version": "Version of this program."}
USAGE, FAILED, INTERRUPTED = 2, 1, 130  # of output.Exit, which costs an import


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = _take_context(list(sys.argv[1:] if arguments is None else arguments))
    if words[:2] == ["exposure", "assess"]:  # works without a server and must start as fast as its rivals do
        if arguments is None:  # a process of its own, and a short one: cycles among its many small values may stay
            gc.disable()
        return int(_module("assess").main(words[2:]))
    if words[:2] == ["exposure", "compare-versions"]:  # the same
        return int(_module("compare").main(words[2:]))
    if not words or words[0] in {"--help", "-h", "help"}:
        sys.stdout.write(_help())
        return 0 if words else USAGE
    if words[0] in {"version", "--version"}:
        return _version("--json" in words)
    if words[0] not in NOUNS:
        return _unknown(words[0])
    return _run(words[0], words[1:])


def entry() -> None:
    """For `python -m brakeline.cli`."""
    sys.exit(main())


def noun_command(name: str) -> Any:
    """The command of noun `name`, imported now; always a group, also when it has one verb only."""
    import typer

    app = _module(name).app
    if app.registered_callback is None:
        app.callback()(_no_options)
    return typer.main.get_command(app)


def _no_options() -> None:
    pass


def _run(name: str, words: list[str]) -> int:
    from typer.exceptions import TyperException

    from brakeline.cli.output import exit_code_of, explain
    from brakeline.core.errors import BrakelineError

    as_json = "--json" in words
    try:
        command = noun_command(name)
    except ImportError as e:
        sys.stderr.write(
            f"Error: `brakeline {name}` is not part of this installation ({e}).\n  next: brakeline --help\n"
        )
        return FAILED
    try:
        result = command.main(words, prog_name=f"brakeline {name}", standalone_mode=False)
    except TyperException as e:
        return _usage_problem(name, words, e, as_json)
    except BrakelineError as e:
        explain(e, as_json)
        return exit_code_of(e)
    except (KeyboardInterrupt, EOFError):
        sys.stderr.write("\nInterrupted; what the server has begun goes on.\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has seen enough ("| head")
        return 0
    return result if isinstance(result, int) else 0


def _usage_problem(name: str, words: Sequence[str], error: Any, as_json: bool) -> int:
    """A command line that was not understood: what, and the help to look at."""
    code = int(getattr(error, "exit_code", USAGE))
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    if type(error).__name__ == "NoArgsIsHelpError":  # the message is the help itself
        sys.stdout.write(text + "\n")
        return USAGE
    verb = next((w for w in words if not w.startswith("-")), "")
    hint = f"brakeline {name} {verb} --help".replace("  ", " ")
    sys.stderr.write(f"Error: {text}\n  next: {hint}\n")
    if as_json:
        sys.stdout.write(json.dumps({"error": {"code": "usage", "title": text, "detail": "", "hint": hint}}) + "\n")
    return code


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"brakeline.cli.{name.replace('-', '_')}")


def _take_context(words: list[str]) -> list[str]:
    """Take `--context FILE` out of the words, wherever it stands."""
    for i, word in enumerate(words):
        if word == "--context" and i + 1 < len(words):
            os.environ["BRAKELINE_CONTEXT"] = words[i + 1]
            return words[:i] + words[i + 2 :]
        if word.startswith("--context="):
            os.environ["BRAKELINE_CONTEXT"] = word.partition("=")[2]
            return words[:i] + words[i + 1 :]
    return words


def _version(as_json: bool) -> int:
    line = json.dumps({"version": __version__}) if as_json else f"brakeline {__version__}"
    sys.stdout.write(line + "\n")
    return 0


def _unknown(word: str) -> int:
    near = difflib.get_close_matches(word, [*NOUNS, *OWN], n=1)
    guess = f" Did you mean: brakeline {near[0]}?" if near else ""
    sys.stderr.write(f"Error: there is no noun {word!r}.{guess}\n  next: brakeline --help\n")
    return USAGE


def _help() -> str:
    lines = [f"  {name:<13} {text}" for name, text in (NOUNS | OWN).items()]
    return (
        "Usage: brakeline NOUN VERB [OPTIONS]\n\nPatch fast. Brake faster.\n\n"
        + "\n".join(lines)
        + "\n\nEvery verb takes --json. --context FILE says which server; `brakeline NOUN --help` lists its verbs.\n"
    )


if __name__ == "__main__":
    entry()
