"""What a provider has told already is not told a second time as found on the disk. Pure.

pip's environments by name and version; npm's packages by the tree that they lie in, because the search may have read a
tree before npm changed it, and because a global package may be called otherwise than its directory (an alias). What a
provider does not tell of such a tree stays found: nothing is hidden for its place alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from brakeline.agent.software.model import Found
from brakeline.protocol.managers import belongs
from brakeline.protocol.messages import Package

PYTHON: Final = ("/usr/local/lib/", "/opt/pipx/")  # where pip's provider looks
FOLDERS: Final = {"usr/local": "npm", "usr": "npm-usr"}  # as `npm_sites` labels them
_NAME: Final = r"(?:@[^/]+/)?[^/@.][^/]*"
_TREE: Final = re.compile(
    rf"/(usr|usr/local)/lib/node_modules/({_NAME})((?:/node_modules/{_NAME})*)(?:/package\.json)?"
)


def beside(items: Iterable[Found], known: Iterable[Package]) -> Iterable[Found]:
    """Without what a provider has told already, as its own, with updates."""
    known = tuple(known)
    told = {(_plain(p.name), p.version) for p in known if p.ecosystem == "pypi"}
    npm = {(p.name, p.architecture) for p in known if p.ecosystem == "npm"}
    trees: dict[tuple[str, str], frozenset[str]] = {}
    for item in items:
        match item.ecosystem:
            case "pypi":
                own = item.where.startswith(PYTHON) and (_plain(item.name), item.version) in told
            case "npm":
                own = _in_a_tree(item, npm, trees)
            case _:
                own = False
        if not own:
            yield item


def _in_a_tree(item: Found, npm: set[tuple[str, str]], trees: dict[tuple[str, str], frozenset[str]]) -> bool:
    """Whether npm's provider tells this package, or the application whose own description this is."""
    place = _TREE.fullmatch(item.where)
    if place is None:
        return False
    app, label = place[2], FOLDERS[place[1]]
    if (app, label) not in npm:
        return False
    names = trees.get((app, label))
    if names is None:
        names = trees[app, label] = frozenset(n for n, of in npm if belongs(app, label, (n, of)))
    return not place[3] or item.name in names


def _plain(name: str) -> str:
    """Python's names have one spelling."""
    return name.lower().replace("_", "-").replace(".", "-")
