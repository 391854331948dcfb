"""What can go wrong between an endpoint and the cell; `code`s are those of `protocol.routes`, agents act upon them."""

from __future__ import annotations

from brakeline.core.errors import Conflict, Fault, Unauthenticated
from brakeline.protocol import routes


class TokenUnknown(Unauthenticated):
    """There is no such enrolment token."""

    code = routes.P_TOKEN_UNKNOWN
    hint = "Make a new one with `brakeline enrol token create`, and paste all of it."


class TokenUsed(Unauthenticated):
    """This enrolment token is used up."""

    code = routes.P_TOKEN_USED
    hint = "Make a new one with `brakeline enrol token create`; for several machines add --uses N."


class TokenExpired(Unauthenticated):
    """This enrolment token has expired or was revoked."""

    code = routes.P_TOKEN_EXPIRED
    hint = "Make a new one with `brakeline enrol token create`; --ttl says how long it lives."


class KeyKnown(Conflict):
    """This key already belongs to an endpoint."""

    code = "key-known"
    hint = "Every enrolment needs a key of its own: let the agent make a new one and enrol again."


class UnknownEndpoint(Unauthenticated):
    """No endpoint with this id is enrolled here."""

    code = routes.P_UNKNOWN_ENDPOINT
    hint = "Enrol this machine again with a new enrolment token."


class BadSignature(Unauthenticated):
    """The request is not signed by the key of this identity."""

    code = routes.P_BAD_SIGNATURE
    hint = "If the agent's state was copied or damaged, enrol this machine again."


class ClockSkew(Unauthenticated):
    """The request's time of signing is too far from the server's clock."""

    code = routes.P_CLOCK_SKEW
    hint = "Sign again with `created` taken from `server_ms` of this answer; the machine's own clock may stay as it is."


class SecretExpired(Unauthenticated):
    """The check-in secret is unknown or expired, or the MAC does not match it."""

    code = routes.P_SECRET_EXPIRED
    hint = "Ask for a fresh secret with a signed POST /agent/v1/secret."


class Replayed(Conflict):
    """This message, or a newer one, was taken already."""

    code = routes.P_REPLAYED
    hint = "Send it again with a counter above every counter used before."


class ClonedIdentity(Conflict):
    """Two machines use this identity; both are stopped."""

    code = routes.P_CLONED
    hint = "Enrol each of the two machines again, each with a new key; then retire this endpoint."


class EndpointRetired(Fault):
    """This endpoint was retired."""

    code, status = routes.P_RETIRED, 410
    hint = "To bring the machine back, enrol it again with a new enrolment token."


class TooManyPackages(Fault):
    """The inventory lists more packages than an endpoint can have."""

    code, status = "too-many-packages", 413
