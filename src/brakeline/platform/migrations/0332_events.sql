-- What happened, for other programs: an outbox, a numbered stream, and where it is delivered. Owner: brakeline.events.

-- Written by whoever does something, in the transaction that does it; taken out by the one that numbers the stream.
CREATE TABLE brakeline.event_outbox (
  tenant_id text COLLATE "C" NOT NULL,
  n         bigint GENERATED ALWAYS AS IDENTITY,
  at        timestamptz NOT NULL,
  kind      text COLLATE "C" NOT NULL,
  subject   text NOT NULL,
  data      text NOT NULL,           -- canonical JSON
  PRIMARY KEY (tenant_id, n)
);
SELECT brakeline.declare_tenant_table('brakeline.event_outbox', 'SELECT, INSERT, DELETE');

-- Where the stream of an organisation ends, and up to which entry the audit log is in it.
CREATE TABLE brakeline.event_head (
  tenant_id text COLLATE "C" PRIMARY KEY,
  sequence  bigint NOT NULL,
  audited   bigint NOT NULL
);
SELECT brakeline.declare_tenant_table('brakeline.event_head', 'SELECT, INSERT, UPDATE');

CREATE TABLE brakeline.event (
  tenant_id text COLLATE "C" NOT NULL,
  sequence  bigint NOT NULL,
  at        timestamptz NOT NULL,
  kind      text COLLATE "C" NOT NULL,
  subject   text NOT NULL,
  data      text NOT NULL,
  PRIMARY KEY (tenant_id, sequence)
);
SELECT brakeline.declare_tenant_table('brakeline.event', 'SELECT, INSERT, DELETE');

-- Who gets them. No secret is kept: the key of a webhook is made from the server's own and from id and generation.
CREATE TABLE brakeline.event_sink (
  tenant_id  text COLLATE "C" NOT NULL,
  sink_id    text COLLATE "C" NOT NULL,
  name       text NOT NULL,
  address    text NOT NULL,
  kinds      text[] NOT NULL,          -- "rollout.*"; none = everything
  made_at    timestamptz NOT NULL,
  made_by    text NOT NULL,
  generation integer NOT NULL DEFAULT 1,
  delivered  bigint NOT NULL,          -- sequence up to which it has everything, or a dead letter of it
  tries      integer NOT NULL DEFAULT 0,
  next_at    timestamptz,              -- not before; NULL = now
  problem    text NOT NULL DEFAULT '',
  worked_at  timestamptz,
  leased     timestamptz,              -- until when one process alone delivers
  PRIMARY KEY (tenant_id, sink_id),
  UNIQUE (tenant_id, name)
);
SELECT brakeline.declare_tenant_table('brakeline.event_sink');

-- What could not be delivered after many tries. It waits for a person.
CREATE TABLE brakeline.event_dead (
  tenant_id text COLLATE "C" NOT NULL,
  sink_id   text COLLATE "C" NOT NULL,
  sequence  bigint NOT NULL,
  at        timestamptz NOT NULL,
  problem   text NOT NULL,
  tries     integer NOT NULL,
  PRIMARY KEY (tenant_id, sink_id, sequence),
  FOREIGN KEY (tenant_id, sink_id) REFERENCES brakeline.event_sink ON DELETE CASCADE
);
SELECT brakeline.declare_tenant_table('brakeline.event_dead', 'SELECT, INSERT, DELETE');
