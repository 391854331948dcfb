"""What of a transaction's output is kept: secrets are masked, lines are bounded, commands go before output."""

from __future__ import annotations

import time

import pytest

from brakeline.agent import run_lines
from brakeline.agent.run_lines import Meter, lines_of, masked, masked_words
from brakeline.core.limits import RUN_BYTES_MAX, RUN_LINE_CHARS_MAX


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Get:1 https://user:hunter2@repo.example/debian stable", "Get:1 https://***@repo.example/debian stable"),
        ("E: https://token@repo.example/x not found", "E: https://***@repo.example/x not found"),
        ("db_password=hunter2 host=db", "db_password=*** host=db"),
        ('{"api_key": "abcdef", "port": 1}', '{"api_key": "***", "port": 1}'),
        ("Authorization: Bearer abcdef0123456789", "Authorization: *** ***"),
        ("Author: Jane Doe, maintainer of passwords-are-fun", "Author: Jane Doe, maintainer of passwords-are-fun"),
        ("using bearer abcdef0123456789 now", "using bearer *** now"),
        ("PASSWORD: hunter2", "PASSWORD: ***"),
        ("Setting up openssl (3.0.17-1~deb12u2) ...", "Setting up openssl (3.0.17-1~deb12u2) ..."),
        ("Get:2 https://deb.example/debian bookworm InRelease", "Get:2 https://deb.example/debian bookworm InRelease"),
        ("mail root@example.org about it", "mail root@example.org about it"),
    ],
)
def test_secrets_are_masked_and_nothing_else(line: str, shown: str) -> None:
    assert masked(line)[0] == shown
    assert "hunter2" not in masked(line)[0]


def test_the_end_of_a_log_that_goes_with_a_result_is_masked_too() -> None:
    text = "a\npassword=hunter2\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nlast"
    assert run_lines.masked_text(text) == "a\npassword=***\n***\n***\n***\nlast"


@pytest.mark.parametrize("piece", ["y", "token", "a:", "://x", "basic ", "pass", "secret=", "--token", '"', "-"])
def test_a_line_that_is_made_to_be_slow_is_not(piece: str) -> None:
    """In processor time, with room for any machine: what goes back and forth in a line takes half a second each."""
    line, began_s = (piece * 1000)[:RUN_LINE_CHARS_MAX], time.process_time()
    for _ in range(20):
        masked(line)
    masked_words((line,) * 8)
    assert time.process_time() - began_s < 4


def test_a_private_key_is_masked_to_its_end() -> None:
    lines, inside = [], False
    for line in ("making", "-----BEGIN RSA PRIVATE KEY-----", "MIIEpAIBAAKC", "-----END RSA PRIVATE KEY-----", "made"):
        text, inside = masked(line, inside)
        lines.append(text)
    assert lines == ["making", "***", "***", "***", "made"]


def test_the_words_of_a_command_are_exact_but_for_secrets() -> None:
    assert masked_words(("sh", "-c", "echo 'a b'")) == ("sh", "-c", "echo 'a b'")
    assert masked_words(("tool", "--password", "hunter2", "--token=abc", "x")) == (
        "tool", "--password", "***", "--token=***", "x",
    )  # fmt: skip


def test_a_command_of_many_words_says_how_many_are_missing() -> None:
    shown = masked_words([f"package-{i:05}=1.0" for i in range(1000)])
    kept = len(shown) - 1
    assert shown[-1] == f"… and {1000 - kept} more words"
    assert sum(map(len, shown)) < run_lines.ARGV_CHARS_MAX + 100


def test_lines_end_where_a_terminal_begins_anew() -> None:
    lines, rest = lines_of(b" 10%\r 20%\r\n\x1b[1mDone\x1b[0m\n\nhalf", b"")
    assert (lines, rest) == ([" 10%", " 20%", "Done"], b"half")
    assert lines_of(b" a line\n", rest) == (["half a line"], b"")


def test_a_line_without_end_is_cut_and_says_so() -> None:
    lines, rest = lines_of(b"x" * 10_000)
    assert rest == b""
    assert len(lines[0]) == RUN_LINE_CHARS_MAX
    assert lines[0].endswith("(10,000 characters)")


def test_no_character_of_any_output_is_one_that_the_database_refuses() -> None:
    lines, _ = lines_of(bytes(range(256)) + b"\n")
    assert "\x00" not in "".join(lines)
    "".join(lines).encode()


def test_output_is_bounded_in_a_second_and_in_all_and_commands_have_room() -> None:
    meter, kept = Meter(), 0
    while (after := meter.spend(100, 0.0)) is not None:
        meter, kept = after, kept + 1
    assert kept == run_lines.BURST_LINES
    assert meter.spend(100, 1.0) is not None, "a second later there is room again"
    full = Meter(bytes_left=run_lines.KEPT_FOR_COMMANDS)
    assert full.spend(100, 10.0) is None
    assert full.spend(100, 10.0, command=True) is not None
    assert Meter(bytes_left=99).spend(100, 10.0, command=True) is None
    assert RUN_BYTES_MAX > 4 * run_lines.KEPT_FOR_COMMANDS
