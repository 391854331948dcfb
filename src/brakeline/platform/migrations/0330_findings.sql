-- Risk that was accepted, and by when findings are to be closed. Owner: brakeline.exposure.

-- A CVE on the endpoints that a filter matches is accepted until a day. It hides nothing, and ends by itself.
CREATE TABLE brakeline.acceptance (
  tenant_id     text COLLATE "C" NOT NULL,
  acceptance_id text COLLATE "C" NOT NULL,
  cve           text COLLATE "C" NOT NULL,
  filter        text NOT NULL,                -- of endpoints, in the fleet's own language; '' = every endpoint
  reason        text NOT NULL,
  exploited     boolean NOT NULL,             -- whether it was known to be, when it was accepted
  made_at       timestamptz NOT NULL,
  asked_by      text NOT NULL,
  approved_by   text NOT NULL,                -- everybody who agreed
  persons       smallint NOT NULL CHECK (persons BETWEEN 1 AND 2),
  until         timestamptz NOT NULL,
  ended_at      timestamptz,                  -- by somebody, before its time; NULL = by time alone
  ended_by      text NOT NULL DEFAULT '',
  ended_why     text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, acceptance_id)
);
-- One at a time for one thing: another one replaces it.
CREATE UNIQUE INDEX acceptance_one ON brakeline.acceptance (tenant_id, cve, filter) WHERE ended_at IS NULL;
SELECT brakeline.declare_tenant_table('brakeline.acceptance', 'SELECT, INSERT, UPDATE');

-- Within how many days findings are to be closed, and when accepting one takes two people. No row: the defaults.
CREATE TABLE brakeline.finding_terms (
  tenant_id  text COLLATE "C" PRIMARY KEY,
  exploited  integer NOT NULL CHECK (exploited BETWEEN 1 AND 365),
  critical   integer NOT NULL CHECK (critical BETWEEN 1 AND 365),
  high       integer NOT NULL CHECK (high BETWEEN 1 AND 365),
  moderate   integer NOT NULL CHECK (moderate BETWEEN 1 AND 365),
  low        integer NOT NULL CHECK (low BETWEEN 1 AND 365),
  unscored   integer NOT NULL CHECK (unscored BETWEEN 1 AND 365),
  catalogue  boolean NOT NULL,                -- CISA's own date counts where it is earlier
  two_people text COLLATE "C" NOT NULL CHECK (two_people IN ('never', 'exploited', 'always')),
  set_at     timestamptz NOT NULL,
  set_by     text NOT NULL
);
SELECT brakeline.declare_tenant_table('brakeline.finding_terms');
