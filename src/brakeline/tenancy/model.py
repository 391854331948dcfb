"""The words of tenancy: principals, roles as sets of permissions, people, tokens, sessions. Pure.

A permission is asked for by name, never a role: `principal.require("rollout.brake")`. Roles are fixed sets; a person
may have several; a token has a subset of its maker's permissions, so it can never do more than who made it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from brakeline.core.errors import Bug, Forbidden, Invalid

READ: Final = frozenset(
    {"endpoint.read", "exposure.read", "rollout.read", "policy.read", "settings.read", "release.read"}
)
OPERATE: Final = READ | {
    "endpoint.enrol", "endpoint.manage", "rollout.create", "rollout.brake", "rollout.resume", "policy.write",
    "limits.write", "release.publish", "release.recall",
}  # fmt: skip
ROLE_PERMISSIONS: Final[dict[str, frozenset[str]]] = {
    "viewer": READ,
    "approver": READ
    | {"rollout.approve", "rollout.brake", "release.recall", "audit.read"},  # whoever may approve may also stop
    "operator": OPERATE | {"token.manage"},
    "owner": OPERATE | {"rollout.approve", "people.manage", "token.manage", "audit.read"},
}
PERMISSIONS: Final = frozenset().union(*ROLE_PERMISSIONS.values())

Kind = Literal["person", "token", "system"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: a person in a session, an API token, or Brakeline itself."""

    tenant_id: str
    id: str  # person_id, token_id, or a name such as "rollout-executor"
    kind: Kind
    name: str  # for people's eyes: in logs and in the audit log
    permissions: frozenset[str]
    session_id: str = ""  # of people only

    def may(self, permission: str) -> bool:
        """Whether this principal has `permission`."""
        if permission not in PERMISSIONS:
            raise Bug("no such permission", permission=permission)
        return permission in self.permissions

    def require(self, permission: str) -> None:
        """Raises `Forbidden`, naming the permission and the roles that have it."""
        if not self.may(permission):
            roles = ", ".join(r for r, has in ROLE_PERMISSIONS.items() if permission in has)
            raise Forbidden(
                f"{self.name} lacks the permission {permission}; it comes with: {roles}.", permission=permission
            )

    def require_all(self, permissions: Iterable[str]) -> None:
        """Before handing them to somebody: nobody gives more than he has. Raises `Forbidden` as `require` does."""
        for permission in sorted(permissions):
            self.require(permission)


def system_principal(tenant_id: str, name: str) -> Principal:
    """Brakeline itself, acting as its part `name` ("rollout-executor") for a tenant, with every permission."""
    return Principal(tenant_id, name, "system", f"Brakeline ({name})", PERMISSIONS)


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """The union of what `roles` allow. Raises `Invalid` on an unknown role."""
    found: frozenset[str] = frozenset()
    for role in roles:
        if role not in ROLE_PERMISSIONS:
            raise Invalid(f"no role {role!r}; there are {', '.join(ROLE_PERMISSIONS)}")
        found |= ROLE_PERMISSIONS[role]
    return found


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation: the boundary of isolation."""

    tenant_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in."""

    person_id: str
    email: str
    name: str
    roles: tuple[str, ...]
    created_ms: int
    created_by: str
    disabled_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as it can be shown: never its secret."""

    token_id: str
    name: str
    shown: str  # "blt_1a2b3c…": enough to recognise it
    permissions: tuple[str, ...]
    created_by: str
    created_ms: int
    expires_ms: int
    revoked_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made; `secret` is shown once and kept nowhere."""

    token: ApiToken
    secret: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just begun; `cookie` is the secret that the browser keeps."""

    principal: Principal
    cookie: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class LoginLink:
    """A one-time link for one person; `secret` is shown once."""

    person: Person
    secret: str
    expires_ms: int
    tenant_id: str


def made_through(maker: str, tokens: Iterable[ApiToken]) -> tuple[ApiToken, ...]:
    """The tokens that `maker` made, those that these made, and so on: all go when the maker goes."""
    left, makers, found = list(tokens), {maker}, list[ApiToken]()
    while made := [t for t in left if t.created_by in makers]:
        left = [t for t in left if t.created_by not in makers]
        makers = {t.token_id for t in made}
        found += made
    return tuple(found)
