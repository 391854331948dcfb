"""The break-glass code: printed once, kept in a safe, and good for stopping alone, also while the database is away.

One code an organisation, 128 random bits, kept as a hash in DATA/break-glass.json. Whoever holds it can press BRAKE and
FREEZE, read nothing, and lift nothing; a new one voids the old one. Losing it costs a stop that two people must lift.
"""

from __future__ import annotations

import hmac
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from brakeline.core.clock import Clock
from brakeline.core.errors import Unauthenticated, Unavailable
from brakeline.platform.database import Database
from brakeline.platform.observe import logger
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal
from brakeline.tenancy.parts import Ids
from brakeline.tenancy.passwords import secret_hash
from brakeline.tenancy.remembered import STOPS

CODE_BYTES: Final = 16
PREFIX: Final = "bg-"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a code."""

    tenant_id: str
    hash: str
    made_ms: int
    made_by: str


class BreakGlass:
    """Reads the file at each use: there is no state that could be older than it."""

    def __init__(self, path: Path, db: Database, clock: Clock, ids: Ids) -> None:
        self._path, self._db, self._clock, self._ids = path, db, clock, ids

    async def make(self, principal: Principal) -> tuple[str, int]:
        """A new code, shown once, and when it was made. The organisation's older one is void."""
        principal.require("people.manage")
        secret, now_ms = self._ids.secret(CODE_BYTES), self._clock.now_ms()
        kept = Kept(principal.tenant_id, secret_hash(secret).hex(), now_ms, principal.name)
        async with self._db.tenant(principal.tenant_id) as conn:
            await audit.append(conn, self._clock, principal, "break-glass.create", f"bg_{kept.hash[:12]}")
        self._write([*(k for k in self._read() if k.tenant_id != kept.tenant_id), kept])
        return PREFIX + "-".join(re.findall("....", secret)), now_ms

    def presser(self, code: str) -> Principal:
        """Whoever holds a code: with the permission to brake and no other. Raises `Unauthenticated`."""
        secret = re.sub(r"[^0-9a-f]", "", code.strip().lower().removeprefix(PREFIX))
        hashed = secret_hash(secret).hex()
        found = next((k for k in self._read() if hmac.compare_digest(k.hash, hashed)), None)
        if found is None:
            logger.warning("break-glass-refused")
            raise Unauthenticated("this is no break-glass code of this server")
        logger.warning("break-glass-used", tenant_id=found.tenant_id, made_by=found.made_by)
        return Principal(
            found.tenant_id, f"bg_{found.hash[:12]}", "token", "the break-glass code", frozenset({STOPS})
        )  # fmt: skip

    def _read(self) -> list[Kept]:
        try:
            return [Kept(**k) for k in json.loads(self._path.read_text())]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as e:
            raise Unavailable(f"{self._path.name} cannot be read: {e}") from e

    def _write(self, every: list[Kept]) -> None:
        """0600 from its first byte, whole or not at all."""
        beside = self._path.with_name(self._path.name + ".part")
        try:
            beside.unlink(missing_ok=True)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump([asdict(k) for k in every], file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as e:
            raise Unavailable(f"the break-glass code cannot be kept: {e.strerror or e}") from e
