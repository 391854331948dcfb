"""Where the bench keeps a fleet for its next run: nothing that somebody else has put there is removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import _site


def test_a_directory_with_something_else_in_it_is_no_place_for_a_fleet(tmp_path: Path) -> None:
    kept = tmp_path / "home"
    kept.mkdir()
    (kept / "thesis.tex").write_text("the only copy")
    with pytest.raises(SystemExit, match="is no fleet that was kept"):
        _site.site(tmp_path / "run", 10, kept)
    assert (kept / "thesis.tex").read_text() == "the only copy"


def test_one_that_was_left_half_made_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, run = tmp_path / "kept", tmp_path / "run"
    run.mkdir()

    def cut(directory: Path, endpoints: int) -> dict[str, int]:
        (directory / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(_site, "_filled", cut)
    with pytest.raises(KeyboardInterrupt):
        _site.site(run, 10, kept)
    monkeypatch.setattr(_site, "_filled", lambda directory, endpoints: {"endpoints": endpoints})
    assert _site.site(run, 10, kept)["endpoints"] == 10
    assert not (kept / "half").exists()
    assert (run / _site.MADE).exists()
