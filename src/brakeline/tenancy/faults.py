"""What can be wrong with an act that people agree to, two of them or one with a plan: what, why and what to do."""

from __future__ import annotations

from brakeline.core.errors import Conflict, Forbidden, Invalid, Unavailable


class TwoPeople(Forbidden):
    """This takes two people."""

    code = "two-people"
    hint = "Somebody else, whose account is independent of the first, agrees: brakeline approval list."


class FreshSession(Forbidden):
    """This takes a session that has just proved who you are."""

    code = "fresh-session"
    hint = "Enter your password with the approval, or sign in anew."


class DatabaseAway(Unavailable):
    """The database cannot say who you are, and you were not signed in here within a quarter of an hour."""

    code = "database-away"
    hint = "Stop by the printed break-glass code: brakeline freeze --break-glass, or the page /emergency."


class Overtaken(Conflict):
    """Things are not as they were when this was asked for."""

    code = "overtaken"
    hint = "Look at how things stand now, and ask again."


class CountMoved(Invalid):
    """What would be done is not what you saw."""

    code, status = "count-moved", 409
    hint = "Look at the plan again and confirm that."
