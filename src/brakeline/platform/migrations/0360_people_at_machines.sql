-- For whom an endpoint's order to restart waits, as its own check-in said last: a `PeopleWait`, "" = for nobody.
ALTER TABLE brakeline.rollout_target ADD COLUMN people text NOT NULL DEFAULT '';
