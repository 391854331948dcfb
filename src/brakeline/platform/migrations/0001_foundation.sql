-- Foundation: the three classes of tables, then people, credentials and the audit log.
-- Every later migration declares the class of each table it makes, with one of the functions below; a test fails on
-- a table without one. Functions are made for nobody (no EXECUTE for PUBLIC) and granted one by one.

ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA brakeline GRANT USAGE ON SEQUENCES TO brakeline_app, brakeline_feed;
GRANT USAGE ON SCHEMA brakeline TO brakeline_app, brakeline_feed;

-- The tenant of this transaction. Missing or empty (what a transaction-local setting leaves behind) is an error.
CREATE FUNCTION brakeline.current_tenant() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
  tenant text := current_setting('brakeline.tenant', true);
BEGIN
  IF tenant IS NULL OR tenant = '' THEN
    RAISE EXCEPTION 'no tenant is set for this transaction' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN tenant;
END $$;
GRANT EXECUTE ON FUNCTION brakeline.current_tenant() TO brakeline_app, brakeline_feed;

-- class=tenant: rows belong to one tenant; forced row-level security, for the owner too.
CREATE FUNCTION brakeline.declare_tenant_table(
  p_table regclass, p_grants text DEFAULT 'SELECT, INSERT, UPDATE, DELETE'
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_table);
  EXECUTE format(
    'CREATE POLICY tenant ON %s USING (tenant_id = (SELECT brakeline.current_tenant())) '
    'WITH CHECK (tenant_id = (SELECT brakeline.current_tenant()))', p_table);
  EXECUTE format('GRANT %s ON %s TO brakeline_app', p_grants, p_table);
  EXECUTE format('COMMENT ON TABLE %s IS %L', p_table, 'class=tenant');
END $$;

