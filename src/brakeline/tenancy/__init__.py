"""Who is there and what they may do: tenants, people, roles, sessions, API tokens, and the audit log.

Owns the tables tenant, person, credential, session, login_link, api_token, audit_entry, audit_head (migration 0001).
Promises: a principal is established from a secret by the database itself (SECURITY DEFINER functions), secrets are
kept as hashes only, every act of consequence leaves an entry in a hash chain that only grows.
Calls `platform`. Start with `model` (words and the table of permissions), then `service`; others use
`model.Principal.require`, `audit.append` and `api.current_principal`.
"""
