"""A bench in memory: the vendor's files as bytes, and tools that say what a test wants them to say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass
class Bench:
    files: dict[str, bytes]
    status: str = ""
    covers: bytes = b""
    rpm: tuple[bool, str] = (False, "")
    called: tuple[str, str, str] = ("", "", "")
    asked: list[tuple[str, str]] = field(default_factory=list)  # what gpgv was asked about

    def has(self, role: str) -> bool:
        return role in self.files

    def read(self, role: str, bytes_max: int) -> bytes:
        assert len(self.files[role]) <= bytes_max
        return self.files[role]

    def measured(self, role: str) -> tuple[int, str]:
        return len(self.files[role]), hashlib.sha256(self.files[role]).hexdigest()

    def gpgv(self, keys: bytes, signature: str, data: str = "") -> tuple[str, bytes]:
        assert keys
        self.asked.append((signature, data))
        return self.status, self.covers

    def rpmkeys(self, keys: bytes, artifact: str) -> tuple[bool, str]:
        assert keys
        assert artifact == "artifact"
        return self.rpm

    def rpm_called(self, artifact: str) -> tuple[str, str, str]:
        assert artifact == "artifact"
        return self.called