-- class=shared: the same for all tenants; the application reads, the feed writes.
CREATE FUNCTION brakeline.declare_shared_table(p_table regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('GRANT SELECT ON %s TO brakeline_app', p_table);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON %s TO brakeline_feed', p_table);
  EXECUTE format('COMMENT ON TABLE %s IS %L', p_table, 'class=shared');
END $$;

-- class=system: secrets and what crosses tenants; reachable only through SECURITY DEFINER functions.
CREATE FUNCTION brakeline.declare_system_table(p_table regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, brakeline_app, brakeline_feed', p_table);
  EXECUTE format('COMMENT ON TABLE %s IS %L', p_table, 'class=system');
END $$;

-- Lets the application call a SECURITY DEFINER function, with a search path that nobody can bend.
CREATE FUNCTION brakeline.declare_app_function(p_function regprocedure) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER FUNCTION %s SET search_path = brakeline, pg_temp', p_function);
  EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', p_function);
  EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO brakeline_app', p_function);
END $$;

SELECT brakeline.declare_system_table('brakeline.schema_migration');

-- Tenants ------------------------------------------------------------------------------------------------------

CREATE TABLE brakeline.tenant (
  tenant_id   text COLLATE "C" PRIMARY KEY,
  name        text NOT NULL UNIQUE,
  home_region text NOT NULL DEFAULT '',
  created_at  timestamptz NOT NULL
);
SELECT brakeline.declare_system_table('brakeline.tenant');

CREATE FUNCTION brakeline.tenant_create(p_tenant text, p_name text, p_at timestamptz) RETURNS boolean
LANGUAGE sql SECURITY DEFINER AS $$
  WITH made AS (
    INSERT INTO brakeline.tenant (tenant_id, name, created_at) VALUES (p_tenant, p_name, p_at)
    ON CONFLICT (name) DO NOTHING RETURNING 1)
  SELECT EXISTS (SELECT FROM made)
$$;
SELECT brakeline.declare_app_function('brakeline.tenant_create(text, text, timestamptz)');

CREATE FUNCTION brakeline.tenants() RETURNS TABLE (tenant_id text, name text)
LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT t.tenant_id, t.name FROM brakeline.tenant t ORDER BY t.tenant_id $$;
SELECT brakeline.declare_app_function('brakeline.tenants()');

-- People -------------------------------------------------------------------------------------------------------

CREATE TABLE brakeline.person (
  tenant_id   text COLLATE "C" NOT NULL,
  person_id   text COLLATE "C" NOT NULL,
  email       text NOT NULL,
  name        text NOT NULL,
  roles       text[] NOT NULL CHECK (roles <@ ARRAY['owner', 'operator', 'approver', 'viewer']),
  created_at  timestamptz NOT NULL,
  created_by  text NOT NULL,
  disabled_at timestamptz,
  PRIMARY KEY (tenant_id, person_id)
);
SELECT brakeline.declare_tenant_table('brakeline.person');

CREATE TABLE brakeline.credential (
  person_id     text COLLATE "C" PRIMARY KEY,
  tenant_id     text COLLATE "C" NOT NULL,
  email         text COLLATE "C" NOT NULL UNIQUE CHECK (email = lower(email)),
  password_hash text,
  failures      integer NOT NULL DEFAULT 0,
  locked_until  timestamptz,
  changed_at    timestamptz NOT NULL,
  changed_by    text NOT NULL
);
SELECT brakeline.declare_system_table('brakeline.credential');

CREATE TABLE brakeline.session (
  secret_hash bytea PRIMARY KEY,
  session_id  text COLLATE "C" NOT NULL UNIQUE,
  tenant_id   text COLLATE "C" NOT NULL,
  person_id   text COLLATE "C" NOT NULL,
  created_at  timestamptz NOT NULL,
  expires_at  timestamptz NOT NULL
);
CREATE INDEX session_person ON brakeline.session (person_id);
SELECT brakeline.declare_system_table('brakeline.session');

CREATE TABLE brakeline.login_link (
  secret_hash bytea PRIMARY KEY,
  tenant_id   text COLLATE "C" NOT NULL,
  person_id   text COLLATE "C" NOT NULL,
  expires_at  timestamptz NOT NULL,
  used_at     timestamptz
);
SELECT brakeline.declare_system_table('brakeline.login_link');

CREATE TABLE brakeline.api_token (
  token_id    text COLLATE "C" PRIMARY KEY,
  tenant_id   text COLLATE "C" NOT NULL,
  name        text NOT NULL,
  shown       text NOT NULL,
  secret_hash bytea NOT NULL UNIQUE,
  permissions text[] NOT NULL,
  created_by  text NOT NULL,
  created_at  timestamptz NOT NULL,
  expires_at  timestamptz NOT NULL,
  revoked_at  timestamptz
);
CREATE INDEX api_token_tenant ON brakeline.api_token (tenant_id, token_id);
SELECT brakeline.declare_system_table('brakeline.api_token');

-- Credentials: whoever calls these has a tenant set, except where a secret itself names tenant and person. -----------

CREATE FUNCTION brakeline.credential_create(p_person text, p_email text, p_at timestamptz, p_by text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER AS $$
  WITH made AS (
    INSERT INTO brakeline.credential (person_id, tenant_id, email, changed_at, changed_by)
    VALUES (p_person, brakeline.current_tenant(), lower(p_email), p_at, p_by)
    ON CONFLICT (email) DO NOTHING RETURNING 1)
  SELECT EXISTS (SELECT FROM made)
$$;
SELECT brakeline.declare_app_function('brakeline.credential_create(text, text, timestamptz, text)');

CREATE FUNCTION brakeline.credential_of(p_email text)
RETURNS TABLE (tenant_id text, person_id text, password_hash text, failures integer, locked_until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT c.tenant_id, c.person_id, c.password_hash, c.failures, c.locked_until
  FROM brakeline.credential c WHERE c.email = lower(p_email)
$$;
SELECT brakeline.declare_app_function('brakeline.credential_of(text)');

CREATE FUNCTION brakeline.credential_set_password(p_person text, p_hash text, p_at timestamptz, p_by text)
RETURNS boolean LANGUAGE sql SECURITY DEFINER AS $$
  WITH set_now AS (
    UPDATE brakeline.credential
    SET password_hash = p_hash, failures = 0, locked_until = NULL, changed_at = p_at, changed_by = p_by
    WHERE person_id = p_person AND tenant_id = brakeline.current_tenant() RETURNING 1)
  SELECT EXISTS (SELECT FROM set_now)
$$;
SELECT brakeline.declare_app_function('brakeline.credential_set_password(text, text, timestamptz, text)');

CREATE FUNCTION brakeline.credential_tried(p_person text, p_good boolean, p_failures_max integer, p_locked_until timestamptz)
RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
  UPDATE brakeline.credential
  SET failures = CASE WHEN p_good OR failures + 1 >= p_failures_max THEN 0 ELSE failures + 1 END,
      locked_until = CASE WHEN NOT p_good AND failures + 1 >= p_failures_max THEN p_locked_until ELSE NULL END
  WHERE person_id = p_person
$$;
SELECT brakeline.declare_app_function('brakeline.credential_tried(text, boolean, integer, timestamptz)');

CREATE FUNCTION brakeline.login_link_create(p_hash bytea, p_person text, p_expires timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
  INSERT INTO brakeline.login_link (secret_hash, tenant_id, person_id, expires_at)
  SELECT p_hash, c.tenant_id, c.person_id, p_expires FROM brakeline.credential c
  WHERE c.person_id = p_person AND c.tenant_id = brakeline.current_tenant()
$$;
SELECT brakeline.declare_app_function('brakeline.login_link_create(bytea, text, timestamptz)');

-- Redeems at most once, whoever races: the row is taken by the UPDATE itself.
CREATE FUNCTION brakeline.login_link_redeem(p_hash bytea, p_at timestamptz)
RETURNS TABLE (tenant_id text, person_id text) LANGUAGE sql SECURITY DEFINER AS $$
  UPDATE brakeline.login_link l SET used_at = p_at
  WHERE l.secret_hash = p_hash AND l.used_at IS NULL AND l.expires_at > p_at
  RETURNING l.tenant_id, l.person_id
$$;
SELECT brakeline.declare_app_function('brakeline.login_link_redeem(bytea, timestamptz)');

-- How a link stands that was not redeemed: '' = there is none.
CREATE FUNCTION brakeline.login_link_state(p_hash bytea, p_at timestamptz) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT coalesce((SELECT CASE WHEN l.used_at IS NOT NULL THEN 'used' WHEN l.expires_at <= p_at THEN 'expired' ELSE 'open' END
                   FROM brakeline.login_link l WHERE l.secret_hash = p_hash), '')
$$;
SELECT brakeline.declare_app_function('brakeline.login_link_state(bytea, timestamptz)');

CREATE FUNCTION brakeline.session_create(
  p_hash bytea, p_session text, p_person text, p_at timestamptz, p_expires timestamptz
) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
  DELETE FROM brakeline.session s WHERE s.expires_at <= p_at;
  INSERT INTO brakeline.session (secret_hash, session_id, tenant_id, person_id, created_at, expires_at)
  SELECT p_hash, p_session, c.tenant_id, c.person_id, p_at, p_expires FROM brakeline.credential c
  WHERE c.person_id = p_person AND c.tenant_id = brakeline.current_tenant()
$$;
SELECT brakeline.declare_app_function('brakeline.session_create(bytea, text, text, timestamptz, timestamptz)');

CREATE FUNCTION brakeline.session_principal(p_hash bytea, p_at timestamptz)
RETURNS TABLE (tenant_id text, person_id text, session_id text) LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT s.tenant_id, s.person_id, s.session_id FROM brakeline.session s
  WHERE s.secret_hash = p_hash AND s.expires_at > p_at
$$;
SELECT brakeline.declare_app_function('brakeline.session_principal(bytea, timestamptz)');

CREATE FUNCTION brakeline.session_end(p_hash bytea) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS $$
  WITH ended AS (DELETE FROM brakeline.session s WHERE s.secret_hash = p_hash RETURNING 1)
  SELECT EXISTS (SELECT FROM ended)
$$;
SELECT brakeline.declare_app_function('brakeline.session_end(bytea)');

CREATE FUNCTION brakeline.sessions_end_of(p_person text, p_except text) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
  DELETE FROM brakeline.session s
  WHERE s.person_id = p_person AND s.session_id <> p_except AND s.tenant_id = brakeline.current_tenant()
$$;
SELECT brakeline.declare_app_function('brakeline.sessions_end_of(text, text)');

CREATE FUNCTION brakeline.api_token_create(
  p_token text, p_name text, p_shown text, p_hash bytea, p_permissions text[], p_by text,
  p_at timestamptz, p_expires timestamptz
) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
  INSERT INTO brakeline.api_token
    (token_id, tenant_id, name, shown, secret_hash, permissions, created_by, created_at, expires_at)
  VALUES (p_token, brakeline.current_tenant(), p_name, p_shown, p_hash, p_permissions, p_by, p_at, p_expires)
$$;
SELECT brakeline.declare_app_function(
  'brakeline.api_token_create(text, text, text, bytea, text[], text, timestamptz, timestamptz)');

CREATE FUNCTION brakeline.api_token_principal(p_hash bytea)
RETURNS TABLE (tenant_id text, token_id text, name text, permissions text[], expires_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT t.tenant_id, t.token_id, t.name, t.permissions, t.expires_at, t.revoked_at
  FROM brakeline.api_token t WHERE t.secret_hash = p_hash
$$;
SELECT brakeline.declare_app_function('brakeline.api_token_principal(bytea)');

CREATE FUNCTION brakeline.api_tokens()
RETURNS TABLE (token_id text, name text, shown text, permissions text[], created_by text, created_at timestamptz,
               expires_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT t.token_id, t.name, t.shown, t.permissions, t.created_by, t.created_at, t.expires_at, t.revoked_at
  FROM brakeline.api_token t WHERE t.tenant_id = brakeline.current_tenant() ORDER BY t.token_id
$$;
SELECT brakeline.declare_app_function('brakeline.api_tokens()');

CREATE FUNCTION brakeline.api_token_revoke(p_token text, p_at timestamptz) RETURNS boolean
LANGUAGE sql SECURITY DEFINER AS $$
  WITH revoked AS (
    UPDATE brakeline.api_token t SET revoked_at = coalesce(t.revoked_at, p_at)
    WHERE t.token_id = p_token AND t.tenant_id = brakeline.current_tenant() RETURNING 1)
  SELECT EXISTS (SELECT FROM revoked)
$$;
SELECT brakeline.declare_app_function('brakeline.api_token_revoke(text, timestamptz)');

-- Audit log: append-only, one hash chain per tenant. -------------------------------------------------------------------

CREATE TABLE brakeline.audit_entry (
  tenant_id     text COLLATE "C" NOT NULL,
  sequence      bigint NOT NULL CHECK (sequence > 0),
  at            timestamptz NOT NULL,
  actor_kind    text NOT NULL,
  actor_id      text NOT NULL,
  actor_name    text NOT NULL,
  action        text NOT NULL,
  object_id     text NOT NULL,
  before        text NOT NULL,
  after         text NOT NULL,
  previous_hash bytea NOT NULL,
  hash          bytea NOT NULL,
  PRIMARY KEY (tenant_id, sequence)
);
SELECT brakeline.declare_tenant_table('brakeline.audit_entry', 'SELECT');

-- Where each chain ends: a chain cut short at its end is found by comparing with this.
CREATE TABLE brakeline.audit_head (
  tenant_id text COLLATE "C" PRIMARY KEY,
  sequence  bigint NOT NULL,
  hash      bytea NOT NULL
);
SELECT brakeline.declare_tenant_table('brakeline.audit_head', 'SELECT');

CREATE FUNCTION brakeline.audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON brakeline.audit_entry
  FOR EACH ROW EXECUTE FUNCTION brakeline.audit_is_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON brakeline.audit_entry
  FOR EACH STATEMENT EXECUTE FUNCTION brakeline.audit_is_append_only();

-- The hash covers the previous hash and every field as netstrings (length in bytes, colon, text): no two different
-- entries have the same bytes. Recomputed by tenancy.audit, in another language, when the chain is verified.
CREATE FUNCTION brakeline.audit_hash(p_previous bytea, p_fields text[]) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
  SELECT sha256(p_previous || convert_to(
    (SELECT string_agg(octet_length(convert_to(f, 'UTF8')) || ':' || f, '' ORDER BY i)
     FROM unnest(p_fields) WITH ORDINALITY AS x(f, i)), 'UTF8'))
$$;

-- Appends one entry for the transaction's tenant. The head's row lock orders concurrent writers until they commit.
CREATE FUNCTION brakeline.audit_append(
  p_at_ms bigint, p_kind text, p_id text, p_name text, p_action text, p_object text, p_before text, p_after text
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  v_tenant text := brakeline.current_tenant();
  v_head brakeline.audit_head;
  v_hash bytea;
BEGIN
  INSERT INTO brakeline.audit_head VALUES (v_tenant, 0, '\x') ON CONFLICT DO NOTHING;
  SELECT * INTO STRICT v_head FROM brakeline.audit_head h WHERE h.tenant_id = v_tenant FOR UPDATE;
  v_hash := brakeline.audit_hash(v_head.hash, ARRAY[
    v_tenant, (v_head.sequence + 1)::text, p_at_ms::text, p_kind, p_id, p_name, p_action, p_object, p_before, p_after]);
  INSERT INTO brakeline.audit_entry VALUES (
    v_tenant, v_head.sequence + 1, 'epoch'::timestamptz + p_at_ms * interval '1 millisecond',
    p_kind, p_id, p_name, p_action, p_object, p_before, p_after, v_head.hash, v_hash);
  UPDATE brakeline.audit_head h SET sequence = v_head.sequence + 1, hash = v_hash WHERE h.tenant_id = v_tenant;
  RETURN v_head.sequence + 1;
END $$;
SELECT brakeline.declare_app_function('brakeline.audit_append(bigint, text, text, text, text, text, text, text)');
