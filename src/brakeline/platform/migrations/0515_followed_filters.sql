-- Filters of vulnerabilities that somebody follows, and one line a day of what matches. Owner: brakeline.exposure.

CREATE TABLE brakeline.exposure_followed (
  tenant_id text COLLATE "C" NOT NULL,
  query     text COLLATE "C" NOT NULL CHECK (length(query) BETWEEN 1 AND 200),
  since     text COLLATE "C" NOT NULL,
  by_name   text NOT NULL,
  PRIMARY KEY (tenant_id, query)
);
SELECT brakeline.declare_tenant_table('brakeline.exposure_followed');

-- As exposure_day, of what matches alone. Days outlive the wish: who follows it again has them.
CREATE TABLE brakeline.exposure_followed_day (
  tenant_id  text COLLATE "C" NOT NULL,
  query      text COLLATE "C" NOT NULL,
  day        text COLLATE "C" NOT NULL,
  endpoints  integer NOT NULL,
  assessed   integer NOT NULL,
  vulnerable integer NOT NULL,
  cves       integer NOT NULL,
  kev        integer NOT NULL,
  overdue    integer NOT NULL,
  accepted   integer NOT NULL,
  PRIMARY KEY (tenant_id, query, day)
);
SELECT brakeline.declare_tenant_table('brakeline.exposure_followed_day');
