-- How long findings stand open, as counts, and one line a day of what stands open. Owner: brakeline.exposure.

-- Since when a fix of this source is among the endpoint's pending updates. NULL = none is, or it is not known.
ALTER TABLE brakeline.endpoint_exposure_source ADD COLUMN offered_at timestamptz;

-- Closings of one day: a histogram for each class, ring, way and span. No endpoint and no CVE is named.
CREATE TABLE brakeline.finding_closing (
  tenant_id text COLLATE "C" NOT NULL,
  day       text COLLATE "C" NOT NULL,
  kind      text COLLATE "C" NOT NULL CHECK (kind IN ('exploited', 'critical', 'high', 'moderate', 'low', 'unscored')),
  ring      integer NOT NULL CHECK (ring BETWEEN -1 AND 31),  -- -1 = outside of rollouts
  way       text COLLATE "C" NOT NULL CHECK (way IN ('patched', 'removed')),
  span      text COLLATE "C" NOT NULL
            CHECK (span IN ('published_known', 'known_fixable', 'fixable_closed', 'known_closed', 'published_closed')),
  counts    bigint[] NOT NULL CHECK (cardinality(counts) = 14),
  hours     double precision NOT NULL,
  PRIMARY KEY (tenant_id, day, kind, ring, way, span)
);
SELECT brakeline.declare_tenant_table('brakeline.finding_closing');

-- What stood open at the end of a day, as far as it was known then.
CREATE TABLE brakeline.exposure_day (
  tenant_id  text COLLATE "C" NOT NULL,
  day        text COLLATE "C" NOT NULL,
  endpoints  integer NOT NULL,
  assessed   integer NOT NULL,
  vulnerable integer NOT NULL,
  cves       integer NOT NULL,
  kev        integer NOT NULL,
  overdue    integer NOT NULL,
  accepted   integer NOT NULL,
  looked_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, day)
);
SELECT brakeline.declare_tenant_table('brakeline.exposure_day');
