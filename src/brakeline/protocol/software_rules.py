"""What makes sense in an own package: names, paths, patterns, bounds, and what must go with what. Pure.

Endpoint and server ask the same question, each by itself. A pattern is a small part of regular expressions that cannot
take long: matched from the start of a line, one group, no repetition of a repetition, nothing that looks back.
Next: `software` (the form), `agent.providers.own` (who carries it out).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from brakeline.core.debversion import BadVersion, deb_key
from brakeline.protocol.software import Artifact, Detection, Look, Script, Software, WayBack

NAME: Final = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.\-]{0,62}")
VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.~:\-]{0,63}")
FULL_VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.~:\-]{0,63}(\+[0-9a-f]{12})?")
INTERPRETERS: Final = {
    "linux": {"sh": "/bin/sh", "bash": "/bin/bash", "python3": "/usr/bin/python3"},
    "windows": {"powershell": "powershell.exe", "cmd": "cmd.exe", "msiexec": "msiexec.exe"},
}
TEXT_CHARS_MAX: Final = 200  # of title and vendor
SCRIPT_CHARS_MAX: Final = 64 * 1024
TIMEOUT_S: Final = (1, 3600)  # of each script; a transaction as a whole has an hour
SUCCESS_MAX: Final = 8  # exit codes
PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024  # inside content; larger ones are fetched from their address
ARTIFACT_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
PATTERN_CHARS_MAX: Final = 120
REPEATS_MAX: Final = 3  # of variable length: time is at most the third power of a line of LINE_CHARS_MAX …
PERHAPS_MAX: Final = 4  # … times two to the fourth
LINE_CHARS_MAX: Final = 200
UNSEEN: Final = ("home", "root", "tmp", "dev", "proc", "sys")  # the agent has none, or others of its own
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+\-]{0,99}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_URL: Final = re.compile(r"https?://[A-Za-z0-9._\-]+(:[0-9]{1,5})?/[!-~]{0,900}")
_PATH: Final = re.compile(r"/[A-Za-z0-9._+@ /\-]{1,200}")
_DRIVE: Final = re.compile(r"[A-Z]:/[A-Za-z0-9._+@ ()/\-]{1,200}")
_DEB: Final = re.compile(r"[a-z0-9][a-z0-9+.\-]{1,127}")
_RPM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._\-]{0,127}")
_PROGRAM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,+_()@#&'/\-]{0,119}\*?")
_GUID: Final = re.compile(r"\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}")
_KEY: Final = re.compile(r"HKLM/[A-Za-z0-9][A-Za-z0-9 ._+{}()/\-]{1,200}")
_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._\-]{0,63}")
_WANTED: Final = {  # path, pattern, package
    Look.FILE: (True, True, False), Look.PATH: (True, False, False), Look.DEB: (False, False, True),
    Look.RPM: (False, False, True), Look.RECORD: (False, False, False), Look.PROGRAM: (False, False, True),
    Look.MSI: (False, False, True), Look.REGISTRY: (True, False, True), Look.FILE_VERSION: (True, False, False),
}  # fmt: skip
_OF_LINUX: Final = (Look.DEB, Look.RPM)
_OF_WINDOWS: Final = (Look.PROGRAM, Look.MSI, Look.REGISTRY, Look.FILE_VERSION)
_PACKAGE: Final = {Look.DEB: _DEB, Look.RPM: _RPM, Look.PROGRAM: _PROGRAM, Look.MSI: _GUID, Look.REGISTRY: _VALUE}
_NO_PACKAGE: Final = {
    Look.MSI: "is no product or upgrade code: {…} in capitals", Look.REGISTRY: "is not the name of a value",
    Look.PROGRAM: "is no display name: letters, digits and plain signs, perhaps a * at its end",
}  # fmt: skip
_CLASS: Final = re.compile(r"\[(?:\\.|[^\]\\])+\]")
_REPEAT: Final = re.compile(r"[*+?]|\{[0-9]{1,3}(,[0-9]{0,3})?\}")


def problem(software: Software) -> str:
    """Why this is no own package, in a sentence with what to do; "" = it is one."""
    return next(filter(None, _problems(software)), "")


def _problems(s: Software) -> Iterator[str]:
    if not NAME.fullmatch(s.name):
        yield f"name {s.name[:60]!r}: 1 to 63 of a-z, 0-9, dot and hyphen, a letter or digit first"
    yield _version(s.version)
    for what, text in (("title", s.title), ("vendor", s.vendor)):
        if len(text) > TEXT_CHARS_MAX or not text.isprintable() or (what == "title" and not text.strip()):
            yield f"{what} is a line of 1 to {TEXT_CHARS_MAX} characters"
    if len(s.platforms) != 1 or s.platforms[0] not in INTERPRETERS:
        yield f"platforms is one of {', '.join(INTERPRETERS)}: scripts are one system's, so make a package for each"
        return
    yield _detection(s.detection, s.platforms[0])
    if s.artifact is not None:
        yield _artifact(s.artifact)
    for name, script in s.scripts.items():
        yield _script(name, script, s.platforms[0])
    if s.detection.kind is Look.RECORD and s.uninstall is None and s.artifact is not None:
        yield "detection by record alone is for scripts: say how to see on the endpoint that the artifact is installed"
    if s.way_back is WayBack.NONE and s.uninstall is not None:
        yield "way_back is none, and there is an uninstall script: one of the two is not meant"


def _version(version: str) -> str:
    if not VERSION.fullmatch(version):
        return f"version {version[:60]!r}: begins with a digit; digits, letters, dot, tilde, colon, hyphen; at most 64"
    try:
        deb_key(version)
    except BadVersion as e:
        return f"version {version[:60]!r} cannot be compared (Debian's order is used): {e.detail or e}"
    return ""


def _detection(d: Detection, platform: str) -> str:
    names = ("path", "pattern", "package")
    given = (d.path, d.pattern, d.package)
    for name, value, needed in zip(names, given, _WANTED[d.kind], strict=True):
        if bool(value) != needed:
            return f"detection by {d.kind.value} {'needs' if needed else 'has no'} {name}"
    if d.kind in _OF_LINUX and platform != "linux":
        return f"detection by {d.kind.value} is for linux"
    if d.kind in _OF_WINDOWS and platform != "windows":
        return f"detection by {d.kind.value} is for windows"
    if d.package and not _PACKAGE[d.kind].fullmatch(d.package):
        return f"detection: {d.package[:60]!r} {_NO_PACKAGE.get(d.kind, 'is not the name of a package')}"
    if d.kind is Look.REGISTRY:
        return "" if _KEY.fullmatch(d.path) else f"detection: {d.path[:60]!r} is no key: HKLM/SOFTWARE/… with slashes"
    return _path(d.path, platform) or (pattern_problem(d.pattern) if d.pattern else "")


def _path(path: str, platform: str) -> str:
    form = _DRIVE if platform == "windows" else _PATH
    if path and (not form.fullmatch(path) or any(part in ("", ".", "..") for part in path.split("/")[1:])):
        return f"detection: {path[:60]!r} is no plain absolute path"
    if path and (path.split("/")[1] in UNSEEN or path.startswith(("/var/tmp/", "/run/user/"))):  # noqa: S108
        return f"detection: {path[:60]!r} is where the agent does not look: name one elsewhere"
    return ""


def _artifact(a: Artifact) -> str:
    if not _FILE.fullmatch(a.file):
        return f"artifact: {a.file[:60]!r} is no plain file name"
    if not _SHA256.fullmatch(a.sha256):
        return "artifact: sha256 is 64 hex digits, in small letters"
    if a.url and not _URL.fullmatch(a.url):
        return f"artifact: {a.url[:60]!r} is no http or https address"
    most = ARTIFACT_BYTES_MAX if a.url else PAYLOAD_BYTES_MAX
    if not 0 < a.bytes <= most:
        more = "" if a.url else "; give larger ones a url that endpoints can reach"
        return f"artifact: {a.bytes} bytes, 1 to {most} are taken{more}"
    return ""


def _script(name: str, s: Script, platform: str) -> str:
    known = INTERPRETERS[platform]
    if s.interpreter not in known:
        return f"{name}: on {platform} the interpreter is one of {', '.join(known)}, not {s.interpreter[:20]!r}"
    if not s.text.strip() or len(s.text) > SCRIPT_CHARS_MAX or "\0" in s.text:
        return f"{name}: text is 1 to {SCRIPT_CHARS_MAX} characters; leave a script out that has nothing to do"
    words = s.text.lower().split()
    if s.interpreter == "msiexec" and not {"/qn", "/quiet"} & set(words):
        return f"{name}: msiexec needs /qn or /quiet, so that it asks nothing"
    if s.interpreter == "msiexec" and "/norestart" not in words:
        return f"{name}: msiexec needs /norestart: a package never restarts the machine by itself"
    if not TIMEOUT_S[0] <= s.timeout_s <= TIMEOUT_S[1]:
        return f"{name}: timeout_s is {TIMEOUT_S[0]} to {TIMEOUT_S[1]}"
    if not 0 < len(s.success) <= SUCCESS_MAX or not all(0 <= code <= 65535 for code in s.success):
        return f"{name}: success is 1 to {SUCCESS_MAX} exit codes"
    return ""


def pattern_problem(pattern: str) -> str:
    """Why this pattern is not taken; "" = it is a small one that ends soon on any line."""
    if len(pattern) > PATTERN_CHARS_MAX or not pattern.isprintable():
        return f"pattern: at most {PATTERN_CHARS_MAX} printable characters"
    bare = re.sub(r"\\[.\-+*?()\[\]{}|/^$\\dws]", "x", _CLASS.sub("x", pattern))
    if "\\" in bare or "(?" in bare or "|" in bare:
        return "pattern: no back-references, no (?…), no alternatives: a line, with one group around the version"
    if bare.count("(") != 1 or bare.count(")") != 1:
        return "pattern: exactly one group, which is the version"
    if re.search(r"\)(?:[*+?{])", bare):
        return "pattern: the group is not repeated"
    repeats = [m[0] for m in _REPEAT.finditer(bare)]
    if sum(r in "*+" or "," in r for r in repeats) > REPEATS_MAX or repeats.count("?") > PERHAPS_MAX:
        return f"pattern: at most {REPEATS_MAX} of *, + and {{m,n}}, and {PERHAPS_MAX} of ?"
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as e:
        return f"pattern: {e}"
    return ""


def version_in(pattern: str, text: str) -> str:
    """The version that the first fitting line has, "" = none has one that could be compared."""
    fits = re.compile(pattern)
    for line in text.splitlines():
        found = fits.match(line[:LINE_CHARS_MAX])
        if found and VERSION.fullmatch(found[1]) and not _version(found[1]):
            return found[1]
    return ""
