"""Simulated fleets and days, driven by the real planner and brake; no I/O, no clock, randomness from a seed.

Owns nothing. `fleet` draws endpoints with their habits (nights, weekends, outages), `faults` says what a bad change
does to whom and when, `world` lets time pass, `promises` are the invariants (one function each), `mutants` are planted
bugs that the promises must catch. Start with `world.run`.
"""
