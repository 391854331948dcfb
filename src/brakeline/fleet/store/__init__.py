"""SQL of the fleet: rows <-> model, nothing else. Private to `fleet.service` and its parts.

Every function takes a connection inside a transaction. `identities` works on the system tables through their
functions, the others on tenant tables with the tenant set: row-level security keeps tenants apart.
"""
