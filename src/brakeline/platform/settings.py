"""The server's settings: TOML files, then environment, then command line, into one frozen `Settings`.

What always holds: names carry their units; an unknown key is an error with a suggestion, wherever it stands; the
origin of every value is kept (`brakeline config show`). Later origins win: default, each file in the order given,
`BRAKELINE_<KEY>`, command line. The field's metadata is its documentation: `docs/reference/settings.md` is tested
against it.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from brakeline.core.errors import Fault
from brakeline.core.limits import CHECK_IN_INTERVAL_S

PREFIX: Final = "BRAKELINE_"
DATA_DIR: Final = Path("var")
# Variables with our prefix that are no settings of the server.
OTHER_VARIABLES: Final = frozenset({
    "BRAKELINE_CACHE", "BRAKELINE_CONFIG", "BRAKELINE_CONTEXT", "BRAKELINE_TOKEN", "BRAKELINE_URL",
    "BRAKELINE_RELEASE_PASSPHRASE", "BRAKELINE_RELEASE_PIN",
})  # fmt: skip
OTHER_PREFIXES: Final = ("BRAKELINE_REQUIRE", "BRAKELINE_TEST", "BRAKELINE_DEV", "BRAKELINE_AGENT", "BRAKELINE_FLEET")


class SettingsWrong(Fault):
    """The settings cannot be used as they stand."""

    code, status = "settings", 422
    hint = "Every setting with its meaning: `brakeline config show`, docs/reference/settings.md."


def _setting(default: Any, doc: str, low: int | None = None, high: int | None = None) -> Any:
    return field(default=default, metadata={"doc": doc, "low": low, "high": high})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, with its default."""

    data_dir: Path = _setting(DATA_DIR, "Directory of database, keys, certificates and journals.")  # noqa: RUF009
    host: str = _setting("127.0.0.1", "Address to listen on; 0.0.0.0 for all.")
    port: int = _setting(8443, "TCP port to listen on; 0 = any free one.", 0, 65535)
    public_names: tuple[str, ...] = _setting(
        (), "Names and addresses under which endpoints and people reach this server; they go into its certificate."
    )
    cell: str = _setting("cell-1", "Name of this cell.")
    region: str = _setting(
        "local", "Region of this cell; endpoints belong to it unless their enrolment token says more."
    )
    check_in_interval_s: int = _setting(CHECK_IN_INTERVAL_S, "Seconds between an endpoint's check-ins.", 1, 3600)
    dsn: str | None = _setting(
        None, "Address of a PostgreSQL (15 or newer) to use instead of the embedded one, as its owner's user."
    )
    dsn_app: str | None = _setting(
        None, "With dsn: address for the role brakeline_app, if an administrator made the roles."
    )
    dsn_feed: str | None = _setting(None, "With dsn_app: address for the role brakeline_feed.")
    pg_bindir: Path | None = _setting(  # noqa: RUF009
        None, "Directory of PostgreSQL programs to use instead of the wheel's."
    )
    epss_url: str | None = _setting(None, "Where EPSS is fetched from every six hours; empty = it is imported by hand.")
    kev_url: str | None = _setting(None, "The same for the catalogue of known exploited vulnerabilities.")
    cvss_url: str | None = _setting(None, "The same for CVSS vectors.")
    feed_urls: tuple[str, ...] = _setting((), "Further feeds and their addresses, as FEED=https://….")
    event_networks: tuple[str, ...] = _setting(
        (), "Private networks that events may be sent to, such as 10.2.0.0/16; public addresses need none."
    )
    metrics_networks: tuple[str, ...] = _setting(
        ("127.0.0.0/8", "::1/128"), "Networks of the monitors that may read /metrics, such as 10.2.0.0/16."
    )
    run_log_days: int = _setting(30, "Days for which the output of package transactions is kept.", 1, 3650)
    run_log_mib: int = _setting(
        1024, "MiB of it that one organisation keeps at most; beyond that the oldest go first.", 1, 1_000_000
    )
    history_days: int = _setting(400, "Days for which changes of installed software are kept.", 1, 3650)
    log_format: str = _setting("console", "How to log to stderr: console or json.")
    log_level: str = _setting("info", "Least important events to log: debug, info, warning or error.")
    specimens: bool = _setting(False, "Serve /_ui: every component of the console in every state, for its developers.")

    def feed_addresses(self) -> dict[str, str]:
        """Feed -> where it is fetched from."""
        named = {"epss": self.epss_url, "cisa-kev": self.kev_url, "cvss": self.cvss_url}
        further = dict(each.partition("=")[::2] for each in self.feed_urls)
        return {feed: url for feed, url in (*named.items(), *further.items()) if url}


