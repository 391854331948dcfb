-- Endpoints, their keys and enrolment tokens, presence, inventory. Owner: brakeline.fleet.
-- Class of each table: see the declare_* call that follows it.

CREATE TABLE brakeline.endpoint (
    tenant_id       text COLLATE "C" NOT NULL,
    endpoint_id     text COLLATE "C" NOT NULL,
    state           text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'cloned', 'retired')),
    state_reason    text NOT NULL DEFAULT '',
    region          text NOT NULL,
    tags            text[] NOT NULL DEFAULT '{}',
    hostname        text NOT NULL,
    os_id           text NOT NULL,
    os_version      text NOT NULL,
    os_name         text NOT NULL,
    kernel          text NOT NULL,
    architecture    text NOT NULL,
    machine_class   text NOT NULL,
    agent_version   text NOT NULL,
    package_manager text NOT NULL,
    enrolled_at     timestamptz NOT NULL,
    enrolled_by     text COLLATE "C" NOT NULL,
    scan            integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, endpoint_id)
);
CREATE INDEX endpoint_hostname ON brakeline.endpoint (tenant_id, hostname, endpoint_id);
SELECT brakeline.declare_tenant_table('brakeline.endpoint');

-- What the newest committed inventory says, apart from its packages.
CREATE TABLE brakeline.endpoint_status (
    tenant_id        text COLLATE "C" NOT NULL,
    endpoint_id      text COLLATE "C" NOT NULL,
    sequence         bigint NOT NULL,
    digest           text NOT NULL,
    committed_at     timestamptz NOT NULL,
    packages         integer NOT NULL DEFAULT 0,
    pending_total    integer NOT NULL DEFAULT 0,
    pending_security integer NOT NULL DEFAULT 0,
    reboot_required  boolean NOT NULL DEFAULT false,
    healthy          boolean NOT NULL DEFAULT true,
    reboot           jsonb NOT NULL DEFAULT '{}',
    health           jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, endpoint_id),
    FOREIGN KEY (tenant_id, endpoint_id) REFERENCES brakeline.endpoint ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.endpoint_status');

CREATE TABLE brakeline.endpoint_package (
    tenant_id      text COLLATE "C" NOT NULL,
    endpoint_id    text COLLATE "C" NOT NULL,
    name           text COLLATE "C" NOT NULL,
    architecture   text COLLATE "C" NOT NULL,
    version        text COLLATE "C" NOT NULL,
    source         text COLLATE "C" NOT NULL,
    source_version text COLLATE "C" NOT NULL,
    state          text NOT NULL,
    origin         text NOT NULL,
    ecosystem      text NOT NULL,
    PRIMARY KEY (tenant_id, endpoint_id, name, architecture),
    FOREIGN KEY (tenant_id, endpoint_id) REFERENCES brakeline.endpoint ON DELETE CASCADE
);
CREATE INDEX endpoint_package_name ON brakeline.endpoint_package (tenant_id, name, version);
CREATE INDEX endpoint_package_source ON brakeline.endpoint_package (tenant_id, source);
SELECT brakeline.declare_tenant_table('brakeline.endpoint_package');

CREATE TABLE brakeline.pending_update (
    tenant_id      text COLLATE "C" NOT NULL,
    endpoint_id    text COLLATE "C" NOT NULL,
    name           text COLLATE "C" NOT NULL,
    architecture   text COLLATE "C" NOT NULL,
    installed      text COLLATE "C" NOT NULL,
    candidate      text COLLATE "C" NOT NULL,
    suite          text NOT NULL,
    security       boolean NOT NULL,
    state          text NOT NULL,
    reason         text NOT NULL,
    download_bytes bigint NOT NULL,
    PRIMARY KEY (tenant_id, endpoint_id, name, architecture),
    FOREIGN KEY (tenant_id, endpoint_id) REFERENCES brakeline.endpoint ON DELETE CASCADE
);
CREATE INDEX pending_update_name ON brakeline.pending_update (tenant_id, name, candidate);
SELECT brakeline.declare_tenant_table('brakeline.pending_update');

-- Written in sorted batches about once a second. last_seen is in no index and a third of each page stays free, so
-- that updates stay on their page (HOT).
CREATE TABLE brakeline.presence (
    tenant_id       text COLLATE "C" NOT NULL,
    endpoint_id     text COLLATE "C" NOT NULL,
    last_seen       timestamptz NOT NULL,
    boot_id         text NOT NULL,
    asleep          boolean NOT NULL,
    agent_version   text NOT NULL,
    failed_services text[] NOT NULL,
    PRIMARY KEY (tenant_id, endpoint_id),
    FOREIGN KEY (tenant_id, endpoint_id) REFERENCES brakeline.endpoint ON DELETE CASCADE
) WITH (fillfactor = 70);
SELECT brakeline.declare_tenant_table('brakeline.presence');

-- Identities across tenants: looked up before the tenant is known. Check-in secrets are in no table at all.
CREATE TABLE brakeline.endpoint_key (
    endpoint_id text COLLATE "C" PRIMARY KEY,
    tenant_id   text COLLATE "C" NOT NULL,
    public_key  bytea NOT NULL UNIQUE CHECK (length(public_key) = 32),
    state       text NOT NULL CHECK (state IN ('active', 'cloned', 'retired')),
    enrolled_by text COLLATE "C" NOT NULL,
    counter     jsonb NOT NULL
);
SELECT brakeline.declare_system_table('brakeline.endpoint_key');

