-- Which rows of a rollout were written since somebody looked. Owner: brakeline.rollout.
-- `changed` is the transaction that wrote the row. Whoever looks keeps pg_snapshot_xmin of the moment before: every older
-- transaction was over by then and has been seen, so what is new to it is at or above that number. A trigger sets it, so
-- that no writer can forget it, an older version of the server neither.

CREATE FUNCTION brakeline.mark_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed := pg_current_xact_id();
  RETURN NEW;
END $$;

ALTER TABLE brakeline.rollout_target ADD COLUMN changed xid8 NOT NULL DEFAULT '0';
ALTER TABLE brakeline.rollout_subject ADD COLUMN changed xid8 NOT NULL DEFAULT '0';
-- By that number alone: an index that begins as the primary key does would be taken for it wherever the statistics of a
-- table that has just grown are old, and one row be looked for among all of its rollout.
CREATE INDEX rollout_target_changed ON brakeline.rollout_target (changed);
CREATE INDEX rollout_subject_changed ON brakeline.rollout_subject (changed);
CREATE TRIGGER mark_changed BEFORE INSERT OR UPDATE ON brakeline.rollout_target
  FOR EACH ROW EXECUTE FUNCTION brakeline.mark_changed();
CREATE TRIGGER mark_changed BEFORE INSERT OR UPDATE ON brakeline.rollout_subject
  FOR EACH ROW EXECUTE FUNCTION brakeline.mark_changed();
