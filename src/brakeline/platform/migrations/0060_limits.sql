-- Limits over all rollouts of a tenant: budgets, what is spent of them, freeze windows. Owner: brakeline.rollout.
-- A budget is spent by a trigger of rollout_offer, in the transaction that makes the offer: no code can forget it. The
-- counters are written by that trigger alone, and their own check refuses the offer that would exceed a budget.

-- What people set. group_key '' = the whole fleet; a value that ends in * stands for each value that begins so, by
-- itself. The cap is the larger of `endpoints` and the share; where both are missing the rule below is in force.
CREATE TABLE brakeline.budget (
    tenant_id   text COLLATE "C" NOT NULL,
    group_key   text COLLATE "C" NOT NULL CHECK (group_key IN ('', 'region', 'class', 'os', 'tag')),
    group_value text COLLATE "C" NOT NULL CHECK ((group_key = '') = (group_value = '')),
    per         text COLLATE "C" NOT NULL CHECK (per IN ('hour', 'at_once')),
    endpoints   integer CHECK (endpoints BETWEEN 1 AND 100000),
    permille    integer CHECK (permille BETWEEN 1 AND 1000),
    set_at      timestamptz NOT NULL,
    set_by      text NOT NULL,
    CHECK (num_nonnulls(endpoints, permille) > 0),
    PRIMARY KEY (tenant_id, group_key, group_value, per)
);
SELECT brakeline.declare_tenant_table('brakeline.budget');

-- The cap of one scope ('' = the fleet, 'tag:db'), counted again when it is five minutes old or a budget was changed.
CREATE TABLE brakeline.budget_scope (
    tenant_id  text COLLATE "C" NOT NULL,
    scope      text COLLATE "C" NOT NULL,
    per        text COLLATE "C" NOT NULL,
    cap        integer NOT NULL CHECK (cap > 0),
    size       integer NOT NULL,
    counted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, scope, per)
);
SELECT brakeline.declare_tenant_table('brakeline.budget_scope', 'SELECT');

-- What was spent. Per hour: one row for five minutes; `before` = the twelve rows before it, so that no sixty minutes
-- exceed the cap wherever they begin. At once: one row (slot 0) with those in change at the latest offer.
CREATE TABLE brakeline.budget_slot (
    tenant_id text COLLATE "C" NOT NULL,
    scope     text COLLATE "C" NOT NULL,
    per       text COLLATE "C" NOT NULL,
    slot      bigint NOT NULL,
    before    integer NOT NULL CHECK (before >= 0),
    spent     integer NOT NULL CHECK (spent > 0),
    cap       integer NOT NULL,
    CONSTRAINT budget_never_exceeded CHECK (before + spent <= cap),
    PRIMARY KEY (tenant_id, scope, per, slot)
);
SELECT brakeline.declare_tenant_table('brakeline.budget_slot', 'SELECT');

-- --- who counts where -----------------------------------------------------------------------------------------------

-- Active endpoints of a group, by what they are now.
CREATE FUNCTION brakeline.budget_members(p_key text, p_value text) RETURNS SETOF brakeline.endpoint
LANGUAGE sql STABLE AS $$
    SELECT e.* FROM brakeline.endpoint e
    WHERE e.state = 'active' AND CASE p_key
        WHEN '' THEN true
        WHEN 'region' THEN e.region = p_value
        WHEN 'class' THEN e.machine_class = p_value
        WHEN 'os' THEN p_value IN (e.os_id, e.os_id || '-' || e.os_version)
        WHEN 'tag' THEN p_value = ANY (e.tags)
    END
$$;

