"""The command line's frame: exit codes, one JSON document, help without imports, every verb with --json."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brakeline.cli.__main__ import NOUNS, main, noun_command
from brakeline.cli.output import Exit, exit_code_of, table, when
from brakeline.core.errors import Bug, Conflict, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No context file is in reach."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BRAKELINE_CONTEXT", raising=False)


FOREGROUND = {"up", "server run"}  # they run until stopped, and their one line of result is "ready URL"


def verbs(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if getattr(command, "commands", None):
        for name, child in command.commands.items():
            yield from verbs(child, f"{path} {name}")
    else:
        yield path, command


@pytest.mark.parametrize("name", sorted(NOUNS))
def test_every_verb_of_every_noun_takes_json_and_says_what_it_does(name: str) -> None:
    for path, command in verbs(noun_command(name), name):
        options = {o for p in command.params for o in p.opts}
        passes_on = command.context_settings.get("ignore_unknown_options", False)  # to a parser of its own
        assert "--json" in options or passes_on or path in FOREGROUND, f"brakeline {path} lacks --json"
        assert command.help, f"brakeline {path} has no help"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound(), 3), (Forbidden(), 4), (Unauthenticated(), 4), (Conflict(), 5), (Invalid(), 2),
        (Unavailable(), 1), (Bug(), 1),
    ],
)  # fmt: skip
def test_the_exit_code_tells_what_kind_of_error_it_was(error: Any, code: int) -> None:
    assert exit_code_of(error) == code


def test_help_names_every_noun_and_needs_no_framework() -> None:
    script = "import sys; from brakeline.cli.__main__ import main; main(['--help']); print('typer' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert all(f"  {name} " in out for name in NOUNS)
    assert out.endswith("False\n")


def test_no_arguments_and_unknown_nouns_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == Exit.USAGE
    assert main(["polcy"]) == Exit.USAGE
    assert "Did you mean: brakeline policy?" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"]
    assert main(["--version"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        (["audit", "verify"], Exit.NOT_ALLOWED, "no-context"),
        (["audit", "verify", "--context", "none.json"], Exit.NOT_ALLOWED, "no-context"),
        (["audit", "veryfy"], Exit.USAGE, "usage"),
        (["audit", "list", "--limit", "x"], Exit.USAGE, "usage"),
        (["audit", "list", "--nonsense"], Exit.USAGE, "usage"),
        (["config", "show", "--config", "none.toml"], Exit.USAGE, "settings"),
    ],
)
def test_errors_are_one_json_document_on_stdout_and_words_on_stderr(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, kind: str
) -> None:
    assert main([*words, "--json"]) == code
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["code"] == kind
    assert "next:" in said.err
    assert main(words) == code
    assert capsys.readouterr().out == ""


def test_a_noun_without_a_verb_shows_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == Exit.USAGE
    assert "show" in capsys.readouterr().out
    assert main(["config", "--help"]) == 0


def test_config_show_names_value_and_origin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAKELINE_PORT", "9443")
    assert main(["config", "show", "--json"]) == 0
    rows = {r["name"]: r for r in json.loads(capsys.readouterr().out)["settings"]}
    assert rows["port"] == {"name": "port", "value": "9443", "origin": "environment BRAKELINE_PORT"}
    assert rows["host"]["origin"] == "default"


def test_tables_in_a_pipe_are_aligned_text(capsys: pytest.CaptureFixture[str]) -> None:
    table(["a", "long name"], [(1, "[red]x"), ("long value", None)])
    assert capsys.readouterr().out == "a           long name\n1           [red]x\nlong value\n"
    table(["a"], [], "Nobody.")
    assert capsys.readouterr().out == "Nobody.\n"


def test_times_are_said_in_utc() -> None:
    assert when(0) == "1970-01-01 00:00:00Z"
    assert when(None) == ""
