"""The catalogue: own packages of an organisation, and what vendors say is new.

Owns the tables software, software_payload, catalogue_adoption. Promises: what is taken in is a signed package that
makes sense, once a version and for ever; nothing here signs or reaches an endpoint: packages travel in content, which
has its own key and its own rollout, and are installed by deployments. What was withdrawn is in no further content or
deployment.

Called by `remediation` (what a deployment by name may bring) and `releases` (what may be in content). Start at
`service` (own packages) and `curation` (the curated catalogue); `decide`, `discovery` and `curated` are pure.
"""
