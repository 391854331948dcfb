"""Bounds that more than one part relies on: name, unit, reason. A bound of one part stands beside its owner."""

from __future__ import annotations

from typing import Final

CHECK_IN_INTERVAL_S: Final = 60  # an endpoint's periodic exchange; the long-poll makes orders arrive sooner
LONG_POLL_S_MAX: Final = 55  # below the interval and below the 60 s idle limit of common proxies
SECRET_LIFETIME_S: Final = 15 * 60  # check-in secret: short, so that a stolen one is soon worthless
SILENCE_GRACE_INTERVALS: Final = 3  # not heard in the last three intervals before a checkpoint = silent (brake rules)
AGENT_BODY_BYTES_MAX: Final = 8 * 1024 * 1024  # full inventory of about 10,000 packages is 2.5 MB
CHECK_IN_BODY_BYTES_MAX: Final = 256 * 1024
OFFER_LIFETIME_S: Final = 10 * 60  # offers expire into HOLD, as grants do
ENROL_TOKEN_TTL_S: Final = 30 * 60
CLOCK_SKEW_S_MAX: Final = 5 * 60  # signed requests older or newer than this are refused, with the server's time
PACKAGES_PER_INVENTORY_MAX: Final = 20_000
RUN_BYTES_MAX: Final = 1024 * 1024  # log of one package transaction, encoded; large upgrades print about 200 KiB
RUN_PART_BYTES_MAX: Final = 64 * 1024  # of it in one upload: a second of a slow line, and no inventory waits behind it
RUN_LINE_CHARS_MAX: Final = 1000  # of one line; what is longer is cut, and says so
