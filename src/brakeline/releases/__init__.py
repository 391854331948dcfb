"""The server's side of trust: building, signing, publishing, withdrawing and recalling releases of our own.

Owns the repository below DATA/trust (keys, metadata, bundles) and the release tables. Promises: what is published was
signed by the offline keys; what the cell signs online (time, leases, recalls) can delay or forbid, never permit.
Start at `model`, then `service`; `build` makes what is published.
"""
