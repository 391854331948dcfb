-- What may be patched (policies), and the deployments that do it. Owner: brakeline.remediation.

CREATE TABLE brakeline.settings_policy (
  tenant_id            text COLLATE "C" NOT NULL,
  policy_id            text COLLATE "C" NOT NULL,
  name                 text NOT NULL,
  filter               text NOT NULL,
  mode                 text NOT NULL CHECK (mode IN ('assess', 'patch')),
  refresh_interval_s   integer,
  inventory_interval_s integer,
  created_at           timestamptz NOT NULL,
  created_by           text NOT NULL,
  PRIMARY KEY (tenant_id, policy_id)
);
CREATE UNIQUE INDEX settings_policy_name ON brakeline.settings_policy (tenant_id, name);
SELECT brakeline.declare_tenant_table('brakeline.settings_policy');

CREATE TABLE brakeline.deployment (
  tenant_id     text COLLATE "C" NOT NULL,
  deployment_id text COLLATE "C" NOT NULL,
  rollout_id    text COLLATE "C" NOT NULL,
  title         text NOT NULL,
  filter        text NOT NULL,
  selection     text NOT NULL CHECK (selection IN ('security', 'all', 'names', 'cve')),
  names         text[] NOT NULL,
  updates       jsonb NOT NULL,
  digest        text NOT NULL,
  skipped       integer NOT NULL,
  cves_before   integer NOT NULL,   -- open on the targets when it was made
  closes        text[] NOT NULL,    -- CVEs that the pinned versions close
  created_at    timestamptz NOT NULL,
  created_by    text NOT NULL,
  PRIMARY KEY (tenant_id, deployment_id)
);
CREATE UNIQUE INDEX deployment_rollout ON brakeline.deployment (tenant_id, rollout_id);
SELECT brakeline.declare_tenant_table('brakeline.deployment');

CREATE TABLE brakeline.deployment_endpoint (
  tenant_id     text COLLATE "C" NOT NULL,
  deployment_id text COLLATE "C" NOT NULL,
  endpoint_id   text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, deployment_id, endpoint_id),
  FOREIGN KEY (tenant_id, deployment_id) REFERENCES brakeline.deployment ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.deployment_endpoint');
