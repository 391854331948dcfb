"""Events: what happened, told to other programs at least once: webhooks, syslog, a stream over HTTP.

Owns the tables event_outbox, event_head, event, event_sink, event_dead. Promises: an event is written in the
transaction of what it tells (`outbox`); each has a number that rises by one within its organisation, and an id that
stays the same however often it is delivered; what a receiver has not acknowledged is sent again; what cannot be
delivered becomes a dead letter that people see. Entries of the audit log are events too.
Calls `platform` and `tenancy`. Start with `model` and `decide` (pure), then `delivering`.
"""
