"""Pure: zypper's XML answers. A stream that was cut off is read as far as it goes; what is missing is missing.

zypper prints one document a run: messages, then a list or the summary of a transaction. rpm and plugins may print lines
of their own into it, before, between and after: so the parts are looked for, the whole is not parsed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

_TAG: Final = re.compile(r"<(/?)([a-z-]+)((?:\s+[a-z_-]+=\"[^\"]*\"|\s+[a-z_-]+='[^']*')*)\s*(/?)>")
_ATTRIBUTE: Final = re.compile(r"([a-z_-]+)=(?:\"([^\"]*)\"|'([^']*)')")
_MESSAGE: Final = re.compile(r'<message type="(\w+)"[^>]*>(.*?)</message>', re.DOTALL)
_PROMPT: Final = re.compile(r"<prompt[^>]*>\s*<description>(.*?)</description>", re.DOTALL)
_CONFLICT: Final = re.compile(
    r"^(?:Conflicts\s*:)?\s+(?P<name>\S+?)(?:\.(?:noarch|x86_64|i[3-6]86|aarch64|ppc64le|s390x|armv\w+|riscv64))? < "
    r"(?P<version>\S+)$"
)
_SOLUTION: Final = re.compile(r"\s*Solution \d+:\s*")
_GOES: Final = re.compile(r"^(?:(?:following actions will be done:\s*)?deinstallation of (?:obsolete )?\S+\s*)+$")


@dataclass(frozen=True, slots=True)
class Element:
    """One opening tag: its name, its attributes, and the names of the lists that it stands in, outermost first."""

    name: str
    attributes: dict[str, str]
    inside: tuple[str, ...]

    def get(self, key: str) -> str:
        return self.attributes.get(key, "")


def elements(text: str) -> tuple[Element, ...]:
    """All tags of an answer in their order. Free text between them is passed over."""
    found: list[Element] = []
    inside: list[str] = []
    for closing, name, attributes, alone in _TAG.findall(text):
        if closing:
            while inside and inside.pop() != name:
                pass
            continue
        values = {k: html.unescape(a or b) for k, a, b in _ATTRIBUTE.findall(attributes)}
        found.append(Element(name, values, tuple(inside)))
        if not alone:
            inside.append(name)
    return tuple(found)


def messages(text: str, *kinds: str) -> tuple[str, ...]:
    """What zypper told people, of these types (error, warning, info)."""
    found = (html.unescape(words).strip() for kind, words in _MESSAGE.findall(text) if kind in kinds)
    return tuple(dict.fromkeys(" ".join(x.split()) for x in found if x))


def problems(text: str) -> tuple[str, ...]:
    """What the resolver could not solve, in its own words."""
    words = [" ".join(_SOLUTION.split(html.unescape(x))[0].split()) for x in _PROMPT.findall(text)]
    words += [m for m in messages(text, "error", "warning", "info") if "roblem: " in m or "nothing provides" in m]
    return tuple(dict.fromkeys(re.sub(r"^.*?roblem: (?:\d+: )?", "", w) for w in words if w))


def to_remove(text: str) -> tuple[str, ...]:
    """Packages whose removal alone would solve the problem, as the resolver itself proposes; empty = none such."""
    for description in _PROMPT.findall(text):
        for solution in _SOLUTION.split(html.unescape(description))[1:]:
            if _GOES.match(solution.strip()):
                found = re.findall(r"deinstallation of (?:obsolete )?(\S+)", solution)
                return tuple(x.rsplit("-", 2)[0] for x in found)
    return ()


@dataclass(frozen=True, slots=True)
class Step:
    """One package of a transaction as the summary has it. `kind`: the list it stands in (to-upgrade, to-install, …)."""

    kind: str
    name: str
    architecture: str
    before: str  # "" in lists of what was not there
    after: str  # "" in to-remove
    repository: str = ""
    architecture_before: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """What zypper would do. `found` False = it came to no summary (a problem, or nothing to do)."""

    found: bool
    steps: tuple[Step, ...] = ()
    vendor_changes: tuple[str, ...] = ()
    download_bytes: int = 0
    disk_bytes: int = 0
    problems: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    would_remove: tuple[str, ...] = ()  # what would have to go for it, where there is no summary


def summary(text: str) -> Summary:
    """The summary of a transaction in an answer of `install`, `update`, `patch` or `remove`."""
    parts = elements(text)
    head = next((e for e in parts if e.name == "install-summary"), None)
    steps, vendors = [], []
    for e in parts:
        lists = [name for name in e.inside if name.startswith("to-")]
        if e.name != "solvable" or not lists or e.get("type") != "package":
            continue
        if lists[-1] == "to-change-vendor":
            vendors.append(e.get("name"))
        else:
            steps.append(_step(lists[-1], e))
    told = problems(text), messages(text, "error")
    if head is None:
        return Summary(False, problems=told[0], errors=told[1], would_remove=to_remove(text))
    return Summary(
        True, tuple(steps), tuple(dict.fromkeys(vendors)), _number(head.get("download-size")),
        _number(head.get("space-usage-diff")), *told,
    )  # fmt: skip


def _step(kind: str, e: Element) -> Step:
    edition, old = e.get("edition"), e.get("edition-old")
    gone = kind == "to-remove"
    before = (edition or old) if gone else old
    return Step(
        kind, e.get("name"), e.get("arch"), before, "" if gone else edition, e.get("repository"), e.get("arch-old")
    )  # fmt: skip


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"-?\d+", text) else 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One line of `search --details`: a version that some repository has, or (`repository` "") that is installed."""

    name: str
    architecture: str
    version: str
    repository: str
    installed: bool


