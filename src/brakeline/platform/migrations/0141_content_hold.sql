-- Content that would flip more than a set share of a fleet's findings is held. Owner: brakeline.exposure.

-- What new content of a feed would do to this organisation's fleet, and what people said to it. One row a feed: the newest.
CREATE TABLE brakeline.content_flip (
  tenant_id  text COLLATE "C" NOT NULL,
  feed       text COLLATE "C" NOT NULL,
  sha256     text COLLATE "C" NOT NULL,
  version    text NOT NULL,
  flips      jsonb NOT NULL,
  kind       text NOT NULL CHECK (kind IN ('losses', 'additions')),
  reason     text NOT NULL,
  held_at    timestamptz NOT NULL,
  decision   text NOT NULL DEFAULT '' CHECK (decision IN ('', 'accepted', 'refused')),
  decided_at timestamptz,
  decided_by text NOT NULL DEFAULT '',
  live_at    timestamptz,          -- it went live; NULL = it waits, or was overtaken
  PRIMARY KEY (tenant_id, feed)
);
SELECT brakeline.declare_tenant_table('brakeline.content_flip');

-- Shares of finding states that content may flip at once. No row: the defaults.
CREATE TABLE brakeline.content_bound (
  tenant_id text COLLATE "C" PRIMARY KEY,
  losses    double precision NOT NULL CHECK (losses BETWEEN 0.01 AND 0.5),
  additions double precision NOT NULL CHECK (additions BETWEEN 0.01 AND 0.5),
  set_at    timestamptz NOT NULL,
  set_by    text NOT NULL
);
SELECT brakeline.declare_tenant_table('brakeline.content_bound');
