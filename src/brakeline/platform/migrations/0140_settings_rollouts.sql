-- Settings go by rollouts. Owners: brakeline.rollout (targets), brakeline.remediation (the rest).

-- Of a rollout of settings: what this endpoint would run by, as JSON; '' = a rollout of something else.
ALTER TABLE brakeline.rollout_target ADD COLUMN settings text NOT NULL DEFAULT '';

-- One row for each rollout of settings that was made; which of them is good is said by its rollout.
CREATE TABLE brakeline.settings_version (
  tenant_id  text COLLATE "C" NOT NULL,
  version    bigint NOT NULL CHECK (version > 0),
  rollout_id text COLLATE "C" NOT NULL,
  digest     text NOT NULL,
  endpoints  integer NOT NULL,
  made_at    timestamptz NOT NULL,
  made_by    text NOT NULL,
  good_at    timestamptz,          -- its rollout had completed, and endpoint_settings says so; NULL = not (yet)
  PRIMARY KEY (tenant_id, version)
);
CREATE UNIQUE INDEX settings_version_rollout ON brakeline.settings_version (tenant_id, rollout_id);
SELECT brakeline.declare_tenant_table('brakeline.settings_version');

-- The last good settings of each endpoint: its first ones, then those that a completed rollout has proven.
-- No row: no policy has spoken for it yet.
CREATE TABLE brakeline.endpoint_settings (
  tenant_id   text COLLATE "C" NOT NULL,
  endpoint_id text COLLATE "C" NOT NULL,
  settings    text NOT NULL,
  version     bigint NOT NULL,     -- of settings_version; 0 = its first ones
  since       timestamptz NOT NULL,
  at_once     boolean NOT NULL,    -- given to an endpoint that was enrolled before its policy was made
  PRIMARY KEY (tenant_id, endpoint_id),
  FOREIGN KEY (tenant_id, endpoint_id) REFERENCES brakeline.endpoint ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.endpoint_settings');

-- Policies that are there already: what they let endpoints do stays so. Cleared when their endpoints were looked at.
ALTER TABLE brakeline.settings_policy ADD COLUMN kept boolean NOT NULL DEFAULT true;
ALTER TABLE brakeline.settings_policy ALTER COLUMN kept SET DEFAULT false;

-- Digest of the settings by which the agent says it runs: what a rollout of settings is proven by. Owner: brakeline.fleet.
ALTER TABLE brakeline.presence ADD COLUMN settings text NOT NULL DEFAULT '';
