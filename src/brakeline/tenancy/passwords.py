"""Argon2id for passwords, SHA-256 for random secrets.

Passwords are guessable, so their hash is slow and costs memory. Session cookies, tokens and login links are 256
random bits: nobody guesses them, so a fast hash is enough to make a stolen database useless for signing in.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from functools import cache
from typing import TYPE_CHECKING, Final

from brakeline.core.errors import Invalid

if TYPE_CHECKING:
    from argon2 import PasswordHasher

# OWASP's floor is 19 MiB with 2 passes; 46 MiB with 2 passes takes about 0.1 s and fits our memory budget.
MEMORY_KIB: Final = 47_104
PASSES: Final = 2
AT_ONCE: Final = 2  # hashes computed at the same time, so that a flood of logins cannot take all memory
PASSWORD_CHARS_MIN: Final = 12
PASSWORD_BYTES_MAX: Final = 1024  # hashing a megabyte is a cheap way to keep us busy


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # 20 ms to import: only when somebody signs in

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)


class Passwords:
    """Hashes and checks passwords in threads, a few at a time."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """Raises `Invalid` for a password that is too short or far too long."""
        if len(password) < PASSWORD_CHARS_MIN:
            raise Invalid(f"a password needs at least {PASSWORD_CHARS_MIN} characters; four random words are good")
        if len(password.encode()) > PASSWORD_BYTES_MAX:
            raise Invalid(f"a password may have at most {PASSWORD_BYTES_MAX} bytes")
        async with self._slots:
            return await asyncio.to_thread(_hasher().hash, password)

    async def fits(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one. Without a stored hash the same work is done, so that time tells nothing."""
        async with self._slots:
            return await asyncio.to_thread(_fits, stored, password[:PASSWORD_BYTES_MAX])


@cache
def _nobodys() -> str:
    return _hasher().hash("the password of nobody at all")


def _fits(stored: str | None, password: str) -> bool:
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        _hasher().verify(stored or _nobodys(), password)
    except (Argon2Error, InvalidHashError):
        return False
    return stored is not None


def secret_hash(secret: str) -> bytes:
    """What is kept of a random secret."""
    return hashlib.sha256(secret.encode()).digest()


def csrf_token(cookie: str) -> str:
    """The form token that belongs to a session's cookie; another site can neither read nor compute it."""
    return hmac.new(cookie.encode(), b"brakeline-csrf-v1", hashlib.sha256).hexdigest()


def csrf_fits(cookie: str, claimed: str) -> bool:
    """Whether `claimed` is the form token of this session, in constant time."""
    return hmac.compare_digest(csrf_token(cookie).encode(), claimed.encode())
