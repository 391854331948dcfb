"""The two roots of every error: `Fault` (the world is not as hoped) and `Bug` (we are wrong).

A subclass's docstring *is* its message; `code` is stable and documented; `hint` says what to do next; context
comes as keyword arguments and is kept as data. Expected outcomes ("refused", "not assessed") are values, not
errors: see `core.outcome`-style unions beside the function that returns them.
"""

from __future__ import annotations

from typing import Any, ClassVar


class BrakelineError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    hint: ClassVar[str] = ""

    def __init__(self, detail: str = "", /, **context: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.context = context

    @property
    def title(self) -> str:
        """First line of the class docstring: the message that people read."""
        return (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]

    def __str__(self) -> str:
        facts = ", ".join(f"{k}={v}" for k, v in self.context.items())
        parts = [self.title, self.detail, f"({facts})" if facts else "", self.hint]
        return " ".join(p for p in parts if p)


class Fault(BrakelineError):
    """The world is not as we hoped."""

    code = "fault"
    status: ClassVar[int] = 500  # the HTTP status that routes answer with


class Bug(BrakelineError):
    """We broke our own rule; this is a defect in Brakeline."""

    code = "bug"
    hint = "Please report it with the log lines around it."


class NotFound(Fault):
    """There is no such thing, or it is not yours to see."""

    code, status = "not-found", 404


class Invalid(Fault):
    """The request does not make sense as it stands."""

    code, status = "invalid", 422


class Forbidden(Fault):
    """Your role does not allow this."""

    code, status = "forbidden", 403


class Unauthenticated(Fault):
    """Who you are could not be established."""

    code, status = "unauthenticated", 401


class Conflict(Fault):
    """Things have moved on since you looked."""

    code, status = "conflict", 409


class Unavailable(Fault):
    """The service cannot do this just now; nothing was lost."""

    code, status = "unavailable", 503
