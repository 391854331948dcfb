"""`brakeline exposure assess`: findings of one inventory file against advisory files, without a server.

Invariants: imports nothing but the standard library's cheap modules and the pure matcher, because the whole run
takes about as long as importing a command-line framework would (bench/assess.py measures the process);
`cli.exposure` shows the same verb in the list of verbs and hands over to `run`.
Exit codes: 0 assessed (with or without findings), 2 wrong usage or bad input.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from brakeline.advisories.ecosystems import UNSORTED, canonical, key_of, order_of
from brakeline.advisories.importers import advisories, is_kev, known_exploited, unpacked
from brakeline.advisories.model import DEBIAN_12, Advisory
from brakeline.cli.faults import BadUsage, CannotRead
from brakeline.core.debversion import BadVersion
from brakeline.core.errors import Fault
from brakeline.exposure.files import inventory
from brakeline.exposure.match import Book, assess
from brakeline.exposure.model import Assessment, Finding, Installed, Unit
from brakeline.exposure.units import also_as, ecosystem_of, unit_of

if TYPE_CHECKING:
    from brakeline.advisories.osv.model import Span

USAGE = """\
Usage: brakeline exposure assess --inventory FILE --advisories PATH... [--release R] [--kernel K] [--json]

Find the advisories that stand open for an inventory; no server is needed.

  --inventory FILE      packages, one JSON object a line (.jsonl or .jsonl.zst); those of a registry
                        say which: "ecosystem": pypi, npm, golang, maven, nuget, crates.io, winget
  --advisories PATH...  advisory rows (.jsonl or .jsonl.zst), CISA's catalogue of known exploited
                        vulnerabilities (.json or .json.zst), OSV's and RustSec's documents (lines,
                        JSON, all.zip), Debian's tracker, Alpine's secdb, a bundle of another cell;
                        "seed" = what came with Brakeline
  --release R           ecosystem:release of the inventory, and of rows that name none:
                        almalinux:9, alpine:3.19, arch, ...; default debian:12
  --kernel K            `uname -r` of the machine: the kernel is judged by the running one
  --json                one JSON document on standard output
"""
EXIT_USAGE = 2
LIMITS = (
    "Accurate for what the advisory files say. The built-in seed knows only CVEs that Debian's changelogs say are"
    " fixed: it knows no open, postponed or not-affected ones."
)


class WrongWords(BadUsage):
    """The command was not understood."""

    hint = "See: brakeline exposure assess --help"


class Options(NamedTuple):
    """What the command was told."""

    inventory_file: str
    advisory_files: tuple[str, ...]
    release: str = DEBIAN_12
    kernel: str = ""
    as_json: bool = False


def main(arguments: Sequence[str]) -> int:
    """Run the verb with its arguments (without "exposure assess"); returns the exit code."""
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(USAGE)
        return 0
    try:
        sys.stdout.write(run(parse(arguments)))
        sys.stdout.flush()
    except Fault as e:
        sys.stderr.write(f"Error: {e.title}\n  why:  {_why(e)}\n" + (f"  next: {e.hint}\n" if e.hint else ""))
        if "--json" in arguments:
            error = {"code": e.code, "title": e.title, "detail": _why(e), "hint": e.hint}
            sys.stdout.write(json.dumps({"error": error}) + "\n")
        return EXIT_USAGE
    except BrokenPipeError:
        sys.stderr.close()  # the reader has seen enough ("| head"); that is no error of ours
    return 0


def _why(fault: Fault) -> str:
    facts = ", ".join(f"{name}={value}" for name, value in fault.context.items())
    return f"{fault.detail} ({facts})" if facts else fault.detail


def parse(arguments: Sequence[str]) -> Options:
    """The arguments as options; `WrongWords` names what is wrong. Values may follow as `--option VALUE` or `=VALUE`."""
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith("--") else [word])]
    values: dict[str, list[str]] = {}
    current: list[str] | None = None
    for word in words:
        if word.startswith("-") and word != "-":
            if word not in ("--inventory", "--advisories", "--release", "--kernel", "--json"):
                raise WrongWords(f"no such option: {word}")
            current = values.setdefault(word, [])
        elif current is None:
            raise WrongWords(f"unexpected word: {word}")
        else:
            current.append(word)
    return Options(
        inventory_file=_one(values, "--inventory"),
        advisory_files=_some(values, "--advisories"),
        release=_one(values, "--release", DEBIAN_12),
        kernel=_one(values, "--kernel", ""),
        as_json=_flag(values, "--json"),
    )


def _one(values: dict[str, list[str]], option: str, default: str | None = None) -> str:
    given = values.get(option)
    if given is None and default is not None:
        return default
    if not given or len(given) > 1:
        raise WrongWords(f"{option} needs exactly one value")
    return given[0]


def _some(values: dict[str, list[str]], option: str) -> tuple[str, ...]:
    if not values.get(option):
        raise WrongWords(f"{option} needs at least one file")
    return tuple(values[option])


def _flag(values: dict[str, list[str]], option: str) -> bool:
    if values.get(option):
        raise WrongWords(f"{option} takes no value")
    return option in values


def run(options: Options) -> str:
    """The text that goes to standard output. Raises `Fault` for anything that cannot be read."""
    items = inventory(_read(options.inventory_file), options.inventory_file)
    book = _book(items, options.advisory_files, options.release)
    answer = assess(items, book, options.release, options.kernel)
    return _document(answer, options.release) if options.as_json else _text(answer)


def _read(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except OSError as e:
        raise CannotRead(e.strerror or str(e), file=path) from None


def _book(items: list[Installed], files: Iterable[str], release: str) -> Book:
    wanted = _oldest(items, release)
    rows: list[Advisory] = []
    kev: set[str] = set()
    covered: set[str] = set()
    spans: list[Span] = []
    for path in _expanded(files):
        data = unpacked(_read(path), path)
        if is_kev(data):
            kev.update(entry.cve for entry in known_exploited(data, path).entries)
        elif _is_foreign(data):
            from brakeline.advisories.osv import anyfile

            found = anyfile.read(data, path, {ecosystem_of(item, release) for item in items}, wanted)
            spans += found.spans
            covered |= found.ecosystems
        else:
            said = advisories(data, path, wanted, release)
            rows += said.advisories
            covered |= said.ecosystems
    return Book(rows, frozenset(kev), frozenset(covered), spans)


def _is_foreign(data: bytes) -> bool:
    """Whether somebody else's form may be in it; rows of our own are known by their first line, without an import."""
    if data.startswith(b'{"source"') or data.startswith(b'{"cve"'):
        return False
    from brakeline.advisories.osv import anyfile

    return anyfile.is_foreign(data)


