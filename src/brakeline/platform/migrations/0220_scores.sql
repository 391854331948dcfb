-- How likely and how bad: EPSS and CVSS, the same for all tenants, written by the feed's role alone; and what is known of
-- feeds that arrive by file or from an address. Owner: brakeline.advisories.

CREATE TABLE brakeline.epss (
  cve        text COLLATE "C" PRIMARY KEY,
  feed       text COLLATE "C" NOT NULL,
  score      double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
  percentile double precision NOT NULL CHECK (percentile BETWEEN 0 AND 1)
);
SELECT brakeline.declare_shared_table('brakeline.epss');

CREATE TABLE brakeline.cvss (
  feed    text COLLATE "C" NOT NULL,  -- there may be several: one a year, one a vendor
  cve     text COLLATE "C" NOT NULL,
  vector  text NOT NULL,
  version text COLLATE "C" NOT NULL,
  score   double precision NOT NULL CHECK (score BETWEEN 0 AND 10),
  source  text NOT NULL,
  PRIMARY KEY (feed, cve)
);
CREATE INDEX cvss_cve ON brakeline.cvss (cve);
SELECT brakeline.declare_shared_table('brakeline.cvss');

ALTER TABLE brakeline.feed_state
  ADD COLUMN kind   text NOT NULL DEFAULT 'advisories' CHECK (kind IN ('advisories', 'kev', 'epss', 'cvss')),
  ADD COLUMN issued text NOT NULL DEFAULT '',      -- by its makers; '' = they did not say
  ADD COLUMN origin text NOT NULL DEFAULT 'seed',  -- of what is live: seed | file | url
  ADD COLUMN tried  text NOT NULL DEFAULT 'seed';  -- of the last attempt, which `problem` is of
UPDATE brakeline.feed_state SET kind = 'kev' WHERE feed = 'cisa-kev';

-- The last content of a feed that came by file or from an address. `data` is kept while it is held, to be tried again.
CREATE TABLE brakeline.feed_arrival (
  feed          text COLLATE "C" PRIMARY KEY,
  sha256        text COLLATE "C" NOT NULL,
  data          bytea,
  origin        text NOT NULL CHECK (origin IN ('file', 'url')),
  address       text NOT NULL,
  etag          text NOT NULL,
  last_modified text NOT NULL,
  asked_at      timestamptz NOT NULL,   -- whether it was new or not
  arrived_at    timestamptz
);
SELECT brakeline.declare_shared_table('brakeline.feed_arrival');