CREATE TABLE brakeline.enrol_token (
    token_id   text COLLATE "C" PRIMARY KEY,
    tenant_id  text COLLATE "C" NOT NULL,
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32), -- SHA-256; the token itself is nowhere
    region     text NOT NULL,
    tags       text[] NOT NULL,
    uses       integer NOT NULL CHECK (uses > 0),
    used       integer NOT NULL DEFAULT 0 CHECK (used <= uses),
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked    boolean NOT NULL DEFAULT false
);
CREATE INDEX enrol_token_tenant ON brakeline.enrol_token (tenant_id, token_id);
SELECT brakeline.declare_system_table('brakeline.enrol_token');

-- --- the only ways to the two system tables -------------------------------------------------------------------------

CREATE FUNCTION brakeline.endpoint_identity(endpoint text)
RETURNS TABLE (tenant_id text, public_key bytea, state text, counter jsonb)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT k.tenant_id, k.public_key, k.state, k.counter FROM brakeline.endpoint_key k WHERE k.endpoint_id = endpoint
$$;

-- Spends one use. outcome: ok | unknown | used | expired | revoked. One UPDATE decides, so two cannot both win.
CREATE FUNCTION brakeline.use_enrol_token(hash bytea, at_time timestamptz)
RETURNS TABLE (outcome text, token_id text, tenant_id text, region text, tags text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY
        UPDATE brakeline.enrol_token t SET used = t.used + 1
        WHERE t.token_hash = hash AND NOT t.revoked AND t.used < t.uses AND at_time < t.expires_at
        RETURNING 'ok'::text, t.token_id::text, t.tenant_id::text, t.region, t.tags;
    IF FOUND THEN RETURN; END IF;
    RETURN QUERY
        SELECT CASE WHEN t.revoked THEN 'revoked' WHEN t.used >= t.uses THEN 'used' ELSE 'expired' END,
               t.token_id::text, t.tenant_id::text, t.region, t.tags
        FROM brakeline.enrol_token t WHERE t.token_hash = hash;
    IF NOT FOUND THEN RETURN QUERY SELECT 'unknown', ''::text, ''::text, ''::text, '{}'::text[]; END IF;
END $$;

CREATE FUNCTION brakeline.register_endpoint_key(endpoint text, key bytea, token text, counter_state jsonb)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    INSERT INTO brakeline.endpoint_key (endpoint_id, tenant_id, public_key, state, enrolled_by, counter)
    VALUES (endpoint, brakeline.current_tenant(), key, 'active', token, counter_state)
    ON CONFLICT (public_key) DO NOTHING;
    RETURN FOUND;
END $$;

-- The endpoint that this very key made with this very token, for an enrolment whose answer was lost.
CREATE FUNCTION brakeline.enrolled_with(key bytea, token text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT k.endpoint_id::text FROM brakeline.endpoint_key k
    WHERE k.public_key = key AND k.enrolled_by = token AND k.state = 'active'
$$;

CREATE FUNCTION brakeline.save_endpoint_counter(endpoint text, counter_state jsonb) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER AS $$
    UPDATE brakeline.endpoint_key k SET counter = counter_state WHERE k.endpoint_id = endpoint
$$;

-- A state only gets worse: nothing makes a cloned or retired identity active again.
CREATE FUNCTION brakeline.stop_endpoint_key(endpoint text, new_state text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    UPDATE brakeline.endpoint_key k SET state = new_state
    WHERE k.endpoint_id = endpoint AND k.tenant_id = brakeline.current_tenant()
      AND new_state IN ('cloned', 'retired') AND k.state <> 'retired' AND k.state <> new_state;
    RETURN FOUND;
END $$;

CREATE FUNCTION brakeline.create_enrol_token(
    token text, hash bytea, in_region text, with_tags text[], max_uses integer, made timestamptz, maker text,
    until timestamptz
) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER AS $$
    INSERT INTO brakeline.enrol_token
        (token_id, tenant_id, token_hash, region, tags, uses, created_at, created_by, expires_at)
    VALUES (token, brakeline.current_tenant(), hash, in_region, with_tags, max_uses, made, maker, until)
$$;

CREATE FUNCTION brakeline.list_enrol_tokens()
RETURNS TABLE (token_id text, region text, tags text[], uses integer, used integer, created_at timestamptz,
               created_by text, expires_at timestamptz, revoked boolean)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT t.token_id, t.region, t.tags, t.uses, t.used, t.created_at, t.created_by, t.expires_at, t.revoked
    FROM brakeline.enrol_token t WHERE t.tenant_id = brakeline.current_tenant() ORDER BY t.token_id DESC LIMIT 500
$$;

CREATE FUNCTION brakeline.revoke_enrol_token(token text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    UPDATE brakeline.enrol_token t SET revoked = true
    WHERE t.token_id = token AND t.tenant_id = brakeline.current_tenant();
    RETURN FOUND;
END $$;

SELECT brakeline.declare_app_function('brakeline.endpoint_identity(text)');
SELECT brakeline.declare_app_function('brakeline.use_enrol_token(bytea, timestamptz)');
SELECT brakeline.declare_app_function('brakeline.register_endpoint_key(text, bytea, text, jsonb)');
SELECT brakeline.declare_app_function('brakeline.enrolled_with(bytea, text)');
SELECT brakeline.declare_app_function('brakeline.save_endpoint_counter(text, jsonb)');
SELECT brakeline.declare_app_function('brakeline.stop_endpoint_key(text, text)');
SELECT brakeline.declare_app_function('brakeline.create_enrol_token(text, bytea, text, text[], integer, timestamptz, text, timestamptz)');
SELECT brakeline.declare_app_function('brakeline.list_enrol_tokens()');
SELECT brakeline.declare_app_function('brakeline.revoke_enrol_token(text)');
