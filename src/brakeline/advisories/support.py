"""Until when a vendor looks after a release: the feed `end-of-life` (endoflife.date's JSON) -> rows, and what they say.

Invariants: pure; a release past its end is told as such, because an assessment without a vendor's word looks like calm;
what is not listed, or has no day, is not called ended. Where several editions are of one build it has ended when all
have. Strict as all feeds: one garbled product raises `BadFeed` with its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from brakeline.advisories.importers import DAY, BadFeed
from brakeline.advisories.vendors.parts import listed, mapped, moment, text

FEED: Final = "end-of-life"
KIND: Final = "eol"
PRODUCTS_MAX: Final = 5_000
RELEASES_MAX: Final = 5_000
PRODUCTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({  # a system's own id -> the feed's names
    "debian": ("debian",), "ubuntu": ("ubuntu",), "almalinux": ("almalinux",), "rocky": ("rocky-linux",),
    "rhel": ("rhel",), "centos": ("centos", "centos-stream"), "ol": ("oracle-linux",), "fedora": ("fedora",),
    "alpine": ("alpine-linux", "alpine"), "sles": ("sles",), "opensuse-leap": ("opensuse",), "amzn": ("amazon-linux",),
    "windows": ("windows", "windows-server"), "macos": ("macos",),
})  # fmt: skip


class Release(NamedTuple):
    """One release of a product. `ended`, `extended`: ISO days until which it is looked after, "" = none is told."""

    product: str
    release: str
    label: str
    ended: str
    extended: str  # by a support that is paid for
    build: str  # of its newest version; Windows says its release by it


class Said(NamedTuple):
    """What a file says."""

    rows: list[Release]
    issued: str


def read(data: bytes, name: str) -> Said:
    """Every release of every product. Raises `BadFeed`."""
    try:
        document = mapped(json.loads(data), "the file")
        issued = moment(document.get("generated_at"), "generated_at")
        result = document.get("result")
        products = [result] if type(result) is dict else listed(result, "result", PRODUCTS_MAX)
        rows = [row for product in products for row in _product(mapped(product, "a product"))]
    except (ValueError, RecursionError) as e:
        raise BadFeed(str(e)[:160], file=name) from None
    if not rows or len({row[:2] for row in rows}) < len(rows):
        raise BadFeed("it has no release, or one stands there twice", file=name, rows=len(rows))
    return Said(rows, issued)


def _product(said: dict[str, Any]) -> list[Release]:
    name = text(said.get("name"), "a product's name", 100)
    label = text(said.get("label", name), "a label", 100)
    try:
        releases = listed(said.get("releases"), "releases", RELEASES_MAX)
        return [_release(name, label, mapped(each, "a release")) for each in releases]
    except ValueError as e:
        raise ValueError(f"{name}: {e}") from None


def _release(product: str, label: str, said: dict[str, Any]) -> Release:
    release = text(said.get("name"), "a release's name", 100)
    latest = mapped(said.get("latest"), "latest").get("name")
    build = text(latest, "latest", 100) if latest else ""
    return Release(product, release, f"{label} {release}", _day(said, "eolFrom"), _day(said, "eoesFrom"), build)


def _day(said: dict[str, Any], key: str) -> str:
    day = said.get(key)
    if day is None:
        return ""
    if type(day) is not str or not DAY.fullmatch(day):
        raise ValueError(f"{key} is a day such as 2026-11-20")
    return day


def candidates(os_id: str) -> tuple[str, ...]:
    """The feed's names of the products that a system may be."""
    return PRODUCTS.get(os_id, ())


def ended(rows: Iterable[Release], os_id: str, os_version: str, today: str) -> str:
    """Why a system is no longer assessed by its vendor, in one sentence; "" = it is, or nothing is known."""
    mine = [row for row in rows if row.product in candidates(os_id) and _is(row, os_id, os_version)]
    if not mine or not all(row.ended and row.ended < today for row in mine):
        return ""
    last = max(mine, key=lambda row: (row.ended, row.extended))
    said = f"{last.label} is no longer assessed by its vendor since {last.ended}: what was found later is not told"
    if last.extended >= today:
        return f"{said}, except to those who pay for support until {last.extended}"
    return said


def _is(row: Release, os_id: str, version: str) -> bool:
    if os_id == "windows":
        return row.build == version
    return version == row.release or version.startswith(f"{row.release}.")
