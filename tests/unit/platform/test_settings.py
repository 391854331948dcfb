"""Settings: three kinds of origin, and every mistake named."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from brakeline.platform.settings import Settings, SettingsWrong, load_settings, shown

REFERENCE = Path(__file__).parents[3] / "docs/reference/settings.md"


def test_later_origins_win_and_are_named(tmp_path: Path) -> None:
    first, second = tmp_path / "10.toml", tmp_path / "20.toml"
    first.write_text('port = 1\nregion = "eu"\ncell = "c"\n')
    second.write_text("port = 2\n")
    loaded = load_settings((first, second), {"BRAKELINE_REGION": "us", "HOME": "/x"}, {"cell": "d", "host": None})
    assert (loaded.settings.port, loaded.settings.region, loaded.settings.cell) == (2, "us", "d")
    assert loaded.origins["port"] == str(second)
    assert loaded.origins["region"] == "environment BRAKELINE_REGION"
    assert loaded.origins["cell"] == "command line"
    assert loaded.origins["host"] == "default"


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("prot = 1", "unknown setting 'prot'; did you mean 'port'?"),
        ("zzzz = 1", "unknown setting 'zzzz'."),
        ("port = 70000", "between 0 and 65535"),
        ('port = "a"', "must be a whole number, not 'a'"),
        ("port = true", "must be a whole number"),
        ("public_names = 3", "must be a list of names"),
        ("region = 3", "must be a text"),
        ('log_format = "xml"', "must be one of console, json"),
        ('dsn_app = "postgresql://x"', "without dsn"),
        ('feed_urls = ["csaf-redhat"]', "expected FEED=https://"),
        ("port 3", "is not TOML"),
    ],
)
def test_mistakes_in_files_are_named_with_their_place(tmp_path: Path, toml: str, says: str) -> None:
    path = tmp_path / "server.toml"
    path.write_text(toml)
    with pytest.raises(SettingsWrong) as caught:
        load_settings((path,))
    assert says in str(caught.value)
    assert str(path) in str(caught.value) or "dsn_app" in toml


def test_a_mistyped_variable_is_an_error_too() -> None:
    with pytest.raises(SettingsWrong, match=r"environment BRAKELINE_PROT.*did you mean 'port'"):
        load_settings(environment={"BRAKELINE_PROT": "1"})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsWrong, match="cannot be read"):
        load_settings((tmp_path / "none.toml",))


def test_variables_are_parsed_by_the_type_of_the_setting() -> None:
    loaded = load_settings(environment={"BRAKELINE_PUBLIC_NAMES": "a.example, 10.0.0.1,", "BRAKELINE_PORT": "0"})
    assert loaded.settings.public_names == ("a.example", "10.0.0.1")
    assert loaded.settings.port == 0


def test_further_feeds_have_addresses_of_their_own() -> None:
    arch = "arch-security=https://a.example/all.json"
    given = {"BRAKELINE_FEED_URLS": arch, "BRAKELINE_EPSS_URL": "https://b.example/e"}
    assert load_settings(environment=given).settings.feed_addresses() == {
        "epss": "https://b.example/e", "arch-security": "https://a.example/all.json",
    }  # fmt: skip


def test_passwords_are_not_shown() -> None:
    for dsn in ("postgresql://me:secret@db:5432/brakeline", "postgresql:///b?host=/run&password=secret"):
        rows = shown(load_settings(overrides={"dsn": dsn}))
        assert "secret" not in str(rows)
        assert "postgresql://" in str(rows)


def test_the_reference_page_names_every_setting_with_its_meaning_and_default() -> None:
    page = REFERENCE.read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(fields(Settings))
    for spec, row in zip(fields(Settings), rows, strict=True):
        default = ", ".join(spec.default) if isinstance(spec.default, tuple) else spec.default
        assert row == f"| `{spec.name}` | {'' if default in (None, '') else f'`{default}`'} | {spec.metadata['doc']} |"


@pytest.mark.parametrize(("given", "meant"), [("true", True), ("False", False), (True, True)])
def test_a_switch_is_true_or_false(given: object, meant: bool) -> None:
    assert load_settings(overrides={"specimens": given}).settings.specimens is meant


def test_a_switch_takes_nothing_else() -> None:
    with pytest.raises(SettingsWrong, match="true or false"):
        load_settings(environment={"BRAKELINE_SPECIMENS": "perhaps"})
