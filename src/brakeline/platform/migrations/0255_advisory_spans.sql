-- Rows of OSV and RustSec, of every ecosystem: the same for all tenants, written by the feed's role alone. Versions are
-- text in the words of their ecosystem. Owner: brakeline.advisories.osv.

CREATE TABLE brakeline.advisory_span (
  feed          text COLLATE "C" NOT NULL,
  ecosystem     text COLLATE "C" NOT NULL,  -- "pypi", "almalinux:9"
  name          text COLLATE "C" NOT NULL,
  id            text COLLATE "C" NOT NULL,
  part          integer NOT NULL,           -- intervals of one package in one advisory are counted
  introduced    text COLLATE "C" NOT NULL,  -- '' = from the first version on
  fixed         text COLLATE "C" NOT NULL,  -- '' = no fix, or not known
  last_affected text COLLATE "C" NOT NULL,
  versions      text[] NOT NULL,            -- only where they are all there is, or the order is not known
  aliases       text[] NOT NULL,
  state         text NOT NULL CHECK (state IN ('fixed', 'open', 'not_affected', 'withdrawn')),
  severity      text NOT NULL,
  published     text NOT NULL,
  modified      text NOT NULL,
  withdrawn     text NOT NULL,
  module        text NOT NULL,
  summary       text NOT NULL,
  CHECK (fixed = '' OR last_affected = ''),
  PRIMARY KEY (feed, ecosystem, name, id, part)
);
CREATE INDEX advisory_span_name ON brakeline.advisory_span (name, ecosystem);
SELECT brakeline.declare_shared_table('brakeline.advisory_span');

ALTER TABLE brakeline.feed_state DROP CONSTRAINT feed_state_kind_check;
ALTER TABLE brakeline.feed_state
  ADD CONSTRAINT feed_state_kind_check CHECK (kind IN ('advisories', 'kev', 'epss', 'cvss', 'osv'));
