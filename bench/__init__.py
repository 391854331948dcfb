"""One file per figure that we claim: prints a table, and JSON with `--json FILE`. Ratios and CPU-seconds, one run."""
