"""Own packages made and signed by the tests, and an endpoint below a directory on which their real scripts run.

Real interpreters, real files, the real guard; the packages are the test's own (*real scripts, synthetic packages*).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine, Ran
from brakeline.agent.providers.own import OwnProvider
from brakeline.core.clock import Clock
from brakeline.protocol.software import PAYLOADS, SOFTWARE_CONTEXT, Document, Signature, read_package, write
from brakeline.protocol.trusted_authors import AUTHORS
from brakeline.trust import ed25519

ANN, BOB = bytes(range(32)), bytes(range(1, 33))
OURS = ("/var/lib/brakeline-helper",)
INSTALL = 'mkdir -p "$ROOT/opt/{name}" && printf "version=%s\\n" "$BRAKELINE_VERSION" > "$ROOT/opt/{name}/VERSION"'
UNINSTALL = 'rm -rf "$ROOT/opt/{name}"'


def script(text: str, **more: Any) -> dict[str, Any]:
    return {"interpreter": "sh", "text": text, **more}


def package(name: str = "payroll", version: str = "1", **more: Any) -> dict[str, Any]:
    """A package that writes its version into a file, which is how it is detected."""
    return {
        "name": name,
        "version": version,
        "title": f"{name} client",
        "detection": {"kind": "file", "path": f"/opt/{name}/VERSION", "pattern": "version=([0-9.]+)"},
        "install": script(INSTALL.replace("{name}", name)),
        "uninstall": script(UNINSTALL.replace("{name}", name)),
        **more,
    }


def artifact(data: bytes, file: str = "data.bin", url: str = "") -> dict[str, Any]:
    return {"file": file, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "url": url}


def signed(plain: Mapping[str, Any], *authors: bytes) -> Document:
    """By Ann, unless others are named."""
    text = json.dumps(plain, sort_keys=True)
    signatures = tuple(
        Signature("", ed25519.public_key(a).hex(), ed25519.sign(a, SOFTWARE_CONTEXT + text.encode()).hex())
        for a in authors or (ANN,)
    )
    return Document(text, read_package(text.encode()), signatures)


@dataclass(frozen=True)
class Under:
    """A real machine whose own packages and helper lie under `root`, which scripts find in ROOT."""

    root: Path
    machine: Machine = field(default_factory=lambda: Machine(stop_grace_s=0.2))

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def _there(self, word: str) -> str:
        return str(self.path(word)) if word.startswith(OURS) else word

    def query(self, *command: str, timeout_s: float = 60.0) -> Ran:
        return self.machine.query(*map(self._there, command), timeout_s=timeout_s)

    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        words = {k: self._there(v) for k, v in (environment or {}).items()} | {"ROOT": str(self.root)}
        return self.machine.job(*map(self._there, command), timeout_s=timeout_s, log=log, environment=words)


@dataclass
class Endpoint:
    """One endpoint with a content of its own; root believes Ann."""

    root: Path
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        for directory in ("etc/brakeline", "var/lib/brakeline-helper/tx", "content/software", "content/payloads"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        self.believe({"ann": ed25519.public_key(ANN).hex()}, 1)

    @property
    def runner(self) -> Under:
        return Under(self.root)

    @property
    def provider(self) -> OwnProvider:
        return OwnProvider(self.clock, self.runner, self.root / "content")

    @property
    def in_unit(self) -> OwnProvider:
        """As the transaction's own unit has it: without content."""
        return replace(self.provider, content=None)

    def believe(self, authors: Mapping[str, str], needed: int | None = None) -> None:
        said: dict[str, Any] = {"authors": dict(authors)} | ({} if needed is None else {"needed": needed})
        self.runner.path(AUTHORS).write_text(json.dumps(said))

    def publish(self, document: Document, payload: bytes | None = None) -> Document:
        """Into the content that this endpoint has."""
        (self.root / "content" / document.file).write_bytes(write(document))
        if payload is not None:
            (self.root / "content" / PAYLOADS / hashlib.sha256(payload).hexdigest()).write_bytes(payload)
        return document

    def hold(self, name: str) -> None:
        (self.root / "etc/brakeline/own.hold").write_text(f"{name}\n")

    def has(self, name: str) -> str:
        try:
            return (self.root / f"opt/{name}/VERSION").read_text().strip().removeprefix("version=")
        except FileNotFoundError:
            return ""
