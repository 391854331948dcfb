-- Advisories and what is known to be exploited: the same for all tenants, written by the feed's role alone.

CREATE TABLE brakeline.advisory (
  feed           text COLLATE "C" NOT NULL,
  ecosystem      text COLLATE "C" NOT NULL,
  source         text COLLATE "C" NOT NULL,
  cve            text COLLATE "C" NOT NULL,
  introduced     text COLLATE "C" NOT NULL,
  fixed          text COLLATE "C" NOT NULL,
  introduced_key bytea NOT NULL,  -- order-preserving, see core/debversion.py; empty = from the first version on
  fixed_key      bytea,           -- NULL = not fixed yet
  state          text NOT NULL CHECK (state IN ('fixed', 'open', 'not_affected', 'withdrawn')),
  day            text NOT NULL,
  urgency        text NOT NULL,
  dist           text NOT NULL,
  advisory_id    text NOT NULL,
  aliases        text[] NOT NULL,
  CHECK (fixed_key IS NULL OR introduced_key < fixed_key),
  PRIMARY KEY (feed, ecosystem, source, cve, introduced)
);
CREATE INDEX advisory_cve ON brakeline.advisory (cve);
SELECT brakeline.declare_shared_table('brakeline.advisory');

CREATE TABLE brakeline.kev (
  cve        text COLLATE "C" PRIMARY KEY,
  feed       text COLLATE "C" NOT NULL,
  added      text NOT NULL,
  due        text NOT NULL,
  vendor     text NOT NULL,
  product    text NOT NULL,
  name       text NOT NULL,
  ransomware boolean NOT NULL
);
SELECT brakeline.declare_shared_table('brakeline.kev');

-- What is loaded of each feed, how old it is, and why the last attempt changed nothing.
CREATE TABLE brakeline.feed_state (
  feed         text COLLATE "C" PRIMARY KEY,
  version      text NOT NULL,
  sha256       text NOT NULL,
  row_count    integer NOT NULL,
  content_day  text NOT NULL,
  loaded_at    timestamptz NOT NULL,
  attempted_at timestamptz NOT NULL,
  problem      text NOT NULL DEFAULT '',
  limits       text NOT NULL DEFAULT ''
);
SELECT brakeline.declare_shared_table('brakeline.feed_state');
