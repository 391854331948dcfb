-- Until when a vendor looks after a release of its product. The same for all tenants, written by the feed's role alone.
-- Owner: brakeline.advisories.

CREATE TABLE brakeline.support_end (
  feed     text COLLATE "C" NOT NULL,
  product  text COLLATE "C" NOT NULL,
  release  text COLLATE "C" NOT NULL,
  label    text NOT NULL,
  ended    text COLLATE "C" NOT NULL,  -- '' = no day is told
  extended text COLLATE "C" NOT NULL,
  build    text COLLATE "C" NOT NULL,
  PRIMARY KEY (feed, product, release)
);
SELECT brakeline.declare_shared_table('brakeline.support_end');

ALTER TABLE brakeline.feed_state DROP CONSTRAINT IF EXISTS feed_state_kind_check;
ALTER TABLE brakeline.feed_state
  ADD CONSTRAINT feed_state_kind_check CHECK (kind IN ('advisories', 'kev', 'epss', 'cvss', 'osv', 'eol'));
