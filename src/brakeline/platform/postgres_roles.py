"""Database and roles: made on the embedded cluster, or prepared on a server that the operator names by `--dsn`.

Three roles, cluster-wide: `brakeline_owner` owns schema and tables and is used by migrations only; `brakeline_app`
serves requests, owns nothing, and is bound by row-level security; `brakeline_feed` writes advisories and products.
None has SUPERUSER, BYPASSRLS, CREATEDB or CREATEROLE.

With `--dsn` the address is the *owner's*. If that user may create roles, the application's roles get passwords of
our making, kept in DATA/secrets (0600). If it may not, an administrator makes the roles once and names them with
`dsn_app` and `dsn_feed`; `prepare_external` says exactly which statements are needed.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import asyncpg

from brakeline.core.errors import Fault, Unavailable
from brakeline.platform.postgres_layout import APP, DATABASE, FEED, OWNER
from brakeline.platform.postgres_providers import MAJOR_MIN

PLAIN = "NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"


class RolesMissing(Fault):
    """The database lacks Brakeline's roles, and this user may not create them."""

    code = "database-roles-missing"


@dataclass(frozen=True, slots=True)
class Dsns:
    """The three addresses of one database."""

    dsn_owner: str
    dsn_app: str
    dsn_feed: str


async def connect(dsn: str, **settings: str) -> asyncpg.Connection[asyncpg.Record]:
    """One connection; `Unavailable` with what to check when there is none to be had."""
    try:
        return await asyncpg.connect(dsn, timeout=20, server_settings=settings or None)
    except asyncpg.InvalidPasswordError as e:
        raise Unavailable(f"the database refuses the login: {e}; check user and password of the address") from None
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
        raise Unavailable(f"the database cannot be reached: {e or type(e).__name__}") from None


async def ensure_database(dsn_super: str, database: str = DATABASE) -> None:
    """Make roles and `database` on a cluster of our own; a second call changes nothing."""
    conn = await connect(dsn_super)
    try:
        await _ensure_roles(conn, login=True)
        if not await conn.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            await conn.execute(f'CREATE DATABASE "{database}" OWNER {OWNER}')
            await conn.execute(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
            await conn.execute(f'GRANT CONNECT ON DATABASE "{database}" TO {APP}, {FEED}')
    finally:
        await conn.close()


async def prepare_external(
    dsn: str, secrets_dir: Path, dsn_app: str | None = None, dsn_feed: str | None = None
) -> Dsns:
    """Addresses for a database named by `--dsn`. Raises `RolesMissing` with the statements that help."""
    conn = await connect(dsn)
    try:
        if conn.get_server_version().major < MAJOR_MIN:
            raise Fault(f"the database is PostgreSQL {conn.get_server_version().major}; {MAJOR_MIN} or newer is needed")
        if dsn_app is not None:
            return Dsns(dsn, dsn_app, dsn_feed or dsn_app)
        if not await conn.fetchval("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"):
            raise RolesMissing(hint_for_administrator())
        await _ensure_roles(conn, login=False)
        passwords = {role: _kept_password(secrets_dir, role) for role in (APP, FEED)}
        for role, password in passwords.items():
            await conn.execute(f"ALTER ROLE {role} LOGIN PASSWORD '{password}'")  # hex of ours: nothing to escape
        database = str(await conn.fetchval("SELECT current_database()"))
        quoted = '"' + database.replace('"', '""') + '"'
        await conn.execute(f"GRANT {OWNER} TO CURRENT_USER")
        await conn.execute(f"GRANT CREATE, CONNECT ON DATABASE {quoted} TO {OWNER}")
        await conn.execute(f"GRANT CONNECT ON DATABASE {quoted} TO {APP}, {FEED}")
    finally:
        await conn.close()
    return Dsns(dsn, with_user(dsn, APP, passwords[APP]), with_user(dsn, FEED, passwords[FEED]))


def hint_for_administrator() -> str:
    """What an administrator runs once, when the owner's user may not create roles."""
    return (
        f"Let an administrator run: CREATE ROLE {OWNER}; CREATE ROLE {APP} LOGIN PASSWORD '…'; "
        f"CREATE ROLE {FEED} LOGIN PASSWORD '…'; GRANT {OWNER} TO <user of --dsn>; GRANT CREATE ON DATABASE "
        f"<database> TO {OWNER}; then name them with the settings dsn_app and dsn_feed."
    )


def with_user(dsn: str, user: str, password: str) -> str:
    """`dsn` with another user and password, everything else kept."""
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    query = [(k, v) for k, v in parse_qsl(parts.query) if k not in {"user", "password"}]
    if not host:  # a socket: user and password can only stand in the query
        return urlunsplit(parts._replace(query=urlencode([*query, ("user", user), ("password", password)])))
    return urlunsplit(parts._replace(netloc=f"{quote(user)}:{quote(password)}@{host}", query=urlencode(query)))


async def _ensure_roles(conn: asyncpg.Connection[asyncpg.Record], *, login: bool) -> None:
    known = {r["rolname"] for r in await conn.fetch("SELECT rolname FROM pg_roles")}
    for role in (OWNER, APP, FEED):
        if role not in known:
            await conn.execute(f"CREATE ROLE {role} {'LOGIN' if login else 'NOLOGIN'} {PLAIN}")


def _kept_password(secrets_dir: Path, role: str) -> str:
    """The role's password from `secrets_dir`, made at the first call."""
    path = secrets_dir / f"{role}.password"
    if path.exists():
        return path.read_text().strip()
    secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = secrets.token_hex(24)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
        f.write(password)
    return password
