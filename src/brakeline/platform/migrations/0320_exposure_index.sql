-- The index of exposure, packed: what each endpoint's newest judged inventory came to. Owner: brakeline.exposure.
-- Derived from inventories, which stay the truth: whatever is missing or older here is judged anew from them. It is kept
-- so that a start reads one short row per endpoint instead of hundreds of packages.

CREATE TABLE brakeline.exposure_value (
  tenant_id text COLLATE "C" NOT NULL,
  value_id  integer GENERATED ALWAYS AS IDENTITY,
  kind      text COLLATE "C" NOT NULL CHECK (kind IN ('unit', 'offer', 'gap')),
  digest    bytea NOT NULL CHECK (length(digest) = 16),   -- of kind and value
  value     text COLLATE "C" NOT NULL,                    -- JSON list: a unit and its role, an offer, a gap
  PRIMARY KEY (tenant_id, value_id),
  UNIQUE (tenant_id, digest)
);
SELECT brakeline.declare_tenant_table('brakeline.exposure_value');

CREATE TABLE brakeline.exposure_row (
  tenant_id    text COLLATE "C" NOT NULL,
  endpoint_id  text COLLATE "C" NOT NULL,
  inventory_at timestamptz NOT NULL,
  rules        text NOT NULL,       -- by which it was judged; another text = judged anew
  packages     integer NOT NULL,
  missing      integer NOT NULL,    -- packages that were not assessed
  lists_known  boolean NOT NULL,
  units        bytea NOT NULL,      -- ids of values, sorted, four bytes each, the lowest byte first
  offers       bytea NOT NULL,
  gaps         bytea NOT NULL,
  PRIMARY KEY (tenant_id, endpoint_id),
  FOREIGN KEY (tenant_id, endpoint_id) REFERENCES brakeline.endpoint ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.exposure_row');

-- What a change of advisories did to a fleet, the newest: counts, since who has it now is asked of the index.
CREATE TABLE brakeline.exposure_arrival (
  tenant_id text COLLATE "C" NOT NULL,
  arrived_at timestamptz NOT NULL,
  cve       text COLLATE "C" NOT NULL,
  sources   text NOT NULL,
  opened    integer NOT NULL,       -- endpoints where it stands open since
  closed    integer NOT NULL,       -- endpoints where it does no more: withdrawn, or corrected
  patchable integer NOT NULL,       -- of the opened, those whose own repositories offer the fix
  PRIMARY KEY (tenant_id, arrived_at, cve)
);
SELECT brakeline.declare_tenant_table('brakeline.exposure_arrival');
