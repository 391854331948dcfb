-- Maintenance windows, restarts, configuration files and limits as settings of endpoints. Owner: brakeline.remediation.

-- What a policy says beyond mode and intervals, as JSON of `remediation.model.Words`; '' = nothing.
ALTER TABLE brakeline.settings_policy ADD COLUMN words text NOT NULL DEFAULT '';

-- What an endpoint says of limits of its own (JSON of `LocalLimits`); '' = its agent knows none. Owner: brakeline.fleet.
ALTER TABLE brakeline.presence ADD COLUMN local_limits text NOT NULL DEFAULT '';
