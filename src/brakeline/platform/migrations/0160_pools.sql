-- Evidence of several organisations together, of those that consent. Owner: brakeline.rollout.

-- This organisation shares the sums of its bets, and judges by the pool's too. No row: it does not.
CREATE TABLE brakeline.pool_consent (
  tenant_id text COLLATE "C" PRIMARY KEY,
  given_at  timestamptz NOT NULL,
  given_by  text NOT NULL
);
SELECT brakeline.declare_tenant_table('brakeline.pool_consent');

-- What each rollout told last of one change: sums of logs of bets, and nothing that says whose. What was told stays
-- when its organisation withdraws: who could take back what speaks against a change could bend everybody's comparison.
CREATE TABLE brakeline.pool_bet (
  subject    text COLLATE "C" NOT NULL,      -- digest of the change and its checkpoints
  tenant_id  text COLLATE "C" NOT NULL,
  rollout_id text COLLATE "C" NOT NULL,
  signal     text COLLATE "C" NOT NULL,
  checkpoint integer NOT NULL,
  grp        text COLLATE "C" NOT NULL,
  ring       integer NOT NULL CHECK (ring BETWEEN 0 AND 31),
  bets       double precision[] NOT NULL CHECK (cardinality(bets) BETWEEN 1 AND 64),
  told_at    timestamptz NOT NULL,
  PRIMARY KEY (subject, tenant_id, rollout_id, signal, checkpoint, grp, ring)
);
CREATE INDEX pool_bet_told ON brakeline.pool_bet (told_at);
SELECT brakeline.declare_system_table('brakeline.pool_bet');

-- Only an organisation that consents tells, and only for itself.
CREATE FUNCTION brakeline.pool_tell(
  p_subject text, p_rollout text, p_at timestamptz, p_signals text[], p_checkpoints integer[], p_groups text[],
  p_rings integer[], p_bets text[]
) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
  INSERT INTO brakeline.pool_bet AS b
    SELECT p_subject, brakeline.current_tenant(), p_rollout, x.signal, x.checkpoint, x.grp, x.ring,
           x.bets::double precision[], p_at
    FROM unnest(p_signals, p_checkpoints, p_groups, p_rings, p_bets) AS x (signal, checkpoint, grp, ring, bets)
    WHERE EXISTS (SELECT FROM brakeline.pool_consent WHERE tenant_id = brakeline.current_tenant())
  ON CONFLICT (subject, tenant_id, rollout_id, signal, checkpoint, grp, ring)
    DO UPDATE SET bets = excluded.bets, told_at = excluded.told_at;
  DELETE FROM brakeline.pool_bet WHERE told_at < p_at - interval '30 days';
$$;
SELECT brakeline.declare_app_function(
  'brakeline.pool_tell(text, text, timestamptz, text[], integer[], text[], integer[], text[])');

-- The sums of all other organisations, place by place, and how many they are; nobody's own figures.
CREATE FUNCTION brakeline.pool_hear(p_subject text)
RETURNS TABLE (signal text, checkpoint integer, grp text, ring integer, bets double precision[], others bigint)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  WITH told AS (
    SELECT b.* FROM brakeline.pool_bet b
    WHERE b.subject = p_subject AND b.tenant_id <> brakeline.current_tenant()
      AND EXISTS (SELECT FROM brakeline.pool_consent WHERE tenant_id = brakeline.current_tenant())
  ), places AS (
    SELECT t.signal, t.checkpoint, t.grp, t.ring, cardinality(t.bets) AS size, x.place, sum(x.bet) AS bet
    FROM told t, unnest(t.bets) WITH ORDINALITY AS x (bet, place) GROUP BY 1, 2, 3, 4, 5, 6
  )
  SELECT p.signal, p.checkpoint, p.grp, p.ring, array_agg(p.bet ORDER BY p.place),
         (SELECT count(DISTINCT t.tenant_id) FROM told t)
  FROM places p GROUP BY p.signal, p.checkpoint, p.grp, p.ring, p.size
$$;
SELECT brakeline.declare_app_function('brakeline.pool_hear(text)');
