-- Exposure of each endpoint: counts, and since when each vulnerable source stands open. Never a row per (endpoint, CVE):
-- findings are computed from inventory and advisories whenever somebody looks.

CREATE TABLE brakeline.endpoint_exposure (
  tenant_id     text COLLATE "C" NOT NULL,
  endpoint_id   text COLLATE "C" NOT NULL,
  assessed_at   timestamptz NOT NULL,
  inventory_at  timestamptz NOT NULL,
  advisories    text NOT NULL,      -- fingerprint of the advisory rows that were used
  packages      integer NOT NULL,
  not_assessed  integer NOT NULL,
  cves          integer NOT NULL,   -- distinct, in what can run
  carrier_cves  integer NOT NULL,   -- distinct, only in headers, documents, kernels that do not run
  kev           integer NOT NULL,
  fixable       integer NOT NULL,   -- distinct CVEs whose fix is pending on this endpoint
  sources       integer NOT NULL,
  PRIMARY KEY (tenant_id, endpoint_id),
  FOREIGN KEY (tenant_id, endpoint_id) REFERENCES brakeline.endpoint ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.endpoint_exposure');

CREATE TABLE brakeline.endpoint_exposure_source (
  tenant_id   text COLLATE "C" NOT NULL,
  endpoint_id text COLLATE "C" NOT NULL,
  source      text COLLATE "C" NOT NULL,
  version     text COLLATE "C" NOT NULL,
  cves        integer NOT NULL,
  first_seen  timestamptz NOT NULL,
  resolved_at timestamptz,          -- NULL = open
  PRIMARY KEY (tenant_id, endpoint_id, source),
  FOREIGN KEY (tenant_id, endpoint_id) REFERENCES brakeline.endpoint ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.endpoint_exposure_source');
