"""Faults that several verbs give. A stable code has one home."""

from __future__ import annotations

from brakeline.core.errors import Invalid


class CannotRead(Invalid):
    """A file cannot be read."""

    code = "cannot-read"


class BadUsage(Invalid):
    """The command was not understood; each verb says where its words are explained."""

    code = "usage"


class Ambiguous(Invalid):
    """A name that several have."""

    code = "ambiguous-name"
