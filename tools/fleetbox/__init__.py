"""Fleet in a box: real Debian endpoints on one machine, for trying Brakeline out and for its system tests.

Each endpoint is an overlay clone of one cached root file system with its own disk (a sized tmpfs), network namespace,
machine id and dpkg state; systemd is its PID 1. Nothing inside has a way out: a caching apt proxy and a relay to the
server's port listen on the region's gateway, and that is all there is.

Start with `fleet.py` (the verbs), then `rootfs.py` (layers), `network.py`, `endpoint.py` (boot, power cut),
`services.py` (proxy and relay), `sweep.py` (nothing is left behind, even after kill -9).
Standard library only; runs as root.
"""
