"""Engines behind ports: PostgreSQL, the bus, TLS, settings, logs; the only place that opens databases and sockets.

Owns: the supervisor of the embedded PostgreSQL, forward-only migrations, connection pools with the tenant set per
transaction, LISTEN/NOTIFY, the reconciler loop, problem+json, the installation's own certificate authority.
Promises: no TCP listener for the database; a tenant table can only be read with a tenant set; the database away is
`core.errors.Unavailable`, never a stack trace. Knows nothing of any slice above it.
Start with `postgres` (how the database comes to life), then `database` (how everybody reaches it).
"""
