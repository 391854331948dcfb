-- What a new version of a feed says otherwise than the one before, in words, so that both can be read later: the newest
-- 50,000 of all feeds. The same for all tenants, written by the feed's role alone.

CREATE TABLE brakeline.advisory_correction (
  number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          timestamptz NOT NULL,
  feed        text COLLATE "C" NOT NULL,
  sha256      text NOT NULL,              -- of the content that says it now
  ecosystem   text COLLATE "C" NOT NULL,
  name        text COLLATE "C" NOT NULL,
  advisory_id text COLLATE "C" NOT NULL,  -- or the CVE, where a feed has no ids
  kind        text NOT NULL CHECK (kind IN ('corrected', 'withdrawn', 'removed')),
  before      text NOT NULL,
  after       text NOT NULL,
  names       text[] NOT NULL             -- what else the advisory is looked up by: its CVEs
);
CREATE INDEX advisory_correction_id ON brakeline.advisory_correction (advisory_id, number);
CREATE INDEX advisory_correction_names ON brakeline.advisory_correction USING gin (names);
SELECT brakeline.declare_shared_table('brakeline.advisory_correction');
