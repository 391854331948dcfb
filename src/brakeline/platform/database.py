"""How everybody reaches PostgreSQL: `async with db.tenant(tenant_id) as conn:` is one transaction of one tenant.

What always holds: the application's role owns nothing and is bound by row-level security; the tenant is set for
the transaction and forgotten at its end, so a pooled connection never carries one tenant into the next request;
a database that is away, full or too slow is `core.errors.Unavailable` (503 with Retry-After), never a stack trace.
Row-level security guards against our mistakes (a forgotten WHERE), not against injected SQL: whoever can run
statements of his own as the application's role can also name any tenant.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg

from brakeline.core.errors import Bug, Invalid, Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = object
    Pool = object

POOL_MAX: Final = 12  # connections of the application; the cluster allows 60
POOL_IDLE_S: Final = 120.0  # an idle backend costs 2 to 5 MiB
ACQUIRE_S: Final = 10.0  # waiting longer for a connection means overload: say so with 503
CLOSE_S: Final = 1.0  # of the 5 s in which the server must end
STATEMENT_TIMEOUT: Final = "30s"
LOCK_TIMEOUT: Final = "10s"
IDLE_IN_TRANSACTION_TIMEOUT: Final = "60s"  # a transaction forgotten open holds locks and old rows
TENANT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # safe to stand between quotes

# 08 connection, 53 resources (disk full, too many connections), 57 operator (shutdown, statement time-out), 55P03 lock
_AWAY_INSIDE: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.LockNotAvailableError,
)
_NO_TEXT = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)  # NUL, also inside of JSON
_AWAY = (*_AWAY_INSIDE, OSError, TimeoutError)  # only while connecting: the caller's own OSError is no concern of ours

SETTINGS = {
    "search_path": "brakeline, pg_temp",
    "statement_timeout": STATEMENT_TIMEOUT,
    "lock_timeout": LOCK_TIMEOUT,
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
    "jit": "off",
    "TimeZone": "UTC",
    "application_name": "brakeline",
}


class Database:
    """Pools for the application and, where asked for, the feed."""

    def __init__(self, app: Pool, feed: Pool | None, dsn_app: str) -> None:
        self._app = app
        self._feed = feed
        self.dsn_app = dsn_app  # the bus keeps a connection of its own

    @classmethod
    async def open(cls, dsn_app: str, dsn_feed: str | None = None, pool_max: int = POOL_MAX) -> Database:
        """Connect; raises `Unavailable` when the database does not answer."""
        app = await _pool(dsn_app, pool_max)
        try:
            feed = await _pool(dsn_feed, 2, lazy=True) if dsn_feed else None
        except BaseException:
            await app.close()
            raise
        return cls(app, feed, dsn_app)

    @asynccontextmanager
    async def tenant(self, tenant_id: str) -> AsyncIterator[Connection]:
        """A transaction that sees and writes the rows of `tenant_id` and no others."""
        if not TENANT_ID.fullmatch(tenant_id):
            raise Bug("not a tenant id", got=tenant_id[:40])
        async with _transaction(self._app) as conn:
            await conn.execute(f"SELECT set_config('brakeline.tenant', '{tenant_id}', true)")
            yield conn

    @asynccontextmanager
    async def system(self) -> AsyncIterator[Connection]:
        """A transaction without a tenant: only SECURITY DEFINER functions and shared tables answer."""
        async with _transaction(self._app) as conn:
            yield conn

    @asynccontextmanager
    async def feed(self) -> AsyncIterator[Connection]:
        """A transaction of the feed's role, which writes shared tables. COPY and long statements are allowed."""
        if self._feed is None:
            raise Bug("this Database was opened without a feed address")
        async with _transaction(self._feed) as conn:
            await conn.execute("SET LOCAL statement_timeout = '10min'")
            # a large feed is read between two statements, for seconds, and on a busy machine for minutes
            await conn.execute("SET LOCAL idle_in_transaction_session_timeout = '10min'")
            yield conn

    async def ping(self) -> None:
        """Raises `Unavailable` unless the database answers now. For /readyz."""
        async with self.system() as conn:
            await conn.execute("SELECT 1")

    async def close(self) -> None:
        """Let transactions end for `CLOSE_S`, then cut them off (nothing of them was acknowledged)."""
        for pool in (self._app, self._feed):
            if pool is None:
                continue
            try:
                async with asyncio.timeout(CLOSE_S):
                    await pool.close()
            except TimeoutError:
                pool.terminate()


async def _pool(dsn: str, size: int, lazy: bool = False) -> Pool:
    with _away_said(_AWAY):
        return await asyncpg.create_pool(
            dsn,
            min_size=0 if lazy else 1,
            max_size=size,
            max_inactive_connection_lifetime=POOL_IDLE_S,
            server_settings=SETTINGS,
            timeout=20,
            reset=_nothing,
        )


async def _nothing(_: object) -> None:
    """Instead of RESET ALL at every release: every setting of ours is local to its transaction."""


@asynccontextmanager
async def _transaction(pool: Pool) -> AsyncIterator[Connection]:
    with _away_said(_AWAY):
        conn = await pool.acquire(timeout=ACQUIRE_S)
    try:
        with _away_said(_AWAY_INSIDE):
            async with conn.transaction():
                yield conn
    finally:
        await pool.release(conn)


@contextmanager
def _away_said(kinds: tuple[type[BaseException], ...]) -> Iterator[None]:
    try:
        yield
    except asyncpg.DiskFullError as e:
        raise Unavailable(f"the database's disk is full: {e}. Free some space; nothing acknowledged is lost.") from e
    except asyncpg.DataError as e:
        if not isinstance(e, _NO_TEXT) and not isinstance(e.__cause__, UnicodeEncodeError):
            raise
        raise Invalid("a text has a character that cannot be kept: NUL, or half of a surrogate pair") from e
    except kinds as e:
        raise Unavailable(f"the database does not answer as it should: {str(e) or type(e).__name__}") from e
    except asyncpg.InterfaceError as e:
        if "closed" not in str(e) and "closing" not in str(e):
            raise
        raise Unavailable("the connection to the database was lost") from e
