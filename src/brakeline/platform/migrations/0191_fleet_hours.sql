-- What check-ins leave behind: a line an hour and class, counts alone. Owner: brakeline.fleet (shaping).

-- online: heard within three check-in intervals before the sample; heard: within the grace of its class; within: heard
-- in the last 30 min, 2 h 15, 6 h 15, 26 h, 72 h; restarts: endpoints heard from another boot than an hour before.
CREATE TABLE brakeline.fleet_hour (
    tenant_id     text COLLATE "C" NOT NULL,
    machine_class text NOT NULL,
    hour          timestamptz NOT NULL,
    enrolled      integer NOT NULL CHECK (enrolled >= 0),
    online        integer NOT NULL,
    heard         integer NOT NULL,
    within        integer[] NOT NULL CHECK (cardinality(within) = 5),
    restarts      integer NOT NULL,
    PRIMARY KEY (tenant_id, machine_class, hour)
);
SELECT brakeline.declare_tenant_table('brakeline.fleet_hour', 'SELECT, INSERT, DELETE');

ALTER TABLE brakeline.presence ADD COLUMN counted_boot text; -- whose restarts are counted up to here; NULL = never yet
