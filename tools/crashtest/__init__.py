"""Crash test of the launcher: its real code over a disk that loses power at every step.

`simdisk` is the disk, `world` an endpoint with releases that behave in a given way, `modelcheck` the exhaustive walk,
`mutants` the planted faults. `./dev crash-test` runs all; docs/explanation/launcher.md says what is proven by it.
"""