FEED_URL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,80}=https?://\S{1,2000}")
WANTED: Final = {"int": "a whole number", "bool": "true or false", "tuple[str, ...]": "a list of names"}
CHOICES: Final = {"log_format": ("console", "json"), "log_level": ("debug", "info", "warning", "error")}
SECRET: Final = frozenset({"dsn", "dsn_app", "dsn_feed"})  # may hold a password: shown without it


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each value comes from: "default", a file, a variable, "command line"."""

    settings: Settings
    origins: Mapping[str, str]


def default_files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Files that are read when they exist: /etc/brakeline, then what BRAKELINE_CONFIG names."""
    fragments = sorted(Path("/etc/brakeline/server.d").glob("*.toml"))
    files = [p for p in (Path("/etc/brakeline/server.toml"), *fragments) if p.exists()]
    named = environment.get("BRAKELINE_CONFIG")
    return (*files, *([Path(named)] if named else []))


def load_settings(
    files: Sequence[Path] = (), environment: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Loaded:
    """The settings from all origins; a key of `overrides` that is None counts as not given. Raises `SettingsWrong`."""
    known: dict[str, Field[Any]] = {f.name: f for f in fields(Settings)}
    values: dict[str, Any] = {}
    origins = dict.fromkeys(known, "default")
    for origin, given in _sources(files, environment or {}, overrides or {}):
        for key, raw in given.items():
            if key not in known:
                raise SettingsWrong(_unknown(key, origin, known))
            values[key] = _checked(known[key], raw, origin)
            origins[key] = origin
    settings = Settings(**values)
    if settings.dsn_app and not settings.dsn:
        raise SettingsWrong("dsn_app is set without dsn; the embedded database makes its own roles")
    for each in settings.feed_urls:
        if not FEED_URL.fullmatch(each):
            raise SettingsWrong(f"{origins['feed_urls']}: feed_urls: expected FEED=https://…, not {each[:60]!r}")
    return Loaded(settings, origins)


def shown(loaded: Loaded) -> list[tuple[str, str, str]]:
    """(name, value as text without passwords, origin) of every setting, in the order of `Settings`."""
    return [
        (f.name, _shown_value(f.name, getattr(loaded.settings, f.name)), loaded.origins[f.name])
        for f in fields(Settings)
    ]


def _sources(
    files: Sequence[Path], environment: Mapping[str, str], overrides: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, Any]]]:
    sources: list[tuple[str, Mapping[str, Any]]] = [(str(path), _read(path)) for path in files]
    for variable in sorted(environment):
        ours = variable.startswith(PREFIX) and variable not in OTHER_VARIABLES
        if ours and not variable.startswith(OTHER_PREFIXES):
            sources.append((f"environment {variable}", {variable.removeprefix(PREFIX).lower(): environment[variable]}))
    given = {k: v for k, v in overrides.items() if v is not None}
    return [*sources, ("command line", given)]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise SettingsWrong(f"{path} cannot be read: {e.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SettingsWrong(f"{path} is not TOML: {e}") from None


def _unknown(key: str, origin: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"{origin}: unknown setting {key!r}" + (f"; did you mean {near[0]!r}?" if near else ".")


def _checked(spec: Field[Any], raw: Any, origin: str) -> Any:
    """`raw` as the field's type; text from the environment is parsed, TOML values must have the type already."""
    kind = str(spec.type)
    wanted = WANTED.get(kind, "a text")
    try:
        value = _converted(kind, raw)
    except (TypeError, ValueError, KeyError):
        raise SettingsWrong(f"{origin}: {spec.name} must be {wanted}, not {str(raw)[:60]!r}") from None
    low, high = spec.metadata["low"], spec.metadata["high"]
    if low is not None and not low <= value <= high:
        raise SettingsWrong(f"{origin}: {spec.name} must lie between {low} and {high}, not {value}")
    if spec.name in CHOICES and value not in CHOICES[spec.name]:
        raise SettingsWrong(f"{origin}: {spec.name} must be one of {', '.join(CHOICES[spec.name])}, not {value!r}")
    return value


def _converted(kind: str, raw: Any) -> Any:
    if kind == "int":
        if isinstance(raw, bool) or not isinstance(raw, (int, str)):
            raise TypeError
        return int(raw)
    if kind == "bool":
        if isinstance(raw, bool):
            return raw
        return {"true": True, "false": False}[str(raw).lower()]
    if kind == "tuple[str, ...]":
        parts = raw.split(",") if isinstance(raw, str) else raw
        if not isinstance(parts, (list, tuple)) or not all(isinstance(p, str) for p in parts):
            raise TypeError
        return tuple(p.strip() for p in parts if p.strip())
    if not isinstance(raw, (str, Path)):
        raise TypeError
    if raw == "" and kind.endswith("| None"):
        return None
    return Path(raw) if kind.startswith("Path") else str(raw)


def _shown_value(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in SECRET:
        head, at, tail = str(value).rpartition("@")
        scheme, _, user = head.partition("://")
        return f"{scheme}://{user.partition(':')[0]}:…@{tail}" if at else str(value).partition("?")[0]
    return ", ".join(value) if isinstance(value, tuple) else str(value)
