-- Releases of our own software: the register of what was published, withdrawn, recalled and pardoned.
-- Owner: brakeline.releases. Installation-wide, so class system. What endpoints believe are signed documents in files;
-- the register says what those documents should say.

CREATE TABLE brakeline.release (
    release_id       text COLLATE "C" PRIMARY KEY,
    tenant_id        text COLLATE "C" NOT NULL,   -- of whoever published it
    product          text COLLATE "C" NOT NULL,
    version          text COLLATE "C" NOT NULL,
    sequence         bigint NOT NULL CHECK (sequence >= 0),
    platform         text COLLATE "C" NOT NULL,
    path             text COLLATE "C" NOT NULL UNIQUE,
    sha256           text COLLATE "C" NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    length           bigint NOT NULL CHECK (length > 0),
    published_at     timestamptz NOT NULL,
    published_by     text NOT NULL,
    notes            text NOT NULL DEFAULT '',
    withdrawn_at     timestamptz,
    withdrawn_reason text NOT NULL DEFAULT '',
    recalled_at      timestamptz,
    recalled_reason  text NOT NULL DEFAULT '',
    pardon_asked_at  timestamptz,
    pardon_asked_by  text NOT NULL DEFAULT '',
    pardon_line      text[] NOT NULL DEFAULT '{}', -- ids of whoever asked and of their makers: the second is none of these
    pardoned_version bigint NOT NULL DEFAULT 0,    -- up to which recall list the pardon holds; 0 = none
    UNIQUE (product, version, platform)            -- a version names one content for ever
);
SELECT brakeline.declare_system_table('brakeline.release');

CREATE FUNCTION brakeline.releases() RETURNS SETOF brakeline.release
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT * FROM brakeline.release r ORDER BY r.published_at DESC, r.release_id
$$;
SELECT brakeline.declare_app_function('brakeline.releases()');

CREATE FUNCTION brakeline.release_add(
  p_release text, p_product text, p_version text, p_sequence bigint, p_platform text, p_path text, p_sha256 text,
  p_length bigint, p_at timestamptz, p_by text, p_notes text
) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
  INSERT INTO brakeline.release (release_id, tenant_id, product, version, sequence, platform, path, sha256, length,
                                 published_at, published_by, notes)
  VALUES (p_release, brakeline.current_tenant(), p_product, p_version, p_sequence, p_platform, p_path, p_sha256,
          p_length, p_at, p_by, p_notes)
$$;
SELECT brakeline.declare_app_function(
  'brakeline.release_add(text, text, text, bigint, text, text, text, bigint, timestamptz, text, text)');

CREATE FUNCTION brakeline.release_withdraw(p_release text, p_at timestamptz, p_reason text) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
  UPDATE brakeline.release r SET withdrawn_at = p_at, withdrawn_reason = p_reason
  WHERE r.release_id = p_release AND r.withdrawn_at IS NULL
$$;
SELECT brakeline.declare_app_function('brakeline.release_withdraw(text, timestamptz, text)');

CREATE FUNCTION brakeline.release_recall(p_release text, p_at timestamptz, p_reason text) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
  UPDATE brakeline.release r
  SET recalled_at = p_at, recalled_reason = p_reason, pardon_asked_at = NULL, pardon_asked_by = '', pardon_line = '{}',
      pardoned_version = 0
  WHERE r.release_id = p_release AND r.recalled_at IS NULL
$$;
SELECT brakeline.declare_app_function('brakeline.release_recall(text, timestamptz, text)');

CREATE FUNCTION brakeline.release_ask_pardon(p_release text, p_at timestamptz, p_by text, p_line text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
  UPDATE brakeline.release r SET pardon_asked_at = p_at, pardon_asked_by = p_by, pardon_line = p_line
  WHERE r.release_id = p_release AND r.recalled_at IS NOT NULL
$$;
SELECT brakeline.declare_app_function('brakeline.release_ask_pardon(text, timestamptz, text, text[])');

CREATE FUNCTION brakeline.release_pardon(p_release text, p_version bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
  UPDATE brakeline.release r
  SET recalled_at = NULL, pardon_asked_at = NULL, pardon_asked_by = '', pardon_line = '{}', pardoned_version = p_version
  WHERE r.release_id = p_release AND r.recalled_at IS NOT NULL
$$;
SELECT brakeline.declare_app_function('brakeline.release_pardon(text, bigint)');
