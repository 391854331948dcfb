-- Drills on real endpoints: whether an organisation wants any, reports of them, and that they spend from no budget.

-- One row = somebody has said yes, and nobody has taken it back since.
CREATE TABLE brakeline.drill_consent (
    tenant_id text COLLATE "C" NOT NULL PRIMARY KEY,
    given_at  timestamptz NOT NULL,
    given_by  text NOT NULL
);
SELECT brakeline.declare_tenant_table('brakeline.drill_consent', 'SELECT, INSERT, DELETE');

ALTER TABLE brakeline.drill ADD COLUMN rollout_id text COLLATE "C"; -- on real endpoints; NULL = simulated ones took it

-- A drill changes nothing on any endpoint; see rollout/drilling.py.
CREATE FUNCTION brakeline.is_drill(p_rollout text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM brakeline.rollout r WHERE r.rollout_id = p_rollout AND r.change ->> 'kind' = 'drill')
$$;

-- As in 0060, without offers of drills.
CREATE OR REPLACE FUNCTION brakeline.budget_used(p_key text, p_value text, p_per text, p_at timestamptz)
RETURNS TABLE (cap integer, size integer, used integer, slots bigint[], spends integer[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_scope text := p_key || CASE p_key WHEN '' THEN '' ELSE ':' END || p_value;
    v_slot  bigint := floor(extract(epoch FROM p_at) / 300);
BEGIN
    SELECT s.cap, s.size INTO cap, size FROM brakeline.budget_scope s
    WHERE s.scope = v_scope AND s.per = p_per AND abs(extract(epoch FROM p_at - s.counted_at)) < 300;
    IF cap IS NULL THEN
        SELECT count(*) INTO size FROM brakeline.budget_members(p_key, p_value);
        SELECT min(greatest(coalesce(f.endpoints, 1), coalesce(f.permille, 0)::bigint * size / 1000)) INTO cap
        FROM brakeline.budgets_in_force() f
        WHERE f.group_key = p_key AND f.per = p_per AND brakeline.budget_is_for(f.group_value, p_value);
    END IF;
    IF p_per = 'hour' THEN -- a clock of another process may be ten minutes ahead
        SELECT coalesce(sum(s.spent), 0), coalesce(array_agg(s.slot ORDER BY s.slot), '{}'),
               coalesce(array_agg(s.spent ORDER BY s.slot), '{}')
        INTO used, slots, spends FROM brakeline.budget_slot s
        WHERE s.scope = v_scope AND s.per = p_per AND s.slot BETWEEN v_slot - 12 AND v_slot + 2;
    ELSE
        slots := '{}';
        spends := '{}';
        SELECT count(*) INTO used FROM brakeline.rollout_offer o
        JOIN brakeline.budget_members(p_key, p_value) e ON e.endpoint_id = o.endpoint_id
        WHERE o.closed_at IS NULL AND NOT brakeline.is_drill(o.rollout_id) AND NOT EXISTS (
            SELECT FROM brakeline.rollout_subject s
            WHERE s.rollout_id = o.rollout_id AND s.endpoint_id = o.endpoint_id AND s.arm = 'treated'
              AND s.set_aside_at IS NOT NULL);
    END IF;
    RETURN NEXT;
END $$;

CREATE OR REPLACE FUNCTION brakeline.budget_spend() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    b        record;
    v_scope  text;
    v_slot   bigint;
    v_before integer;
BEGIN
    IF brakeline.is_drill(NEW.rollout_id) THEN
        RETURN NULL;
    END IF;
    FOR b IN SELECT * FROM brakeline.budget_state(NEW.endpoint_id, NEW.issued_at) LOOP
        v_scope := b.key || CASE b.key WHEN '' THEN '' ELSE ':' END || b.value;
        IF b.per = 'hour' THEN
            v_slot := floor(extract(epoch FROM NEW.issued_at) / 300);
            IF cardinality(b.slots) > 0 THEN
                v_slot := greatest(v_slot, b.slots[cardinality(b.slots)]);
            END IF;
            v_before := b.used - coalesce(b.spends[array_position(b.slots, v_slot)], 0);
            DELETE FROM brakeline.budget_slot s
            WHERE s.scope = v_scope AND s.per = 'hour' AND s.slot < v_slot - 288 AND NOT v_slot = ANY (b.slots);
        ELSE
            v_slot := 0;
            v_before := greatest(b.used - 1, 0); -- the offer itself is there already
            DELETE FROM brakeline.budget_slot s WHERE s.scope = v_scope AND s.per = b.per;
        END IF;
        INSERT INTO brakeline.budget_slot AS s
        VALUES (NEW.tenant_id, v_scope, b.per, v_slot, v_before, 1, b.cap)
        ON CONFLICT (tenant_id, scope, per, slot)
        DO UPDATE SET before = excluded.before, spent = s.spent + 1, cap = excluded.cap;
    END LOOP;
    RETURN NULL;
END $$;
SELECT brakeline.declare_app_function('brakeline.budget_spend()');
