"""Rehearsals: the pending migrations run in a scratch copy, what they executed, which hazards were seen.

A plan is stored and bound by its hash; whether it lets a migrate through decides the gate in `web.answers`.
The migrate itself is in `web.operations`.
"""
