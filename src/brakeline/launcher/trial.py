"""Probation: begin, count, fail, confirm. Pure functions over the record.

The ledger counts executions of a release over all its installs, so that neither installing it again nor losing a trial
gives it more than `TRIES`; an execution that ended with the host after READY is given back, twice at most.
"""

from __future__ import annotations

from dataclasses import replace

from brakeline.launcher.model import AGENT, CONTENT, TRIES, Attempt, Record, Staged, TrialEnd


def begin(record: Record, offered: Staged) -> tuple[Record, str]:
    """The record with what is offered on probation, or why it is not taken. One at a time: content waits."""
    staged = offered.release_id
    if not staged or staged in (record.current, record.content, record.trial):
        return record, ""
    if offered.product == CONTENT and (not record.current or (record.trial and record.trial_product == AGENT)):
        return record, ""
    if staged in record.quarantined or record.attempt(staged).counted >= TRIES:
        return record, f"quarantined: {staged} failed here before and is not tried again; a newer release is"
    if staged in record.recalled:
        return record, f"recalled: {staged} is offered and recalled at once; the recall holds"
    return replace(record, trial=staged, trial_sequence=offered.sequence, trial_product=offered.product), ""


def count(record: Record, release_id: str) -> Record:
    """One more execution in the ledger; to be durable before it happens."""
    old = record.attempt(release_id)
    others = tuple(a for a in record.attempts if a.release_id != release_id)
    return replace(record, attempts=(*others, replace(old, runs=old.runs + 1)))


def refund(record: Record, release_id: str) -> Record:
    """Give an execution back."""
    old = record.attempt(release_id)
    others = tuple(a for a in record.attempts if a.release_id != release_id)
    return replace(record, attempts=(*others, Attempt(release_id, old.runs, old.refunds + 1)))


def failed(record: Record, code: str, detail: str) -> Record:
    """An execution on probation came to nothing; the last one quarantines the release."""
    attempt = record.attempt(record.trial)
    if attempt.counted < TRIES:
        return record
    end = TrialEnd(record.trial, "reverted", code, detail, attempt.runs)
    quarantined = (*record.quarantined, record.trial)
    return over(replace(record, quarantined=quarantined, last_trial=end))


def over(record: Record) -> Record:
    """Nothing is on probation."""
    return replace(record, trial="", trial_sequence=0, trial_product=AGENT)


def forbid(record: Record) -> Record:
    """A release on probation that is recalled is on probation no more."""
    if not record.trial or record.trial not in record.recalled:
        return record
    end = TrialEnd(record.trial, "reverted", "recalled", "it was recalled", record.attempt(record.trial).runs)
    return over(replace(record, last_trial=end))


def confirm(record: Record) -> Record:
    """It has passed. The one before stays as last known good."""
    end = TrialEnd(
        record.trial, "confirmed", "ok", "it said HEALTHY and kept its budget", record.attempt(record.trial).runs
    )
    if record.trial_product == CONTENT:
        before = record.content if record.content not in record.recalled else record.content_last_known_good
        floors = replace(record.floors, content_sequence=max(record.floors.content_sequence, record.trial_sequence))
        passed = replace(record, content=record.trial, content_last_known_good=before, floors=floors)
        return over(replace(passed, last_trial=end))
    floors = replace(record.floors, sequence=max(record.floors.sequence, record.trial_sequence))
    before = record.current if record.current and record.current not in record.recalled else record.last_known_good
    passed = replace(record, current=record.trial, last_known_good=before or record.trial, floors=floors)
    return over(replace(passed, last_trial=end))
