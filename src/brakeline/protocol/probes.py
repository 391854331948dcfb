"""Probes of people's own: what a policy asks an endpoint to try of itself, a line of text each. Pure.

`NAME [within=SECONDS] [status=CODE] http://127.0.0.1:8080/health` asks one of the endpoint's own addresses, and
`NAME [within=SECONDS] [exit=CODE] /usr/lib/checks/database -w 10` starts a program, without a shell. Without `status`
whatever is below 400 passes, without `exit` 0 does.

What an endpoint may be asked is root's alone to say (`local_limits`), as *allowances*: `http` or `http:8080` for its
own addresses, or a whole command line, which must be the same to the letter. So a cell chooses among what root has
allowed, and never what is run. Without an allowance nothing is tried. Next: `settings` combines them, `agent.probes`
tries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Invalid

PROBES_MAX: Final = 8  # of one endpoint: all of them together end within 40 s of the default
CHARS_MAX: Final = 200
WITHIN_S: Final = 5
WITHIN_S_MAX: Final = 10
STATUS_FAILS: Final = 400  # RFC 9110, section 15: from here on codes are errors
ANY: Final = "*"  # of the widest settings that there are, and of no file
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
TEXT: Final = re.compile(r"[!-:<-~]+(?: [!-:<-~]+)*")  # printable, one space between words; `;` separates probes
URL: Final = re.compile(r"(https?)://(localhost|[0-9.]{7,15}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?(/[!-~]*)?")
HTTP: Final = re.compile(r"http(?::([1-9][0-9]{0,4}))?")
PORT_MAX: Final = 65_535
HOW: Final = "write it as: web http://127.0.0.1:8080/health, or: db within=8 exit=0 /usr/lib/checks/db -w 10"


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe, understood. `argv` () = it asks `host`, which is "localhost" or an address."""

    name: str
    within_s: int
    expected: int  # code of the answer or of the exit; 0 of an answer = any that is no error
    argv: tuple[str, ...] = ()
    tls: bool = False
    host: str = ""
    port: int = 0
    path: str = "/"


def parse(text: str) -> Probe:
    """`Invalid` says what is wrong with it, and how one is written."""
    if len(text) > CHARS_MAX or not TEXT.fullmatch(text):
        raise Invalid(f"a probe is at most {CHARS_MAX} printable characters without ';': {text[:60]!r}; {HOW}")
    name, *words = text.split(" ")
    if not NAME.fullmatch(name) or HTTP.fullmatch(name):
        raise Invalid(f"the name of a probe is 1 to 32 small letters, digits and '-', not {name[:40]!r}; {HOW}")
    options: dict[str, int] = {}
    while words and (found := re.fullmatch(r"(within|status|exit)=([0-9]{1,3})", words[0])):
        options[found[1]] = int(found[2])
        words.pop(0)
    within_s = options.pop("within", WITHIN_S)
    if not 1 <= within_s <= WITHIN_S_MAX:
        raise Invalid(f"probe {name}: within= is 1 to {WITHIN_S_MAX} seconds")
    if words and words[0].startswith("/"):
        return _program(name, within_s, options, tuple(words))
    if len(words) == 1 and (url := URL.fullmatch(words[0])):
        return _web(name, within_s, options, url)
    raise Invalid(f"probe {name} names neither an address of the endpoint's own nor a program; {HOW}")


def _program(name: str, within_s: int, options: dict[str, int], argv: tuple[str, ...]) -> Probe:
    if "status" in options or not 0 <= options.get("exit", 0) <= 255:
        raise Invalid(f"probe {name}: of a program exit= is told, 0 to 255")
    if ".." in argv[0].split("/") or argv[0].endswith("/"):
        raise Invalid(f"probe {name}: {argv[0][:80]!r} is no plain path of a program")
    return Probe(name, within_s, options.get("exit", 0), argv)


def _web(name: str, within_s: int, options: dict[str, int], url: re.Match[str]) -> Probe:
    if "exit" in options or not 100 <= options.get("status", 200) <= 599:
        raise Invalid(f"probe {name}: of an address status= is told, 100 to 599")
    host, port = url[2].strip("[]"), int(url[3] or (443 if url[1] == "https" else 80))
    if not 0 < port <= PORT_MAX or (host != "localhost" and not _is_address(host)):
        raise Invalid(f"probe {name}: {url[0][:80]!r} has no port or address that there could be")
    return Probe(name, within_s, options.get("status", 0), tls=url[1] == "https", host=host, port=port,
                 path=url[4] or "/")  # fmt: skip


def _is_address(host: str) -> bool:
    import ipaddress  # late: the resident agent needs it only where there are probes

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def canonical(texts: Iterable[str]) -> tuple[str, ...]:
    """Probes in the order in which both sides compare and digest them. `Invalid`."""
    found = sorted({" ".join(t.split()) for t in texts})
    names = [parse(t).name for t in found]
    if twice := next((n for n in names if names.count(n) > 1), ""):
        raise Invalid(f"two probes are called {twice}: what each of them says could not be told apart")
    if len(found) > PROBES_MAX:
        raise Invalid(f"at most {PROBES_MAX} probes, not {len(found)}")
    return tuple(found)


def allowance(text: str) -> str:
    """What root allows, as a line of `limits.json`. `Invalid`."""
    http = HTTP.fullmatch(text)
    if http is None and not text.startswith("/"):
        raise Invalid(f"{text[:60]!r} is neither http, http:8080 nor a whole command line that begins with /")
    if http is None:
        parse(f"x {text}")
    elif int(http[1] or 1) > PORT_MAX:
        raise Invalid(f"{text}: there is no such port")
    return text


def common(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    """What both have: the same to the letter, or allowed by what the other one has."""
    ones, others = frozenset(one), frozenset(other)
    both = {t for t in ones if _within(t, others)} | {t for t in others if _within(t, ones)}
    return tuple(sorted(both))


def _within(text: str, bounds: frozenset[str]) -> bool:
    return text in bounds or ANY in bounds or any(_covers(b, text) for b in bounds)


def _covers(bound: str, text: str) -> bool:
    """Whether an allowance allows this probe, or this narrower allowance."""
    http = HTTP.fullmatch(bound)
    if http is None and not bound.startswith("/"):
        return False  # a probe, which allows itself alone
    if http is not None and HTTP.fullmatch(text):
        return http[1] is None
    try:
        probe = parse(text)
    except Invalid:
        return False
    if http is None:
        return " ".join(probe.argv) == bound
    return not probe.argv and http[1] in (None, str(probe.port))