def _oldest(items: Iterable[Installed], release: str) -> dict[str, Any]:
    """Source (as judged) -> key of its oldest installed version: no row at or below it can stand open.

    None where keys of the release's order say nothing: another ecosystem's package, or an order without keys.
    """
    oldest: dict[str, Any] = {}
    own, key = canonical(release), key_of(release)
    sorts = key is not None and order_of(release) not in UNSORTED
    for item in items:
        first = unit_of(item, release)
        for unit in (first, also_as(item, first)) if isinstance(first, Unit) else ():
            if unit is None:
                continue
            try:
                made = key(unit.version) if key is not None and sorts and unit.ecosystem == own else None
            except BadVersion:
                continue  # not assessed, whatever the rows say
            before = oldest.get(unit.source, made)
            oldest[unit.source] = None if made is None or before is None else min(made, before)
    return oldest


def _expanded(files: Iterable[str]) -> Iterable[str]:
    for path in files:
        if path == "seed":
            from brakeline.advisories.seed import seed_paths

            yield from seed_paths()
        else:
            yield path


def _document(answer: Assessment, release: str) -> str:
    document = {
        "release": release,
        "packages": answer.packages,
        "assessed": answer.assessed,
        "findings": [dict(zip(Finding._fields, f, strict=True)) for f in answer.findings],
        "not_assessed": [n._asdict() for n in answer.not_assessed],
        "dismissed": [d._asdict() for d in answer.dismissed],
        "limits": LIMITS,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), check_circular=False) + "\n"


def _text(answer: Assessment) -> str:
    lines = [
        f"{f.cve}\t{f.package}\t{f.installed} -> {f.fixed or 'no fix yet'}"
        + ("\tknown exploited" if f.kev else "") + ("\tcarrier" if f.role == "carrier" else "")
        for f in answer.findings
    ]  # fmt: skip
    lines += [f"not assessed\t{n.package}\t{n.version}\t{n.reason}" for n in answer.not_assessed]
    cves = len({f.cve for f in answer.findings})
    active = len({f.cve for f in answer.findings if f.role != "carrier"})
    counted = Counter(d.code.replace("_", " ") for d in answer.dismissed)
    if counted:
        kinds = ", ".join(f"{n} {code}" for code, n in sorted(counted.items()))
        told = "One row speaks" if counted.total() == 1 else f"{counted.total()} rows speak"
        makes = "makes" if counted.total() == 1 else "make"
        lines.append(f"{told} of what is installed and {makes} no finding: {kinds} (--json has each).")
    lines += [
        f"{len(answer.findings)} findings: {cves} CVEs, {active} of them in what can run here; "
        f"{answer.assessed} of {answer.packages} packages assessed.",
        LIMITS,
    ]
    return "\n".join(lines) + "\n"
