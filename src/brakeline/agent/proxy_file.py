"""The endpoint's proxy: `proxy.json` beside the agent's configuration. Root's command line writes it, dialling reads.

A file of its own because it may hold a password: only root and the agent's user may read it, while everybody may read
the configuration. No file, or one that makes no sense: the cell is dialled directly, and `status` says why. Where a
person has given no proxy, enrolment takes the one of their environment. Next: `transport`, `protocol.proxy`.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from brakeline.agent.files import flush_directory, remove_durably, replace, write_durably
from brakeline.core.errors import Fault, Invalid
from brakeline.protocol.proxy import FILE, KEY, TEXT_CHARS_MAX, BadProxy, Proxy, parse, read

NONE: Final = "none"  # the word that takes a proxy away
NEXT: Final = "brakeline-agent proxy http://HOST:PORT, or: brakeline-agent proxy none"
_GONE: Final = (0, 0, 0)


class ProxyNotWritten(Fault):
    """The proxy could not be written down."""

    code = "proxy-not-written"
    hint = "Run it as root, and see that there is room on the disk."


class ProxyFile:
    """What `proxy.json` says now. `problem` = why it cannot be used, "" = it can."""

    def __init__(self, config_path: Path) -> None:
        self._path = config_path.with_name(FILE)
        self._stamp: tuple[int, int, int] | None = None
        self._proxy: Proxy | None = None
        self.problem = ""

    def changed(self) -> bool:
        """Whether it was written since the last call; it is read again then. Costs a stat."""
        try:
            about = self._path.stat()
            stamp = (about.st_mtime_ns, about.st_ctime_ns, about.st_ino)  # the second tells a changed mode
        except OSError:
            stamp = _GONE
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self._proxy, self.problem = _read(self._path)
        return True

    def now(self) -> Proxy | None:
        """The proxy to ask, None = there is none."""
        self.changed()
        return self._proxy


def _read(path: Path) -> tuple[Proxy | None, str]:
    try:
        return read(path.read_bytes()), ""
    except FileNotFoundError:
        return None, ""
    except OSError as e:
        return None, f"{path.name} cannot be read ({e.strerror}); write it with: {NEXT}"
    except BadProxy as e:
        return None, f"{path.name} cannot be used: {e}"


def given(text: str) -> Proxy | None:
    """The proxy that a person names: an address, a file with one in it, or `none`. Raises `Invalid`."""
    try:
        if os.path.isabs(text):  # so that no password stands in a command line, which everybody may read
            with open(text, encoding="ascii") as file:
                text = file.readline(TEXT_CHARS_MAX + 2).strip()
        return None if text == NONE else parse(text)
    except OSError as e:
        raise Invalid(f"the file with the proxy cannot be read: {e.strerror}: {e.filename}") from None
    except BadProxy as e:
        raise Invalid(f"{e}; or give the path of a file with that line in it, or: {NONE}") from None
    except ValueError:
        raise Invalid("the file with the proxy holds other characters than ASCII") from None


def of_environment(server_url: str) -> str:
    """The proxy that the environment names for this cell (`https_proxy`, unless `no_proxy` has it); "" = none."""
    from urllib import request  # late: for people's verbs alone
    from urllib.parse import urlsplit

    host, named = urlsplit(server_url).hostname or "", request.getproxies_environment()
    bypassed: bool = request.proxy_bypass_environment(host, named)  # type: ignore[attr-defined] # not in typeshed
    here = host == "localhost" or host.startswith("127.") or host == "::1"
    text = "" if here or bypassed else named.get("https", "")
    return text if "://" in text or not text else f"http://{text}"  # as other programs read it


def save(config_path: Path, proxy: Proxy | None, agent_user: str) -> None:
    """Make it what `proxy.json` says, durably, for root and the agent's user alone. `ProxyNotWritten`, `Invalid`."""
    path = config_path.with_name(FILE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if proxy is None:
            return remove_durably(path)
        if sys.platform == "win32" and proxy.password:
            raise Invalid("here everybody could read the password: use a proxy that lets this machine through without")
        aside = path.with_name(FILE + ".aside")
        write_durably(aside, (json.dumps({KEY: _written(proxy)}) + "\n").encode())
        if sys.platform != "win32":
            _let_read(aside, agent_user)
        replace(aside, path)
        flush_directory(path.parent)
    except OSError as e:
        raise ProxyNotWritten(f"{e.strerror}: {e.filename or path}.") from None


def _written(proxy: Proxy) -> str:
    from urllib.parse import quote  # late: for people's verbs alone

    password = ":" + quote(proxy.password, safe="") if proxy.password else ""
    return f"http://{quote(proxy.user, safe='') + password + '@' if proxy.user else ''}{proxy.place}"


def _let_read(path: Path, user: str) -> None:
    """Its group is the agent's. Only root can say so; where there is no such user, one account runs everything."""
    import pwd

    with suppress(KeyError):
        if user and os.geteuid() == 0:
            os.chown(path, 0, pwd.getpwnam(user).pw_gid)
            os.chmod(path, 0o640)
