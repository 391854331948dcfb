"""What a provider tells is told once: not again as found on the disk, and nothing is hidden for its place alone."""

from __future__ import annotations

from brakeline.agent.npm_sites import PREFIXES
from brakeline.agent.software.managed import FOLDERS, beside
from brakeline.agent.software.model import Found
from brakeline.protocol.messages import Package

MODULES = "/usr/local/lib/node_modules"


def of(ecosystem: str, name: str, label: str, version: str) -> Package:
    return Package(name, label, version, name, version, "ii", "", ecosystem)


def at(where: str, name: str, version: str = "1.0.0", ecosystem: str = "npm") -> Found:
    return Found(ecosystem, name, version, where)


KNOWN = (
    of("npm", "app", "npm", "1.1.0"),
    of("npm", "part", "npm-in-app", "1.1.0"),
    of("npm", "part", "npm-in-app~2", "2.0.0"),
    of("npm", "@scope/tool", "npm-usr", "3.0.0"),
    of("npm", "@scope/bit", "npm-usr-in-scope+tool", "1.0.0"),
    of("pypi", "black", "pypi-black", "24.1"),
)


def left(*items: Found) -> list[str]:
    return [item.where for item in beside(items, KNOWN)]


def test_an_application_of_npm_and_its_parts_are_told_once() -> None:
    tree = "/usr/lib/node_modules/@scope/tool"
    assert left(
        at(f"{MODULES}/app", "app", "1.1.0"),
        at(f"{MODULES}/app/node_modules/part", "part", "1.1.0"),
        at(f"{MODULES}/app/node_modules/other/node_modules/part", "part", "2.0.0"),
        at(tree, "@scope/tool", "3.0.0"),
        at(f"{tree}/node_modules/@scope/bit", "@scope/bit"),
    ) == []  # fmt: skip


def test_what_the_search_had_read_before_npm_changed_it_is_not_told_beside_what_is_there_now() -> None:
    assert left(at(f"{MODULES}/app", "app", "1.0.0"), at(f"{MODULES}/app/node_modules/part", "part", "0.9.0")) == []


def test_a_global_package_that_is_called_otherwise_than_its_directory_is_told_once() -> None:
    assert left(at(f"{MODULES}/app", "published-as-this", "1.1.0")) == []


def test_what_the_provider_does_not_tell_stays_found() -> None:
    places = [
        f"{MODULES}/app/node_modules/unlisted",  # beyond what the provider lists
        f"{MODULES}/app/vendor/node_modules/part",  # a copy that npm knows nothing of
        f"{MODULES}/strange/node_modules/part",  # an application that no provider tells
        "/usr/lib/node_modules/app/node_modules/part",  # the other folder's
        "/usr/local/lib/own/node_modules/part",  # another program's
        "/srv/web/node_modules/part",
    ]
    assert left(*(at(place, place.rpartition("/")[2]) for place in places)) == places


def test_python_is_told_once_by_name_and_version() -> None:
    environment = "/opt/pipx/venvs/black/lib/python3.11/site-packages"
    assert left(at(f"{environment}/black-24.1.dist-info", "Black", "24.1", "pypi")) == []
    others = [at(f"{environment}/x", "black", "23.0", "pypi"), at("/srv/app/y", "black", "24.1", "pypi")]
    assert left(*others) == [o.where for o in others]


def test_folders_are_those_of_the_provider() -> None:
    assert {prefix: label for label, prefix in PREFIXES} == FOLDERS
