"""The server process: everything put together, spoken to over TLS.

`wiring` is the composition root; `run` starts and ends the process; `serve` is uvicorn as we need it; `app`
dispatches: `/agent/v1/*` to `agent_plane` (raw ASGI, with `agent_auth` and `exchange`), `/api/v1` to FastAPI, the rest
to the console. `install` and `enrol_script` are what a new machine downloads. Owns no table.
"""
