"""Endpoints: who they are, whether they are there, what is installed on them, what waits to be installed.

Owns the tables endpoint, endpoint_key, enrol_token, endpoint_status, endpoint_package, pending_update, presence.
Promises: the server chooses endpoint ids; an enrolment token works as often as it says and no more; no message is
taken twice; two machines with one identity are found and both stopped; an inventory is acknowledged after commit.
Calls `platform` (database, bus), `tenancy` (principals, audit), `protocol`. Start with `model` (the words) and
`decide` (counters, inventory sequence), then `service` (the use cases). `query` is the filter language of console,
CLI, API and policies; `cell` holds the key that signs orders. ADR 0004 tells why check-ins do not touch the database.
"""