-- Every group of one endpoint (NULL = of every endpoint); the fleet first, also for an id that is none.
CREATE FUNCTION brakeline.budget_groups(p_endpoint text) RETURNS TABLE (endpoint_id text, key text, value text)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(p_endpoint, ''), '', ''
    UNION ALL
    SELECT e.endpoint_id, g.key, g.value
    FROM brakeline.endpoint e CROSS JOIN LATERAL (
        VALUES ('region', e.region), ('class', e.machine_class), ('os', e.os_id), ('os', e.os_id || '-' || e.os_version)
        UNION ALL SELECT 'tag', t FROM unnest(e.tags) t
    ) g (key, value)
    WHERE p_endpoint IS NULL OR e.endpoint_id = p_endpoint
$$;

-- Budgets as they hold: what people set, and for the fleet's hour the rule of every tenant until somebody set another.
CREATE FUNCTION brakeline.budgets_in_force()
RETURNS TABLE (group_key text, group_value text, per text, endpoints integer, permille integer)
LANGUAGE sql STABLE AS $$
    SELECT b.group_key, b.group_value, b.per, b.endpoints, b.permille FROM brakeline.budget b
    UNION ALL
    SELECT '', '', 'hour', 50, 100
    WHERE NOT EXISTS (SELECT FROM brakeline.budget b WHERE b.group_key = '' AND b.per = 'hour')
$$;

