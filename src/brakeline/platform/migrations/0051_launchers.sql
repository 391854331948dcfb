-- What launchers say about themselves, and what policies tell them. Owners: brakeline.fleet, brakeline.remediation.

-- The newest report, as JSON text that only the agent plane writes; NULL = no launcher runs the agent there.
ALTER TABLE brakeline.presence ADD COLUMN launcher text;

-- Self-update of endpoints that match: NULL = the policy says nothing of it; `pin` = a release to stay at.
ALTER TABLE brakeline.settings_policy ADD COLUMN self_update boolean;
ALTER TABLE brakeline.settings_policy ADD COLUMN pin text NOT NULL DEFAULT '';

-- A policy may leave the mode to others and speak of self-update only.
ALTER TABLE brakeline.settings_policy DROP CONSTRAINT settings_policy_mode_check;
ALTER TABLE brakeline.settings_policy ADD CHECK (mode IN ('assess', 'patch', 'leave'));

-- Rises with every policy that is made or removed: the generation of orders to launchers, who refuse older ones.
CREATE TABLE brakeline.policy_revision (
  tenant_id text COLLATE "C" PRIMARY KEY,
  revision  bigint NOT NULL
);
SELECT brakeline.declare_tenant_table('brakeline.policy_revision');
