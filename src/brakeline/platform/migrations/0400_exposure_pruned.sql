-- When values of the index that nobody has any more were last taken away, and how often: whoever remembers ids of values
-- forgets them when the number has risen. Owner: brakeline.exposure.

CREATE TABLE brakeline.exposure_pruned (
  tenant_id text COLLATE "C" PRIMARY KEY,
  times     integer NOT NULL,
  pruned_at timestamptz NOT NULL
);
SELECT brakeline.declare_tenant_table('brakeline.exposure_pruned');
