"""The endpoint's key, made here and never leaving, and the counter that only rises.

The counter is reserved on disk in blocks: the file always holds a number that was never used, so after a crash at
any point the next request has a higher one than all before (some numbers are skipped, none comes twice).
"""

from __future__ import annotations

from pathlib import Path

from brakeline.agent.clock import entropy
from brakeline.agent.files import flush_directory, write_durably
from brakeline.core.errors import Fault
from brakeline.trust import ed25519

COUNTER_BLOCK = 256  # requests for one flush to disk: about four hours of check-ins
COUNTER_SKIP = 1 << 20  # after "replayed": further than any block that a lost disk state can have reserved


class KeyUnusable(Fault):
    """The endpoint's private key cannot be used."""

    code = "key-unusable"
    hint = "Enrol this machine again."


class Identity:
    """The private key in `directory`/key. It has no method that gives the key away."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.public_hex = ed25519.public_key(seed).hex()

    @classmethod
    def load(cls, directory: Path) -> Identity:
        path = directory / "key"
        try:
            seed = path.read_bytes()
        except OSError as e:
            raise KeyUnusable(f"{path}: {e.strerror}") from e
        if len(seed) != ed25519.KEY_BYTES:
            raise KeyUnusable(f"{path} has {len(seed)} bytes instead of {ed25519.KEY_BYTES}.")
        return cls(seed)

    @classmethod
    def create(cls, directory: Path) -> Identity:
        """A fresh key and a counter from zero; replaces an identity that was there."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (directory / "counter").unlink(missing_ok=True)
        flush_directory(directory)
        write_durably(directory / "key", entropy(ed25519.KEY_BYTES), 0o600)
        return cls.load(directory)

    def sign(self, message: bytes) -> bytes:
        return ed25519.sign(self._seed, message)


class Counter:
    """Numbers for requests, strictly rising over the life of the identity."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "counter"
        self._next = self._reserved = self._read()

    def _read(self) -> int:
        try:
            return int(self._path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return 1
        except ValueError as e:
            raise KeyUnusable(f"{self._path} does not hold a number.") from e

    def next(self) -> int:
        """A number never given before; OSError when it cannot be reserved on disk."""
        if self._next >= self._reserved:
            self._reserve(self._next + COUNTER_BLOCK)
        number = self._next
        self._next += 1
        return number

    def skip(self) -> None:
        """Far ahead: the cell has seen higher numbers than this disk remembers."""
        ahead = self._next + COUNTER_SKIP
        self._reserve(ahead + COUNTER_BLOCK)
        self._next = ahead

    def _reserve(self, until: int) -> None:
        write_durably(self._path, str(until).encode(), 0o600)
        self._reserved = until
