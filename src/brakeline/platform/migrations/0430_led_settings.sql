-- Settings are led over cells. Owners: brakeline.cells (members), brakeline.remediation (policies). Columns have
-- defaults: the version before goes on writing its rows, and what it writes is a policy of the cell's own.

-- What can be led in a cell, as it said last: 0 = updates and releases; 1 = settings as well.
ALTER TABLE brakeline.cell_member ADD COLUMN leads integer NOT NULL DEFAULT 0;

-- The lead that brought a policy, or its rollout; '' = a policy of the cell's own.
ALTER TABLE brakeline.settings_policy ADD COLUMN led text NOT NULL DEFAULT '';
