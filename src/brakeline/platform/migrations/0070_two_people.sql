-- Acts that take two people: requests, and what was done to whose account (who is independent of whom follows from it).
-- Owner: brakeline.tenancy.

CREATE TABLE brakeline.approval (
    tenant_id     text COLLATE "C" NOT NULL,
    approval_id   text COLLATE "C" NOT NULL,
    act           text COLLATE "C" NOT NULL,
    object_id     text COLLATE "C" NOT NULL,
    parameters    jsonb NOT NULL,
    says          text[] NOT NULL,              -- what will be done, as it was shown
    situation     text NOT NULL,                -- what must still be so when it is done
    asked_at      timestamptz NOT NULL,
    asked_by_id   text COLLATE "C" NOT NULL,    -- the person or token that asked
    asked_by      text NOT NULL,
    first_person  text COLLATE "C" NOT NULL,    -- the person behind it; '' = nobody known
    way           text NOT NULL,
    not_before    timestamptz,                  -- of a single person; NULL = it takes two
    expires_at    timestamptz NOT NULL,
    state         text NOT NULL DEFAULT 'open'
                  CHECK (state IN ('open', 'approved', 'done', 'rejected', 'overtaken', 'failed')),
    decided_at    timestamptz,
    decided_by_id text COLLATE "C" NOT NULL DEFAULT '',
    decided_by    text NOT NULL DEFAULT '',
    note          text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, approval_id)
);
-- One open request for one thing: another one overtakes it.
CREATE UNIQUE INDEX approval_open ON brakeline.approval (tenant_id, act, object_id) WHERE state IN ('open', 'approved');
SELECT brakeline.declare_tenant_table('brakeline.approval', 'SELECT, INSERT, UPDATE');

CREATE TABLE brakeline.person_change (
    tenant_id text COLLATE "C" NOT NULL,
    change_id bigint GENERATED ALWAYS AS IDENTITY,
    at        timestamptz NOT NULL,
    change    text NOT NULL CHECK (change IN ('created', 'raised', 'link', 'lowered', 'disabled')),
    person_id text COLLATE "C" NOT NULL,
    by_person text COLLATE "C" NOT NULL,        -- '' = nobody known
    before    text[] NOT NULL DEFAULT '{}',     -- permissions that the account had
    PRIMARY KEY (tenant_id, change_id)
);
CREATE INDEX person_change_at ON brakeline.person_change (tenant_id, at);
SELECT brakeline.declare_tenant_table('brakeline.person_change', 'SELECT, INSERT');

-- Who made a login link: whoever redeems it may be whoever made it.
ALTER TABLE brakeline.login_link ADD COLUMN made_by text COLLATE "C" NOT NULL DEFAULT '';

CREATE FUNCTION brakeline.login_link_create(p_hash bytea, p_person text, p_expires timestamptz, p_by text) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
  INSERT INTO brakeline.login_link (secret_hash, tenant_id, person_id, expires_at, made_by)
  SELECT p_hash, c.tenant_id, c.person_id, p_expires, p_by FROM brakeline.credential c
  WHERE c.person_id = p_person AND c.tenant_id = brakeline.current_tenant()
$$;
SELECT brakeline.declare_app_function('brakeline.login_link_create(bytea, text, timestamptz, text)');

CREATE FUNCTION brakeline.login_link_maker(p_hash bytea) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT coalesce((SELECT l.made_by FROM brakeline.login_link l WHERE l.secret_hash = p_hash), '')
$$;
SELECT brakeline.declare_app_function('brakeline.login_link_maker(bytea)');

-- When a session last proved who it is: at its beginning, or when the password was asked for again.
ALTER TABLE brakeline.session ADD COLUMN confirmed_at timestamptz;

CREATE FUNCTION brakeline.session_confirm(p_session text, p_person text, p_at timestamptz) RETURNS boolean
LANGUAGE sql SECURITY DEFINER AS $$
  WITH confirmed AS (
    UPDATE brakeline.session s SET confirmed_at = p_at
    WHERE s.session_id = p_session AND s.person_id = p_person AND s.tenant_id = brakeline.current_tenant()
      AND s.expires_at > p_at RETURNING 1)
  SELECT EXISTS (SELECT FROM confirmed)
$$;
SELECT brakeline.declare_app_function('brakeline.session_confirm(text, text, timestamptz)');

CREATE FUNCTION brakeline.session_confirmed(p_session text, p_person text, p_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT coalesce(s.confirmed_at, s.created_at) FROM brakeline.session s
  WHERE s.session_id = p_session AND s.person_id = p_person AND s.tenant_id = brakeline.current_tenant()
    AND s.expires_at > p_at
$$;
SELECT brakeline.declare_app_function('brakeline.session_confirmed(text, text, timestamptz)');

CREATE FUNCTION brakeline.tenant_created() RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT t.created_at FROM brakeline.tenant t WHERE t.tenant_id = brakeline.current_tenant()
$$;
SELECT brakeline.declare_app_function('brakeline.tenant_created()');
