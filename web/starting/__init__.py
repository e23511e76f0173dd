"""How a person starts a job: what a kind tells and asks (`operation`), what is shown before, and the start itself.

The kinds themselves are in `web.operations`; queueing and running are `web.jobs`.
"""