def candidates(text: str) -> tuple[Candidate, ...]:
    """All versions of packages in an answer of `search --details`."""
    return tuple(
        Candidate(e.get("name"), e.get("arch"), e.get("edition"), e.get("repository"), e.get("status") == "installed")
        for e in elements(text)
        if e.name == "solvable" and e.get("kind") == "package"
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """One line of `list-updates`: a newer version of an installed package."""

    name: str
    architecture: str
    installed: str
    candidate: str
    repository: str = ""

    @property
    def key(self) -> str:
        return f"{self.name}:{self.architecture}"


def updates(text: str) -> tuple[Waiting, ...]:
    """The newer versions in an answer of `list-updates`, with the repository that has each."""
    found: list[Waiting] = []
    for e in elements(text):
        if e.name == "update" and e.get("kind") == "package":
            found.append(Waiting(e.get("name"), e.get("arch"), e.get("edition-old"), e.get("edition")))
        elif e.name == "source" and found and not found[-1].repository:
            found[-1] = replace(found[-1], repository=e.get("alias"))
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch of `list-patches`: an advisory of the vendor."""

    name: str
    category: str  # security | recommended | optional | feature | …
    severity: str = ""
    restart: bool = False  # the machine is to be restarted afterwards
    interactive: bool = False  # `zypper --non-interactive patch` skips it, and ends with 0
    package_manager: bool = False  # changes zypper or libzypp itself

    @property
    def security(self) -> bool:
        return self.category == "security"

    @property
    def told(self) -> str:
        marks = [self.category, *(["restart"] if self.restart else [])]
        return f"{self.name} ({', '.join(marks)})"


def patches(text: str) -> tuple[Patch, ...]:
    """The patches in an answer of `list-patches`."""
    return tuple(
        Patch(
            e.get("name"), e.get("category"), e.get("severity"), e.get("restart") == "true",
            e.get("interactive") not in ("", "false"), e.get("pkgmanager") == "true",
        )
        for e in elements(text)
        if e.name == "update" and e.get("kind") == "patch"
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fixed:
    """A patch says that this package is right from this version on."""

    patch: str
    name: str
    version: str


def fixed(text: str) -> tuple[Fixed, ...]:
    """Which packages patches speak of, from `info -t patch`: a patch conflicts with every version below."""
    found, patch = [], ""
    for line in text.splitlines():
        if m := re.match(r"Name\s*: (\S+)", line):
            patch = m[1]
        elif patch and (m := _CONFLICT.match(html.unescape(line))):
            found.append(Fixed(patch, m["name"], m["version"]))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Repository:
    """One enabled repository, as `repos` lists it."""

    alias: str
    name: str
    url: str = ""


def repositories(text: str) -> tuple[Repository, ...]:
    """Enabled repositories of an answer of `repos`."""
    urls = re.findall(r"<url>(.*?)</url>", text)
    found = [e for e in elements(text) if e.name == "repo"]
    return tuple(
        Repository(e.get("alias"), e.get("name"), html.unescape(urls[i]) if i < len(urls) else "")
        for i, e in enumerate(found)
        if e.get("enabled") == "1"
    )


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock of the endpoint's owner: names with `*` and `?`. One of single versions or repositories holds all."""

    names: tuple[str, ...]
    regular: bool = False  # the names are regular expressions
    words: bool = False  # the name must match as a whole word anywhere, not altogether


def locks(text: str) -> tuple[Lock, ...]:
    """The file /etc/zypp/locks: blocks of `key: value`, parted by empty lines. Locks of patches are left out."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        parted = (line.partition(":") for line in block.splitlines() if ":" in line and not line.startswith("#"))
        pairs = [(key.strip(), value.strip()) for key, _, value in parted]
        values = dict(pairs)
        kind, mode = values.get("type", "package"), values.get("match_type", "glob")
        names = tuple(p[1] for p in pairs if p[0] in ("solvable_name", "string", "name"))
        if names and kind == "package" and "version" not in values:  # of one version: zypper itself goes around it
            found.append(Lock(names, mode == "regex", mode in ("substring", "words")))
    return tuple(found)


def holding(name: str, held: Iterable[Lock]) -> str:
    """ "" or the words of the first lock that holds a package of this name."""
    for lock in held:
        for words in lock.names:
            if lock.regular:
                hit = _search(words, name)
            elif lock.words:
                hit = re.search(re.escape(words), name)
            else:
                hit = re.fullmatch(".*".join(".".join(map(re.escape, p.split("?"))) for p in words.split("*")), name)
            if hit:
                return words
    return ""


def _search(pattern: str, name: str) -> re.Match[str] | None:
    """What is no regular expression here is looked for as it stands: never a crash."""
    try:
        return re.search(pattern, name)
    except re.error:
        return re.search(re.escape(pattern), name)
