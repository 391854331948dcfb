"""Logs: one JSON object a line, with the request's id; stdout stays free."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from brakeline.platform.observe import logger, request_id_now, set_up_logs


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_json_lines_hold_the_event_its_facts_and_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json", "info")
    token = request_id_now.set("rq_7")
    structlog.get_logger().info("endpoint-enrolled", endpoint_id="ep_1", text="two\nlines")
    structlog.get_logger().debug("not-shown")
    request_id_now.reset(token)
    structlog.get_logger().warning("later")
    said = capsys.readouterr()
    assert said.out == ""
    first, second = map(json.loads, said.err.splitlines())
    assert {k: first[k] for k in ("event", "level", "endpoint_id", "request_id", "text")} == {
        "event": "endpoint-enrolled", "level": "info", "endpoint_id": "ep_1", "request_id": "rq_7",
        "text": "two\nlines",
    }  # fmt: skip
    assert first["timestamp"].endswith("Z")
    assert "request_id" not in second


def test_a_traceback_is_one_line_of_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json")
    try:
        raise ValueError("odd")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: odd" in json.loads(line)["exception"]


def test_the_shared_logger_has_the_levels_that_are_used() -> None:
    assert all(callable(getattr(logger, level)) for level in ("debug", "info", "warning", "error", "exception"))


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_defect_is_told_without_what_people_have_sent(capsys: pytest.CaptureFixture[str], form: str) -> None:
    set_up_logs(form)

    def log_in(password: str) -> None:
        raise ValueError(f"odd at {len(password)}")

    try:
        log_in("".join(("hor", "se")))  # what is passed, not the line that passes it, would be the leak
    except ValueError:
        structlog.get_logger().exception("failed")
    said = capsys.readouterr().err
    assert "ValueError: odd at 5" in said
    assert "in log_in" in said, "where it was stands there"
    assert "horse" not in said
