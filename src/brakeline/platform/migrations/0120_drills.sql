-- Drills: reports of rehearsals, and the organisation of its own in which each organisation's simulated endpoints live.

ALTER TABLE brakeline.tenant ADD COLUMN drill_of text COLLATE "C";  -- whose drills run here; NULL = a real organisation
CREATE UNIQUE INDEX tenant_drill_of ON brakeline.tenant (drill_of);

CREATE TABLE brakeline.drill (
  tenant_id text COLLATE "C" NOT NULL,
  drill_id  text COLLATE "C" NOT NULL,
  fault     text NOT NULL,
  endpoints integer NOT NULL CHECK (endpoints > 0),
  asked_at  timestamptz NOT NULL,
  asked_by  text NOT NULL,
  state     text NOT NULL CHECK (state IN ('running', 'halted', 'held', 'passed', 'missed', 'stopped', 'broken_off')),
  ended_at  timestamptz,
  why       text NOT NULL DEFAULT '',
  report    text,
  PRIMARY KEY (tenant_id, drill_id)
);
CREATE UNIQUE INDEX drill_running ON brakeline.drill (tenant_id) WHERE state = 'running';  -- one at a time
SELECT brakeline.declare_tenant_table('brakeline.drill', 'SELECT, INSERT, UPDATE');

-- The drill organisation of the transaction's organisation, made when it is asked for first. A drill organisation has
-- none of its own: NULL.
CREATE FUNCTION brakeline.drill_tenant(p_new text, p_at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  v_real text := brakeline.current_tenant();
  v_found text;
BEGIN
  IF EXISTS (SELECT FROM brakeline.tenant t WHERE t.tenant_id = v_real AND t.drill_of IS NOT NULL) THEN
    RETURN NULL;
  END IF;
  INSERT INTO brakeline.tenant (tenant_id, name, created_at, drill_of)
  VALUES (p_new, 'drills of ' || v_real, p_at, v_real) ON CONFLICT DO NOTHING;
  SELECT t.tenant_id INTO v_found FROM brakeline.tenant t WHERE t.drill_of = v_real;
  RETURN v_found;
END $$;
SELECT brakeline.declare_app_function('brakeline.drill_tenant(text, timestamptz)');

-- Removes everything of the drill organisation but its audit log, which is append-only as every other. It takes no
-- argument, so that it cannot be pointed at a real organisation. Gives how many endpoints it removed.
CREATE FUNCTION brakeline.drill_clear() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  v_real text := brakeline.current_tenant();
  v_drill text;
  v_removed bigint := 0;
  v_table regclass;
BEGIN
  SELECT t.tenant_id INTO v_drill FROM brakeline.tenant t WHERE t.drill_of = v_real;
  IF v_drill IS NULL THEN
    RETURN 0;
  END IF;
  PERFORM set_config('brakeline.tenant', v_drill, true);
  SELECT count(*) INTO v_removed FROM brakeline.endpoint e WHERE e.tenant_id = v_drill;
  DELETE FROM brakeline.rollout r WHERE r.tenant_id = v_drill;    -- first what others refer to: it takes them with it
  DELETE FROM brakeline.endpoint e WHERE e.tenant_id = v_drill;
  FOR v_table IN
    SELECT c.oid::regclass FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'brakeline'
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND c.relname NOT IN ('tenant', 'audit_entry', 'audit_head')
    ORDER BY c.oid DESC                                           -- younger tables refer to older ones
  LOOP
    EXECUTE format('DELETE FROM %s WHERE tenant_id = $1', v_table) USING v_drill;
  END LOOP;
  PERFORM set_config('brakeline.tenant', v_real, true);
  RETURN v_removed;
END $$;
SELECT brakeline.declare_app_function('brakeline.drill_clear()');
