#!/bin/sh
# The release of the agent that runs on this machine, with the arguments given.
exec @PYTHON@ -I /usr/lib/brakeline/stub.py exec "$@"
