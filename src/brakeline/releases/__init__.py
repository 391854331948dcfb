"""The server's side of trust: building, signing, publishing, withdrawing and recalling releases of our own.

Owns the repository below DATA/trust (keys, documents, bundles) and the register of releases. Promises: nothing is
served that an endpoint would not believe (`trust.assess` looks at every set before it counts); nothing is acknowledged
before it is durable; whoever lacks a key is told who has it, and nothing stops meanwhile. Start at `model` (words) and
`decide` (what is refused, what should be signed), then `repository` and `service`; `build` makes what is published.
"""
