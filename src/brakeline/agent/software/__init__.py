"""Software that no package manager of the endpoint has installed: found on the disk, read, told; changes nothing.

Promises: bounded in time, directories, files and depth, on local file systems alone, at the lowest priority (the scan
child's); a hostile file costs a bounded read and is told with its reason; what was left out is told (`SoftwareLook`),
never taken for absent. Parsers are pure functions over bytes or an open file; `walk` and `owners` do the reading.

Start at `look`: roots -> `walk` (which files) -> parsers (what they say) -> `owners` (whose they are) -> packages.
"""
