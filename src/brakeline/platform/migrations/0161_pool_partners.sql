-- Evidence of organisations in other installations: pinned keys, and what their newest sheet says. Owner: brakeline.rollout.

CREATE TABLE brakeline.pool_partner (
  tenant_id  text COLLATE "C" NOT NULL,
  name       text COLLATE "C" NOT NULL,
  public_key text NOT NULL,                    -- hex; of the cell that signs its sheets
  made_ms    bigint NOT NULL DEFAULT 0,        -- of the newest sheet that was taken in, by the partner's clock
  taken_at   timestamptz,
  added_at   timestamptz NOT NULL,
  added_by   text NOT NULL,
  PRIMARY KEY (tenant_id, name)
);
SELECT brakeline.declare_tenant_table('brakeline.pool_partner');

CREATE TABLE brakeline.pool_sheet_row (
  tenant_id  text COLLATE "C" NOT NULL,
  name       text COLLATE "C" NOT NULL,
  subject    text COLLATE "C" NOT NULL,
  signal     text COLLATE "C" NOT NULL,
  checkpoint integer NOT NULL,
  grp        text COLLATE "C" NOT NULL,
  ring       integer NOT NULL,
  bets       double precision[] NOT NULL,
  PRIMARY KEY (tenant_id, name, subject, signal, checkpoint, grp, ring),
  FOREIGN KEY (tenant_id, name) REFERENCES brakeline.pool_partner (tenant_id, name) ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.pool_sheet_row');

-- What this organisation has told, its rollouts of one change together: what its own sheet says.
CREATE FUNCTION brakeline.pool_mine()
RETURNS TABLE (subject text, signal text, checkpoint integer, grp text, ring integer, bets double precision[])
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  WITH places AS (
    SELECT b.subject, b.signal, b.checkpoint, b.grp, b.ring, cardinality(b.bets) AS size, x.place, sum(x.bet) AS bet
    FROM brakeline.pool_bet b, unnest(b.bets) WITH ORDINALITY AS x (bet, place)
    WHERE b.tenant_id = brakeline.current_tenant()
      AND EXISTS (SELECT FROM brakeline.pool_consent WHERE tenant_id = brakeline.current_tenant())
    GROUP BY 1, 2, 3, 4, 5, 6, 7
  )
  SELECT p.subject, p.signal, p.checkpoint, p.grp, p.ring, array_agg(p.bet ORDER BY p.place)
  FROM places p GROUP BY p.subject, p.signal, p.checkpoint, p.grp, p.ring, p.size
  ORDER BY 1, 2, 3, 4, 5
$$;
SELECT brakeline.declare_app_function('brakeline.pool_mine()');
