"""Which files tell of software, by name alone, and where no look is worth its cost. Pure."""

from __future__ import annotations

from typing import Final

PYTHON, NODE, RUBY, JAVA, CARGO, PROGRAM, IMAGE, STORE = (
    "python", "node", "ruby", "java", "cargo", "program", "image", "store",
)  # fmt: skip
JAVA_ENDINGS: Final = (".jar", ".war", ".ear")
ROOTS: Final = ("/usr", "/opt", "/srv", "/var/lib", "/var/www", "/home", "/root")
PRUNED_NAMES: Final = frozenset((
    ".git", ".hg", ".svn", "__pycache__", ".cache", "proc", "sys", "dev", "lost+found", "overlay2", "overlay", "vfs",
    "zoneinfo", "locale", "i18n", "man", "terminfo", "icons", "fonts", "help", "include",
    "_cacache", ".npm", ".m2", ".gradle", ".ivy2",  # downloads, not installations
))  # fmt: skip
PRUNED: Final = frozenset((
    "/usr/share/doc", "/usr/src", "/var/lib/dpkg", "/var/lib/apt", "/var/lib/rpm", "/var/lib/pacman",
    "/var/lib/brakeline", "/var/lib/brakeline-launcher", "/var/lib/brakeline-helper", "/var/lib/systemd",
    "/var/lib/machines", "/var/lib/lxcfs", "/usr/lib/modules", "/usr/lib/firmware",
))  # fmt: skip
PROGRAM_DIRECTORIES: Final = frozenset(("bin", "sbin", "libexec"))
PROGRAM_PREFIXES: Final = ("/opt/", "/srv/")


def kind_of(directory: str, name: str) -> str:
    """What `name` in `directory` would tell, "" = nothing."""
    base = directory.rpartition("/")[2]
    if name == "METADATA":
        return PYTHON if base.endswith(".dist-info") else ""
    if name == "PKG-INFO":
        return PYTHON if base.endswith(".egg-info") or base == "EGG-INFO" else ""
    if name == "package.json":
        return NODE if _in_node_modules(directory) else ""
    return _by_ending(directory, base, name)


def _by_ending(directory: str, base: str, name: str) -> str:
    if name.endswith(JAVA_ENDINGS):
        return JAVA
    if name.endswith(".egg-info"):
        return PYTHON  # a file: what distutils wrote
    if name.endswith(".gemspec"):
        return RUBY if "specifications" in directory.rsplit("/", 2)[-2:] else ""
    if name in (".crates2.json", "index.json"):
        return CARGO if name == ".crates2.json" else IMAGE
    if name == "images.json":
        return STORE if base.endswith("-images") else ""
    if "." not in name and (base in PROGRAM_DIRECTORIES or directory.startswith(PROGRAM_PREFIXES)):
        return PROGRAM
    return ""


def _in_node_modules(directory: str) -> bool:
    above = directory.split("/")[-3:-1]
    return above[-1:] == ["node_modules"] or (
        len(above) == 2 and above[0] == "node_modules" and above[1].startswith("@")
    )


def is_pruned(path: str, name: str) -> bool:
    """Whether nothing below `path` is looked at."""
    return name in PRUNED_NAMES or path in PRUNED