CREATE FUNCTION brakeline.budget_is_for(p_set text, p_value text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_set = p_value OR (right(p_set, 1) = '*' AND starts_with(p_value, left(p_set, -1)))
$$;

-- Scopes that one endpoint's offer spends from (NULL = every scope that there is), in the order in which they are asked.
CREATE FUNCTION brakeline.budget_scopes(p_endpoint text) RETURNS TABLE (key text, value text, per text)
LANGUAGE sql STABLE AS $$
    SELECT DISTINCT g.key, g.value, f.per
    FROM brakeline.budgets_in_force() f
    JOIN (SELECT DISTINCT x.key, x.value FROM brakeline.budget_groups(p_endpoint) x
          WHERE x.key = '' OR EXISTS (SELECT FROM brakeline.budget b WHERE b.group_key = x.key)) g
      ON g.key = f.group_key AND brakeline.budget_is_for(f.group_value, g.value)
    UNION
    SELECT f.group_key, f.group_value, f.per FROM brakeline.budgets_in_force() f
    WHERE p_endpoint IS NULL AND right(f.group_value, 1) <> '*'
    ORDER BY 1, 2, 3
$$;

-- --- what is left ---------------------------------------------------------------------------------------------------

-- One scope at a moment. `slots` and `spends`: what was spent per hour, oldest first. Of several budgets the most
-- careful holds. In change: an offer that came to no end, unless a person has set its endpoint aside.
CREATE FUNCTION brakeline.budget_used(p_key text, p_value text, p_per text, p_at timestamptz)
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
        WHERE o.closed_at IS NULL AND NOT EXISTS (
            SELECT FROM brakeline.rollout_subject s
            WHERE s.rollout_id = o.rollout_id AND s.endpoint_id = o.endpoint_id AND s.arm = 'treated'
              AND s.set_aside_at IS NOT NULL);
    END IF;
    RETURN NEXT;
END $$;

-- What one endpoint's offer would spend from, held for this transaction until its commit: one tenant spends one by one.
CREATE FUNCTION brakeline.budget_state(p_endpoint text, p_at timestamptz)
RETURNS TABLE (key text, value text, per text, cap integer, size integer, used integer, slots bigint[], spends integer[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    v_scope text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('brakeline.budget:' || brakeline.current_tenant(), 0));
    FOR key, value, per IN SELECT x.key, x.value, x.per FROM brakeline.budget_scopes(p_endpoint) x LOOP
        SELECT u.cap, u.size, u.used, u.slots, u.spends INTO cap, size, used, slots, spends
        FROM brakeline.budget_used(key, value, per, p_at) u;
        v_scope := key || CASE key WHEN '' THEN '' ELSE ':' END || value;
        INSERT INTO brakeline.budget_scope AS s VALUES (brakeline.current_tenant(), v_scope, per, cap, size, p_at)
        ON CONFLICT ON CONSTRAINT budget_scope_pkey
        DO UPDATE SET cap = excluded.cap, size = excluded.size, counted_at = excluded.counted_at
        WHERE abs(extract(epoch FROM excluded.counted_at - s.counted_at)) >= 300;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT brakeline.declare_app_function('brakeline.budget_state(text, timestamptz)');

-- Every scope, for people. Counts without holding anything.
CREATE FUNCTION brakeline.budget_list(p_at timestamptz)
RETURNS TABLE (key text, value text, per text, cap integer, size integer, used integer, slots bigint[], spends integer[])
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT x.key, x.value, x.per, u.cap, u.size, u.used, u.slots, u.spends
    FROM brakeline.budget_scopes(NULL) x CROSS JOIN LATERAL brakeline.budget_used(x.key, x.value, x.per, p_at) u
    ORDER BY 1, 2, 3
$$;
SELECT brakeline.declare_app_function('brakeline.budget_list(timestamptz)');

-- Endpoints that have a budget besides the fleet's.
CREATE FUNCTION brakeline.budgeted_endpoints() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT DISTINCT g.endpoint_id FROM brakeline.budget_groups(NULL) g
    JOIN brakeline.budget b ON b.group_key = g.key AND brakeline.budget_is_for(b.group_value, g.value)
    WHERE g.key <> ''
$$;
SELECT brakeline.declare_app_function('brakeline.budgeted_endpoints()');

-- --- spending -------------------------------------------------------------------------------------------------------

CREATE FUNCTION brakeline.budget_spend() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    b        record;
    v_scope  text;
    v_slot   bigint;
    v_before integer;
BEGIN
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
CREATE TRIGGER rollout_offer_spends AFTER INSERT ON brakeline.rollout_offer
FOR EACH ROW EXECUTE FUNCTION brakeline.budget_spend();

-- Whoever changes a budget waits for offers that are being made; then caps are counted anew.
CREATE FUNCTION brakeline.budget_changed() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('brakeline.budget:' || brakeline.current_tenant(), 0));
    DELETE FROM brakeline.budget_scope;
    RETURN NULL;
END $$;
SELECT brakeline.declare_app_function('brakeline.budget_changed()');
CREATE TRIGGER budget_changes AFTER INSERT OR UPDATE OR DELETE ON brakeline.budget
FOR EACH STATEMENT EXECUTE FUNCTION brakeline.budget_changed();

-- --- freeze windows -------------------------------------------------------------------------------------------------

-- Either one span (until_at NULL = until somebody removes it) or weekly, as text of `rollout.windows`.
CREATE TABLE brakeline.freeze_window (
    tenant_id  text COLLATE "C" NOT NULL,
    window_id  text COLLATE "C" NOT NULL,
    name       text NOT NULL,
    filter     text NOT NULL DEFAULT '',
    zone       text NOT NULL,
    from_at    timestamptz,
    until_at   timestamptz,
    weekly     text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    CHECK ((weekly = '') = (from_at IS NOT NULL)),
    CHECK (until_at > from_at),
    PRIMARY KEY (tenant_id, window_id),
    UNIQUE (tenant_id, name)
);
SELECT brakeline.declare_tenant_table('brakeline.freeze_window', 'SELECT, INSERT, DELETE');

-- A rollout that goes on through freeze windows because two people said so. Read before every offer; the act that
-- writes it comes with two-person acts.
CREATE TABLE brakeline.freeze_pass (
    tenant_id     text COLLATE "C" NOT NULL,
    rollout_id    text COLLATE "C" NOT NULL,
    first_person  text COLLATE "C" NOT NULL,
    second_person text COLLATE "C" NOT NULL CHECK (second_person <> first_person),
    reason        text NOT NULL CHECK (reason <> ''),
    given_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, rollout_id),
    FOREIGN KEY (tenant_id, rollout_id) REFERENCES brakeline.rollout ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.freeze_pass', 'SELECT, INSERT');
