"""Which configuration files were changed on an endpoint, by dpkg's own records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from brakeline.agent.providers.apt import conffiles
from brakeline.agent.providers.apt.conffiles import Conffile
from brakeline.agent.providers.apt.runner import Ran
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import Action, ActionKind, Transaction

MD5 = hashlib.md5(b"as shipped\n", usedforsecurity=False).hexdigest()
SAID = (
    f"nginx-common\tall\n /etc/nginx/nginx.conf {MD5}\n /etc/old {MD5} obsolete\n /etc/new newconffile\n"
    f" /etc/with space {MD5}\nlibssl3\tamd64\n\n"
)
UPGRADE = Action(ActionKind.UPGRADE, "nginx-common", "all", "1", "2")


@dataclass
class Asked:
    """A root file system, and one answer of dpkg."""

    root: Path
    text: str = SAID
    command: tuple[str, ...] = ()

    def query(self, *command: str, timeout_s: float = 0) -> Ran:
        self.command = command
        return Ran(0, self.text)

    def job(self, *command: str, timeout_s: float, log: IO[bytes] | None = None,
            environment: Mapping[str, str] | None = None) -> Ran:  # fmt: skip
        raise AssertionError(command, timeout_s, log, environment)

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")


def endpoint(tmp_path: Path, **files: bytes) -> Asked:
    (tmp_path / "etc/nginx").mkdir(parents=True)
    (tmp_path / "etc/nginx/nginx.conf").write_bytes(files.get("conf", b"as shipped\n"))
    (tmp_path / "etc/with space").write_bytes(b"as shipped\n")
    return Asked(tmp_path)


def transaction(*actions: Action) -> Transaction:
    return Transaction(actions, transaction_digest(actions))


def test_what_dpkg_says_is_read_without_obsolete_and_new_ones() -> None:
    found = conffiles.parse(SAID)
    assert found["nginx-common", "all"] == (Conffile("/etc/nginx/nginx.conf", MD5), Conffile("/etc/with space", MD5))
    assert found["libssl3", "amd64"] == ()


def test_untouched_files_are_no_reason_to_hold(tmp_path: Path) -> None:
    asked = endpoint(tmp_path)
    assert conffiles.changed(asked, transaction(UPGRADE)) == ()
    assert asked.command[-1] == "nginx-common"


def test_a_changed_and_a_removed_file_are_named(tmp_path: Path) -> None:
    asked = endpoint(tmp_path, conf=b"as somebody likes it\n")
    assert conffiles.changed(asked, transaction(UPGRADE)) == ("/etc/nginx/nginx.conf",)
    (tmp_path / "etc/with space").unlink()
    assert conffiles.changed(asked, transaction(UPGRADE)) == ("/etc/nginx/nginx.conf", "/etc/with space")


def test_new_and_removed_packages_are_not_asked_for(tmp_path: Path) -> None:
    asked = endpoint(tmp_path)
    new = Action(ActionKind.INSTALL, "a", "amd64", "", "1")
    gone = Action(ActionKind.REMOVE, "b", "amd64", "1", "")
    assert conffiles.changed(asked, transaction(new, gone)) == ()
    assert asked.command == ()
