"""What can be wrong with an act that takes two people: each says what, why and what to do."""

from __future__ import annotations

from brakeline.core.errors import Conflict, Forbidden


class TwoPeople(Forbidden):
    """This takes two people."""

    code = "two-people"
    hint = "Somebody else, whose account is independent of the first, agrees: brakeline approval list."


class FreshSession(Forbidden):
    """This takes a session that has just proved who you are."""

    code = "fresh-session"
    hint = "Enter your password with the approval, or sign in anew."


class Overtaken(Conflict):
    """Things are not as they were when this was asked for."""

    code = "overtaken"
    hint = "Look at how things stand now, and ask again."
