"""API tokens: for programs, with a part of their maker's permissions, for a limited time, kept as hashes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from brakeline.core.errors import Invalid, NotFound, Unauthenticated
from brakeline.platform.database import Connection
from brakeline.tenancy import store
from brakeline.tenancy.model import ApiToken, NewToken, Principal, made_through
from brakeline.tenancy.parts import Parts
from brakeline.tenancy.passwords import secret_hash

TOKEN_TTL_S: Final = 90 * 24 * 60 * 60
TOKEN_TTL_S_MIN: Final = 60
TOKEN_TTL_S_MAX: Final = 366 * 24 * 60 * 60  # a token that never ends is never looked at again
TOKEN_PREFIX: Final = "blt_"  # noqa: S105 - recognisable for secret scanners and for people
TOKEN_SHOWN_CHARS: Final = 10
TOKEN_NAME_CHARS_MAX: Final = 80


class Tokens(Parts):
    """Making, listing, revoking and recognising tokens."""

    async def create_token(
        self,
        principal: Principal,
        name: str,
        permissions: Iterable[str] | None = None,
        ttl_s: int = TOKEN_TTL_S,
        *,
        replace: bool = False,
    ) -> NewToken:
        """A token with `permissions` (None = all of the maker's), for `ttl_s` seconds.

        Never more than the maker's own (`Forbidden`). `replace` revokes older tokens of the same name.
        """
        principal.require("token.manage")
        wanted = principal.permissions if permissions is None else frozenset(permissions)
        principal.require_all(wanted)
        if not TOKEN_TTL_S_MIN <= ttl_s <= TOKEN_TTL_S_MAX:
            raise Invalid(f"a token lives between 60 s and {TOKEN_TTL_S_MAX // 86400} days", ttl_s=ttl_s)
        if not name.strip() or len(name) > TOKEN_NAME_CHARS_MAX:
            raise Invalid("a token needs a name of at most 80 characters that says what it is for")
        now, secret = self._clock.now_ms(), TOKEN_PREFIX + self._ids.secret()
        token = ApiToken(
            self._ids.new("to"), name, secret[:TOKEN_SHOWN_CHARS] + "…", tuple(sorted(wanted)), principal.id, now,
            now + ttl_s * 1000,
        )  # fmt: skip
        async with self._db.tenant(principal.tenant_id) as conn:
            if replace:
                await self._revoke_named(conn, name, now)
            await store.add_token(conn, token, secret_hash(secret))
            after = {"name": name, "permissions": list(token.permissions), "expires_ms": token.expires_ms}
            await self._note(conn, principal, "token.create", token.token_id, after=after)
        return NewToken(token, secret)

    async def tokens(self, principal: Principal) -> tuple[ApiToken, ...]:
        principal.require("token.manage")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.tokens(conn)

    async def revoke_token(
        self, principal: Principal, token_id: str, *, keep_made: bool = False
    ) -> tuple[ApiToken, ...]:
        """The token stops working at once, and with it those that were made by it: whoever has stolen it may have made
        himself another. Returns these. `keep_made`: it is not distrusted, only replaced, and they work on. `NotFound`
        if there is none; twice is fine."""
        principal.require("token.manage")
        now = self._clock.now_ms()
        async with self._db.tenant(principal.tenant_id) as conn:
            if not await store.revoke_token(conn, token_id, now):
                raise NotFound(f"there is no token {token_id[:40]}")
            found = () if keep_made else made_through(token_id, await store.tokens(conn))
            made = tuple(t for t in found if t.revoked_ms is None)
            for token in made:
                await store.revoke_token(conn, token.token_id, now)
            ids = [t.token_id for t in made]
            self.remembered.forget_all([token_id, *ids])
            await self._note(conn, principal, "token.revoke", token_id, after={"tokens_revoked": ids} if ids else {})
        return made

    async def authenticate_token(self, bearer: str) -> Principal:
        """Whose API token this is. Raises `Unauthenticated`, saying whether it expired or was revoked."""
        async with self._db.system() as conn:
            row = await store.token(conn, secret_hash(bearer))
        if row is None:
            raise Unauthenticated("the API token is unknown; was it copied whole? It begins with blt_")
        if row.revoked:
            raise Unauthenticated(f"the API token {row.name!r} was revoked", token_id=row.token_id)
        if row.expires_ms <= self._clock.now_ms():
            raise Unauthenticated(f"the API token {row.name!r} has expired; make a new one", token_id=row.token_id)
        principal = Principal(row.tenant_id, row.token_id, "token", f"token {row.name}", row.permissions)
        self.remembered.keep(secret_hash(bearer), principal, self._clock.now_ms())
        return principal

    async def _revoke_named(self, conn: Connection, name: str, now: int) -> None:
        """Replaced is not distrusted: what the older ones have made goes on."""
        for token in await store.tokens(conn):
            if token.name == name and token.revoked_ms is None:
                await store.revoke_token(conn, token.token_id, now)
