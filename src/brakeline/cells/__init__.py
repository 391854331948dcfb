"""Cells: which control planes stand together, in which region, who conducts, and what may pass between them.

Owns the tables `cell_member` (at the conductor) and `cell_link` (in a cell). Promises: a cell calls, nobody calls it;
every message is signed, numbered and young; nothing crosses but numbers and names of a closed list, so no endpoint's
id, name, address, tag, draw or package list can (`residency`); what is not believed widens nothing. Called by `rollout`
(conducting), API, console and CLI through `service`.

Start with `model` (words of the wire), then `decide` (what is believed), `residency` (what may cross), `service`.
"""
