-- Leads of releases. Owner: brakeline.rollout. The salt is drawn by the conductor when the lead is made and bound by its
-- grants, so that no cell can choose whom a share of the draw reaches. '' = a lead of vendor updates.
ALTER TABLE brakeline.lead ADD COLUMN salt text NOT NULL DEFAULT '';
