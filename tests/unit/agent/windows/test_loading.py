"""What the agent loads for its verbs on Windows needs nothing that only Unix has. Wine proves the rest (`system`)."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

from brakeline.agent import verbs

UNIX_ALONE = ("fcntl", "grp", "pwd", "syslog", "termios")
ON_WINDOWS = ("run", "scan", "enrol", "status", "version")


def imports_of(verb: str) -> str:
    """Every import of this verb, also those that stand in its body."""
    body = ast.parse(inspect.getsource(getattr(verbs, verb)))
    return "\n".join(ast.unparse(n) for n in ast.walk(body) if isinstance(n, ast.Import | ast.ImportFrom))


@pytest.mark.parametrize("verb", ON_WINDOWS)
def test_verb_loads_without_what_only_unix_has(verb: str) -> None:
    hidden = f"import sys\nfor name in {UNIX_ALONE!r}: sys.modules[name] = None\n"
    code = f"{hidden}import brakeline.agent.verbs\n{imports_of(verb)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_providers_load_without_what_only_unix_has() -> None:
    names = ("provider", "wua_provider", "winget_provider", "wua_driver")
    wanted = "; ".join(f"import brakeline.agent.providers.windows.{name}" for name in names)
    hidden = f"import sys\nfor name in {UNIX_ALONE!r}: sys.modules[name] = None\n"
    code = f"{hidden}{wanted}; import brakeline.agent.providers.detect"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_hidden_is_missed() -> None:
    code = f"import sys\nfor name in {UNIX_ALONE!r}: sys.modules[name] = None\nimport brakeline.agent.transaction"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "fcntl" in done.stderr
