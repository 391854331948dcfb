"""`brakeline NOUN VERB`: one file per noun, each with a Typer `app`; results to stdout, talk to stderr.

Invariants: every verb takes `--json` and then prints exactly one JSON document on stdout; exit codes are those of
`output.Exit`; a noun's module is imported only when it is asked for, so the command starts fast; verbs reach the
server through `client` alone, never the database. Start with `__main__`, then `audit` (the smallest noun).
"""
