"""The cell's own key: it signs orders to endpoints, which learn its public half when they enrol.

Invariants: made once, kept in a file that only its owner may read, never logged, never in the database.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from brakeline.core.errors import Fault
from brakeline.protocol.codec import encode
from brakeline.protocol.messages import (
    ORDER_CONTEXT,
    RESTART_CONTEXT,
    SETTINGS_CONTEXT,
    Offer,
    RestartOrder,
    SettingsGrant,
    SignedOrder,
)


class CellKeyUnusable(Fault):
    """The file with this cell's key cannot be used."""

    code = "cell-key-unusable"
    hint = "Restore it from the backup; endpoints believe only orders signed with the key they were enrolled with."


class CellIdentity:
    """The name, region and signing key of this cell."""

    def __init__(self, key: Ed25519PrivateKey, name: str = "cell", region: str = "default") -> None:
        self._key = key
        self.name = name
        self.region = region
        self.public_hex = key.public_key().public_bytes_raw().hex()

    @classmethod
    def load(cls, path: Path, name: str = "cell", region: str = "default") -> CellIdentity:
        """The key in `path` (32 raw bytes, mode 0600), made now if there is none; `CellKeyUnusable`."""
        try:
            raw = path.read_bytes() if path.exists() else _make(path)
            return cls(Ed25519PrivateKey.from_private_bytes(raw), name, region)
        except (OSError, ValueError) as e:
            raise CellKeyUnusable(str(e), file=str(path)) from e

    def sign(self, message: bytes) -> bytes:
        """64 bytes Ed25519 over `message`, which must start with a context of its own."""
        return self._key.sign(message)

    def sign_order(self, offer: Offer) -> SignedOrder:
        """The order that endpoints of this cell believe."""
        payload = encode(offer)
        return SignedOrder(payload.decode(), self.sign(ORDER_CONTEXT + payload).hex())

    def sign_restart(self, order: RestartOrder) -> SignedOrder:
        """The same for a restart, under a context of its own."""
        payload = encode(order)
        return SignedOrder(payload.decode(), self.sign(RESTART_CONTEXT + payload).hex())

    def sign_grant(self, grant: SettingsGrant) -> SignedOrder:
        """The same for the settings that an endpoint may run by at most."""
        payload = encode(grant)
        return SignedOrder(payload.decode(), self.sign(SETTINGS_CONTEXT + payload).hex())


def _make(path: Path) -> bytes:
    """Write a fresh key so that a crash leaves either no file or a whole one."""
    raw = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, raw)
        os.fsync(handle)
    finally:
        os.close(handle)
    temporary.rename(path)
    return raw
